"""The page's data, from Airflow's own API server with log-in: who sees what, and what comes out."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_drs.plugin import PREFIX, DrsCutoversPlugin
from tests.cutovers.conftest import ORDERS, STOCK

ROLES = {"ada": "admin", "vic": "viewer"}


@pytest.fixture(scope="module")
def server(airflow_db: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Airflow's API server in this process, with users; the plugin is found by its entry point."""
    from airflow.api_fastapi.app import create_app, purge_cached_app
    from fastapi.testclient import TestClient

    passwords = tmp_path_factory.mktemp("users") / "passwords.json"
    passwords.write_text(json.dumps(dict.fromkeys(ROLES, "secret")))
    with pytest.MonkeyPatch.context() as patch:
        section = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_"
        patch.setenv(f"{section}USERS", ",".join(f"{name}:{role}" for name, role in ROLES.items()))
        patch.setenv(f"{section}PASSWORDS_FILE", str(passwords))
        patch.setenv(f"{section}ALL_ADMINS", "False")
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "long enough for the algorithm " * 4)
        purge_cached_app()
        with TestClient(create_app(apps="core"), base_url="http://testserver") as client:
            yield client
        purge_cached_app()


def token(server: Any, name: str) -> dict[str, str]:
    response = server.post("/auth/token", json={"username": name, "password": "secret"})
    assert response.status_code == 201, response.text
    return {"Authorization": f"Bearer {response.json()['access_token']}"}


def test_the_plugin_is_found_and_loads_nothing_before_it_is_asked(server: Any) -> None:
    [plugin] = [
        p
        for p in server.get("/api/v2/plugins", headers=token(server, "ada")).json()["plugins"]
        if p["name"] == DrsCutoversPlugin.name
    ]
    [app] = plugin["react_apps"]
    assert app["bundle_url"] == f"{PREFIX.removeprefix('/')}/app.js"
    assert server.get(f"{PREFIX}/app.js").headers["content-type"].startswith("text/javascript")
    assert server.get(f"{PREFIX}/icon.svg").status_code == 200


@pytest.mark.parametrize("path", ["/api/cutovers", "/api/export"])
def test_nothing_without_a_log_in(server: Any, cutovers: Any, path: str) -> None:
    assert server.get(f"{PREFIX}{path}").status_code == 401
    assert server.get(f"{PREFIX}{path}", headers={"Authorization": "Bearer x"}).status_code in (401, 403)


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/static/app.js", "/../plugin.py"])
def test_nothing_else_is_served(server: Any, path: str) -> None:
    response = server.get(f"{PREFIX}{path}")
    assert response.status_code == 404 or "DRS" not in response.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_reading_only(server: Any, method: str) -> None:
    assert server.request(method, f"{PREFIX}/api/cutovers", headers=token(server, "ada")).status_code == 405


def test_the_table(server: Any, cutovers: Any) -> None:
    found = server.get(f"{PREFIX}/api/cutovers", params={"dag_id": ORDERS}, headers=token(server, "ada")).json()
    assert found["rows"][0]["run_id"] == "unknown"
    assert (found["total"], found["needs_person"], found["running"]) == (3, 1, 1)
    assert found["outcomes"] == {"accepted": 1, "done": 1, "unknown": 1}
    assert found["rows"][0]["timeline"]
    page = server.get(
        f"{PREFIX}/api/cutovers", params={"dag_id": ORDERS, "limit": 1, "offset": 1}, headers=token(server, "ada")
    ).json()
    assert (len(page["rows"]), page["total"]) == (1, 3)


def test_rows_only_of_the_dags_one_may_read(server: Any, cutovers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The auth manager decides; SimpleAuth lets each role read all DAGs, so that it is told to permit one."""
    from airflow.api_fastapi.app import get_auth_manager

    monkeypatch.setattr(type(get_auth_manager()), "get_authorized_dag_ids", lambda self, **_: {STOCK})
    found = server.get(f"{PREFIX}/api/cutovers", headers=token(server, "vic")).json()
    assert {row["dag_id"] for row in found["rows"]} == {STOCK}
    assert found["dag_ids"] == [STOCK]
    exported = server.get(f"{PREFIX}/api/export", headers=token(server, "vic")).json()
    assert {row["dag_id"] for row in exported} == {STOCK}


def test_exports(server: Any, cutovers: Any) -> None:
    headers = token(server, "ada")

    def export(kind: str) -> Any:
        return server.get(f"{PREFIX}/api/export", params={"format": kind, "dag_id": ORDERS}, headers=headers)

    assert len(export("json").json()) == 3
    assert len(list(csv.DictReader(io.StringIO(export("csv").text)))) == 3
    assert export("md").text.count("## Switchover of job") == 3
    assert export("csv").headers["content-disposition"] == 'attachment; filename="drs-cutovers.csv"'
    assert export("xml").status_code == 422


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 100000}, {"offset": -1}, {"limit": "x"}])
def test_bad_pages_are_refused(server: Any, query: dict[str, Any]) -> None:
    assert server.get(f"{PREFIX}/api/cutovers", params=query, headers=token(server, "ada")).status_code == 422


def test_a_process_that_loads_plugins_does_not_load_the_page() -> None:
    import subprocess

    code = "import airflow_provider_drs.plugin, sys; print('airflow_provider_drs.cutovers.web' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"
