"""An Airflow as people have it: on PostgreSQL, with log-in and roles, and a simulated DRS over TLS beside it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

from airflow_provider_drs.simulator import Simulator
from tests.airflow.standalone import Standalone
from tests.e2e.people import ADMIN, VIEWER
from tests.postgres import Postgres

ROOT = Path(__file__).parents[2]
DAGS = ("example_dags/gated_cutover.py", "example_dags/verified_cutover.py", "tests/e2e/dags/short_cutovers.py")


class Place(Standalone):
    """The Airflow of all tests in a browser.

    :param home: its AIRFLOW_HOME.
    :param database: a server with nothing in it.
    :param drs: what its connection ``drs_default`` leads to.
    """

    def __init__(self, home: Path, database: Postgres, drs: Simulator) -> None:
        self.passwords = {name: secrets.token_urlsafe(12) for name in (ADMIN, VIEWER)}
        dags = home / "dags"
        dags.mkdir(parents=True)
        for path in DAGS:
            shutil.copy(ROOT / path, dags)
        connection = drs.connection(region="eu-de", console_url=f"{drs.url}/?job={{job_id}}")
        super().__init__(
            home,
            dags,
            {
                "AIRFLOW_CONN_DRS_DEFAULT": json.dumps(connection),
                "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
                "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
                "AIRFLOW__CORE__PARALLELISM": "8",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.uri.replace("postgresql:", "postgresql+psycopg2:"),
                "AIRFLOW__FAB__AUTH_RATE_LIMITED": "False",
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "airflow" / "settings")]),
            },
        )
        # The tests of one process end deferrals at once, which a scheduler can take for a fault.
        self.environment.pop("AIRFLOW__DRS__DEFERRAL_HOLD", None)

    def prepare(self) -> None:
        """Make the people."""
        self.run_module("tests.e2e.people", json.dumps(self.passwords))

    def log_in(self) -> str:
        """Return a token for the API, as the administrator."""
        body = {"username": ADMIN, "password": self.passwords[ADMIN]}
        response = self.request("POST", "/auth/token", body)
        assert response.ok, response.text
        return str(response.json()["access_token"])

    def run_module(self, module: str, given: str, *arguments: str) -> str:
        """Run a module in a process of its own with Airflow's settings; return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=self.environment, input=given, capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout
