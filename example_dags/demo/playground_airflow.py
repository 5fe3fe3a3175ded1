"""An Airflow with its UI for the playground: four processes, one person who may log in, and its REST API."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

import psutil  # type: ignore[import-untyped]
import requests

from demo.demo_airflow import DemoAirflow, DemoError

T = TypeVar("T")

USER = "admin"
PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")
LONGEST_START_SECONDS = 600
LONGEST_END_SECONDS = 20
LOOK_EVERY_SECONDS = 0.5
PASSWORDS = "passwords.json"


class PlaygroundAirflow:
    """Airflow's parts while it is entered, each in a process group of its own; at the end none is left.

    :param airflow: folder and log.
    :param port: of the UI; 0 takes a free one.
    :param environment: more variables.
    :param stopped: tells whether the person has ended the playground.
    """

    def __init__(
        self, airflow: DemoAirflow, *, port: int, environment: Mapping[str, str], stopped: Callable[[float], bool]
    ) -> None:
        self.airflow = airflow
        self.password = secrets.token_urlsafe(9)
        self.port = port or _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._stopped = stopped
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy cannot reach this machine's own address
        self.environment = {
            **airflow.environment({}),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager."
            "SimpleAuthManager",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(airflow.home / PASSWORDS),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            # One process writes at a time; on a busy machine it may take longer than the usual five seconds.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{airflow.home / 'airflow.db'}?timeout=60",
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(_free_port()),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(_free_port()),
            **environment,
        }

    def __enter__(self) -> Self:
        self._write_password()
        with contextlib.ExitStack() as undo:
            undo.callback(self.end)
            for part in PARTS:
                self._begin(part)
            self.until(self._healthy, "Airflow to be healthy")
            token = self._session.post(
                f"{self.url}/auth/token", json={"username": USER, "password": self.password}, timeout=60
            )
            token.raise_for_status()
            self._session.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End all parts and whatever they started, by their process ids."""
        self._session.close()
        left = [each for process in self._processes.values() for each in _with_children(process.pid)]
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for process in self._processes.values():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, sign)
            _, left = psutil.wait_procs(left, timeout=LONGEST_END_SECONDS)
        for each in left:  # one that left its group
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        for process in self._processes.values():
            process.wait()
        self._processes.clear()

    def until(self, found: Callable[[], T | None], what: str) -> T:
        """Return what ``found`` returns once it is true.

        :raises DemoError: it takes too long, or a part of Airflow has ended.
        :raises KeyboardInterrupt: the person has ended the playground.
        """
        give_up = time.monotonic() + LONGEST_START_SECONDS
        while not (it := found()):
            self.check()
            if time.monotonic() > give_up:
                raise DemoError(f"waited for {what} for {LONGEST_START_SECONDS} s")
            if self._stopped(LOOK_EVERY_SECONDS):
                raise KeyboardInterrupt
        return it

    def check(self) -> None:
        """Check that all parts run.

        :raises DemoError: one has ended.
        """
        for part, process in self._processes.items():
            if process.poll() is not None:
                raise DemoError(f"Airflow's {part} ended with code {process.returncode}")

    def add_connection(self, connection_id: str, fields: Mapping[str, Any]) -> None:
        """Add a connection, so that it is in the UI too.

        :param fields: as the JSON form of ``AIRFLOW_CONN_...`` has them.
        """
        extra = fields.get("extra")
        body = {**fields, "connection_id": connection_id, "extra": extra if extra is None else json.dumps(extra)}
        self._send("POST", "/connections", body)

    def start(self, dag_id: str, **conf: Any) -> str:
        """Start a run of a DAG once Airflow has read it; return the run's id."""
        body = {"logical_date": None, "conf": conf}
        # Airflow lists a DAG before it can run it.
        made = self.until(lambda: self._send("POST", f"/dags/{dag_id}/dagRuns", body, none_on=404), f"the DAG {dag_id}")
        return str(made["dag_run_id"])

    def state(self, dag_id: str, run_id: str, task_id: str) -> str | None:
        """Return the state of a task."""
        found = self._get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}") or {}
        return found.get("state")

    def _write_password(self) -> None:
        path = self.airflow.home / PASSWORDS
        path.touch(mode=0o600)
        path.write_text(json.dumps({USER: self.password}), encoding="utf-8")

    def _begin(self, part: str) -> None:
        with self.airflow.log.open("ab") as log:
            # In a group of its own, so that Ctrl-C reaches the playground alone, which then ends it.
            self._processes[part] = subprocess.Popen(
                [sys.executable, "-m", "airflow", part],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.airflow.guard.watch(self._processes[part].pid)

    def _healthy(self) -> bool:
        try:
            health = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=60).json()
        except (requests.RequestException, ValueError):
            return False
        parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return all((health.get(part) or {}).get("status") == "healthy" for part in parts)

    def _get(self, path: str) -> dict[str, Any] | None:
        try:
            response = self._session.get(f"{self.url}/api/v2{path}", timeout=60)
        except requests.RequestException:
            return None
        return dict(response.json()) if response.ok else None

    def _send(self, method: str, path: str, body: Any, *, none_on: int | None = None) -> dict[str, Any] | None:
        try:
            response = self._session.request(method, f"{self.url}/api/v2{path}", json=body, timeout=60)
        except requests.RequestException as error:
            raise DemoError(f"{method} {path}: {type(error).__name__}") from None
        if response.status_code == none_on:
            return None
        if not response.ok:
            raise DemoError(f"{method} {path}: {response.status_code} {response.text[:300]}")
        return dict(response.json())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _with_children(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
