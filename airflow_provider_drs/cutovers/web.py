"""The data behind the page "DRS cutovers": reading only, and only what whoever looks may see."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, FastAPI, Query, Response

from airflow_provider_drs.cutovers.database import read_rows
from airflow_provider_drs.cutovers.rows import Row, markdown, matches, timeline, to_csv

# Without documentation of its own: Airflow does not ask for a log-in there.
app = FastAPI(title="DRS cutovers", docs_url=None, redoc_url=None, openapi_url=None)

PAGE = 100
MAX_PAGE = 1000
_STATIC = {"app.js": "text/javascript", "icon.svg": "image/svg+xml"}
# The evidence is XCom: who may not read that of any DAG is refused; the rows are those of the DAGs one may read.
_reads_xcom = Depends(requires_access_dag("GET", DagAccessEntity.XCOM))


def _static(name: str, media_type: str) -> Callable[[], Response]:
    def serve() -> Response:
        text = (Path(__file__).parent / "static" / name).read_bytes()
        return Response(text, media_type=media_type, headers={"Cache-Control": "no-cache"})

    return serve


for _name, _type in _STATIC.items():  # nothing in them is secret: no log-in
    app.get(f"/{_name}")(_static(_name, _type))


def _filtered(
    session: SessionDep,
    user: GetUserDep,
    outcome: str | None = None,
    job_id: str | None = None,
    dag_id: str | None = None,
    run_id: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> tuple[list[Row], list[Row]]:
    """Return the rows that the user may see, and those of them that fit the filters."""
    permitted = get_auth_manager().get_authorized_dag_ids(user=user, method="GET", session=session)
    visible = read_rows(session, dag_ids=permitted, dag_id=dag_id, run_id=run_id)
    fit = [one for one in visible if matches(one, outcome=outcome, job_id=job_id, since=since, until=until)]
    return visible, fit


Filtered = Annotated[tuple[list[Row], list[Row]], Depends(_filtered)]


@app.get("/api/cutovers", dependencies=[_reads_xcom])
def cutovers(
    filtered: Filtered,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = PAGE,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> dict[str, Any]:
    """Return a page of the table: ``rows``, each with its ``timeline``, and what the filters offer."""
    visible, found = filtered
    return {
        "rows": [{**one, "timeline": timeline(one)} for one in found[offset : offset + limit]],
        "total": len(found),
        "needs_person": sum(one["needs_person"] for one in visible),
        "running": sum(one["running"] for one in visible),
        "dag_ids": sorted({str(one["dag_id"]) for one in visible}),
        "outcomes": dict(sorted(Counter(str(one["outcome"]) for one in visible).items())),
    }


@app.get("/api/export", dependencies=[_reads_xcom])
def export(filtered: Filtered, format: str = "json") -> Response:
    """Return all rows that fit the filters as a file: ``json``, ``csv`` or ``md``."""
    _, rows = filtered
    formats: dict[str, tuple[str, Callable[[list[Row]], str]]] = {
        "json": ("application/json", lambda rows: json.dumps(rows, indent=2, default=str)),
        "csv": ("text/csv", to_csv),
        "md": ("text/markdown", markdown),
    }
    if format not in formats:
        return Response(f"format must be one of {', '.join(formats)}", status_code=422, media_type="text/plain")
    media_type, write = formats[format]
    headers = {"Content-Disposition": f'attachment; filename="drs-cutovers.{format}"'}
    return Response(write(rows), media_type=media_type, headers=headers)
