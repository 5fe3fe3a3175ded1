"""What OpenLineage is told of a task: the databases of its jobs as datasets, and how it ended as a run facet.

Only OpenLineage's own listener asks for it, when a task has ended.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.openlineage.extractors import OperatorLineage
from attrs import define, fields
from openlineage.client.event_v2 import Dataset
from openlineage.client.facet_v2 import RunFacet, datasource_dataset

from airflow_provider_drs import protocol

if TYPE_CHECKING:
    from airflow_provider_drs.hooks.drs import DrsHook

# Airflow gives the whole event ten seconds, then it is lost; without datasets it is not.
ANSWER_WITHIN = 5.0
# How OpenLineage calls the kinds of databases, where it is not as DRS does. GaussDB(for MySQL) speaks MySQL's protocol.
_SCHEMES = {"postgresql": "postgres", "taurus": "mysql", "sqlserver": "mssql"}
# DRS tells the server, not which of its databases: the dataset is all of them.
WHOLE_SERVER = "/"


@define(kw_only=True)
class DrsSwitchoverRunFacet(RunFacet):
    """The evidence of a switchover under the keys that it has in XCom; ``docs/switchover.md`` describes them.

    What OpenLineage has of the task elsewhere is left out: its DAG, run, id and map index.
    """

    job_id: str
    outcome: str
    mode: str | None = None
    status: str | None = None
    error_code: str | None = None
    error_msg: str | None = None
    reason: str | None = None
    try_number: int | None = None
    user: str | None = None
    guards: list[dict[str, Any]] | None = None
    baseline: str | None = None
    baseline_known: bool | None = None
    attached: bool | None = None
    posted_at: str | None = None
    accepted_at: str | None = None
    observed: list[dict[str, Any]] | None = None
    finished_at: str | None = None
    settle: float | None = None
    decide_within: float | None = None
    timeout: float | None = None
    posted_by_server: float | None = None
    started: bool | None = None
    watched: list[float | None] | None = None
    order: int | None = None
    decided_by: str | None = None
    witness: dict[str, Any] | None = None
    earlier: list[dict[str, Any]] | None = None
    approvals: list[dict[str, Any]] | None = None
    seconds: dict[str, Any] | None = None


@define(kw_only=True)
class DrsWaitRunFacet(RunFacet):
    """What a sensor waited for.

    :param jobs: the ids of its jobs.
    :param result: its XCom; None where it did not end well.
    """

    jobs: list[str]
    result: dict[str, Any] | None = None


def of_switchover(evidence: Mapping[str, Any] | None, hook: DrsHook, log: Any) -> OperatorLineage:
    """Return what is told of a switchover.

    :param evidence: None where the task had none, as after a dry run.
    """
    if evidence is None:
        return OperatorLineage()
    known = {field.name for field in fields(DrsSwitchoverRunFacet)}
    facet = DrsSwitchoverRunFacet(**{name: value for name, value in evidence.items() if name in known})
    # Without guards, DRS was not reached, or its job is not known to be one: it is not asked again for this.
    jobs = [evidence["job_id"]] if evidence["guards"] else []
    return _lineage({"drs_switchover": facet}, jobs, hook, log)


def of_wait(jobs: Sequence[str], result: Any, ended: bool, hook: DrsHook, log: Any) -> OperatorLineage:
    """Return what is told of a sensor.

    :param result: its XCom, None for none.
    :param ended: DRS has said how it ends. Where it could not be asked, it is not asked again for this.
    """
    facet = DrsWaitRunFacet(jobs=list(jobs), result=result if isinstance(result, dict) else None)
    return _lineage({"drs_wait": facet}, jobs if ended else [], hook, log)


def _lineage(facets: dict[str, RunFacet], jobs: Sequence[str], hook: DrsHook, log: Any) -> OperatorLineage:
    details = _details(jobs, hook, log)
    sources = [detail.source for detail in details.values()]
    targets = [detail.target for detail in details.values()]
    return OperatorLineage(inputs=_datasets(sources), outputs=_datasets(targets), run_facets=facets)


def _details(jobs: Sequence[str], hook: DrsHook, log: Any) -> dict[str, protocol.JobDetail]:
    """Ask DRS for the databases of jobs: what it does not tell in time is left out, whatever the reason."""
    found: dict[str, protocol.JobDetail] = {}

    def ask() -> None:
        try:
            for batch in protocol.in_batches(jobs):
                found.update(hook.get_job_details(batch))
        except protocol.DrsError as error:
            log.warning("OpenLineage gets no datasets: %s", error)

    if jobs:
        hook.get_conn()  # here: Airflow's own connections are for the thread of the task
        asking = threading.Thread(target=ask, name="drs-lineage", daemon=True)
        asking.start()
        asking.join(ANSWER_WITHIN)
        if asking.is_alive():
            log.warning("OpenLineage gets no datasets: DRS did not respond within %g seconds", ANSWER_WITHIN)
    return dict(found)


def _datasets(endpoints: Sequence[protocol.Endpoint | None]) -> list[Dataset]:
    named = {namespace: point for point in endpoints if point and (namespace := _namespace(point))}
    return [
        Dataset(
            namespace=namespace,
            name=WHOLE_SERVER,
            facets={
                "dataSource": datasource_dataset.DatasourceDatasetFacet(name=point.instance or namespace, uri=namespace)
            },
        )
        for namespace, point in named.items()
    ]


def _namespace(point: protocol.Endpoint) -> str | None:
    """Return the address of a database server as OpenLineage writes it; None where DRS does not tell it."""
    if not point.db_type or not point.address:
        return None
    kind = point.db_type.lower()
    host = f"[{point.address}]" if point.port and ":" in point.address and "," not in point.address else point.address
    return f"{_SCHEMES.get(kind, kind)}://{host}" + (f":{point.port}" if point.port else "")
