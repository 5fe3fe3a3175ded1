"""The web server of Airflow 2.11, where FAB makes the forms; it has the environment that the matrix has."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Self

import requests

from tests.e2e.people import ADMIN
from tests.matrix.environments import environment_of
from tests.postgres import Postgres, free_port
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).parents[2]
VERSION = "2.11.2"


class Airflow2:
    """A web server with one administrator.

    :param home: its AIRFLOW_HOME.
    :param database: a server in which it gets a database of its own.
    """

    def __init__(self, home: Path, database: Postgres) -> None:
        self.home = home
        self.password = secrets.token_urlsafe(12)
        self._database = database
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW_", "PYTHON"))}
        uri = f"{database.uri.rpartition('/')[0]}/airflow_2".replace("postgresql:", "postgresql+psycopg2:")
        self.environment = kept | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": uri,
            "AIRFLOW__WEBSERVER__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__WEBSERVER__WEB_SERVER_HOST": "127.0.0.1",
            "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": str(port),
            "AIRFLOW__WEBSERVER__WORKERS": "1",
        }

    def __enter__(self) -> Self:
        self._airflow = str(environment_of(VERSION).with_name("airflow"))
        self._database.rows("create database airflow_2")
        self.run("db", "migrate")
        person = ["--role", "Admin", "--firstname", "Ada", "--lastname", "Test", "--email", "ada@example.com"]
        self.run("users", "create", "--username", ADMIN, "--password", self.password, *person)
        with (self.home / "webserver.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._airflow, "webserver"], env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            until(
                self._answers, PATIENCE, "the web server of Airflow 2.11",
                over=lambda: self._process.poll() is not None, tell=self._tell(), interval=0.5,
            )  # fmt: skip
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def run(self, *arguments: str) -> str:
        """Return what a command of Airflow's prints."""
        done = subprocess.run(
            [self._airflow, *arguments], env=self.environment, capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def _answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/health", timeout=60).ok
        return False

    def _tell(self) -> Callable[[], str]:
        return lambda: f"; it wrote:\n{(self.home / 'webserver.log').read_text(errors='replace')[-3000:]}"

    def _end(self) -> None:
        """End it and its workers, which outlive a signal to it alone."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
