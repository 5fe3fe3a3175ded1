"""A whole Airflow (scheduler, triggerer, DAG processor, API server) in processes of its own, for the tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import requests

from tests.waiting import until

T = TypeVar("T")

AIRFLOW = str(Path(sys.executable).with_name("airflow"))


class Standalone:
    """``airflow standalone`` with an SQLite database below ``home``.

    :param home: its AIRFLOW_HOME, made if need be.
    :param dags: folder of its DAG files.
    :param environment: further environment variables, such as connections.
    :param database: a migrated SQLite database to begin with; None: it makes its own, which takes longer.
    :param start_within: seconds to wait for it to be healthy.
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        environment: dict[str, str],
        database: Path | None = None,
        start_within: float = 180,
    ) -> None:
        with contextlib.ExitStack() as probes:
            sockets = [probes.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
            self.port, worker_logs, trigger_logs = (probe.getsockname()[1] for probe in sockets)
        self.url = f"http://127.0.0.1:{self.port}"
        self.home = home
        self.log = home / "standalone.log"
        self.start_within = start_within
        home.mkdir(parents=True, exist_ok=True)
        if database is not None:
            shutil.copyfile(database, home / "airflow.db")
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(AIRFLOW).parent), os.environ.get("PATH", "")]),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            # The DAGs are read once.
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3600",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            # On a busy machine one process can hold SQLite's lock for longer than the usual five seconds.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=20",
            **environment,
        }
        self._session = requests.Session()
        self._session.trust_env = False

    def __enter__(self) -> Standalone:
        with contextlib.ExitStack() as undo:
            undo.callback(self._session.close)
            self._out = undo.enter_context(self.log.open("wb"))
            self._process = subprocess.Popen(
                [AIRFLOW, "standalone"],
                env=self.environment,
                stdout=self._out,
                stderr=self._out,
                start_new_session=True,
            )
            undo.callback(self._end_processes)
            self.until(self._healthy, self.start_within, "a healthy Airflow")
            token = self._session.get(f"{self.url}/auth/token", timeout=30).json()["access_token"]
            self._session.headers["Authorization"] = f"Bearer {token}"
            # A start that failed ends what it began; after one that did not, that is left to the end of the block.
            self._stack = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def group(self) -> int:
        """The process group of all its processes."""
        return self._process.pid

    def _end_processes(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # its children outlive a signal to it alone
            os.killpg(self.group, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGKILL)
        self._process.wait()

    def until(self, found: Callable[[], T | None], seconds: float, what: str) -> T:
        """Return what ``found`` returns once it is true; an error tells what Airflow wrote instead."""
        return until(
            found,
            seconds,
            what,
            over=lambda: self._process.poll() is not None,
            tell=lambda: f"; Airflow's log ends:\n{self.log.read_text()[-6000:]}",
        )

    def request(self, method: str, path: str, body: Any = None) -> requests.Response:
        """Return the response to a request, which is sent again while SQLite's lock is held.

        Airflow has then rolled back what it began.
        """

        def sent() -> tuple[requests.Response] | None:
            try:
                response = self._session.request(method, f"{self.url}{path}", json=body, timeout=60)
            except requests.Timeout:
                if method != "GET":
                    raise
                return None
            locked = response.status_code == 500 and "Database error" in response.text
            return None if locked else (response,)

        return self.until(sent, 180, f"a response to {method} {path}")[0]

    def get(self, path: str, api: str = "/api/v2") -> Any:
        """Return the JSON of ``GET {api}{path}``."""
        response = self.request("GET", f"{api}{path}")
        response.raise_for_status()
        return response.json()

    def send(self, method: str, path: str, body: Any) -> Any:
        """Return the JSON of another request to the API."""
        response = self.request(method, f"/api/v2{path}", body)
        assert response.ok, response.text
        return response.json() if response.content else None

    def start(self, dag_id: str, **conf: Any) -> str:
        """Start a run of a DAG as soon as Airflow has read it; return the run's id."""
        self.until(lambda: self.request("GET", f"/api/v2/dags/{dag_id}").ok, 120, f"the DAG {dag_id}")
        return str(self.send("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"])

    def task(self, dag_id: str, run_id: str, task_id: str = "wait") -> dict[str, Any]:
        """Return the task instance."""
        return dict(self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"))

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return all task instances of the run."""
        return list(self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"])

    def state(self, dag_id: str, run_id: str, *states: str, task_id: str = "wait", seconds: float = 120) -> str:
        """Wait until the task is in one of ``states``; return which."""

        def seen() -> str | None:
            state = self.task(dag_id, run_id, task_id)["state"]
            return str(state) if state in states else None

        return self.until(seen, seconds, f"{dag_id}.{task_id} to be {' or '.join(states)}")

    def xcom(self, dag_id: str, run_id: str, key: str = "return_value", task_id: str = "wait") -> Any:
        """Return an XCom of the task."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}?deserialize=true"
        try:
            return self.get(path)["value"]
        except requests.HTTPError as error:
            raise AssertionError(f"{error}; the task wrote:\n{self.task_log(dag_id, run_id)}") from None

    def task_log(self, dag_id: str, run_id: str) -> str:
        """Return what the tasks of one run wrote, on workers and in the triggerer, once they have written it all.

        A task's state is known before the last lines of its log are in the file: whoever writes it closes it then.
        """
        folder = self.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}"
        self.until(lambda: not any(_open_files(folder)), 60, f"the end of the log of {dag_id} {run_id}")
        return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())

    def log_text(self) -> str:
        """Return all that tasks, triggers and the components wrote so far."""
        files = [path for path in (self.home / "logs").rglob("*") if path.is_file()]
        return "\n".join(path.read_text(errors="replace") for path in [self.log, *files])

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the ``airflow`` command."""
        return subprocess.run(
            [AIRFLOW, *arguments], env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )

    def _healthy(self) -> bool:
        try:
            health = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
        except (requests.RequestException, ValueError):
            return False
        return all((health.get(part) or {}).get("status") == "healthy" for part in ("scheduler", "triggerer"))


def _open_files(folder: Path) -> Iterator[Path]:
    """Yield the files below ``folder`` that some process holds open."""
    for handle in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # the process is over, or another user's
            target = handle.readlink()
            if target.is_relative_to(folder):
                yield target
