"""A whole Airflow (scheduler, triggerer, DAG processor, API server) in processes of its own, for the tests."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import requests

from tests.waiting import PATIENCE, until

T = TypeVar("T")

AIRFLOW = str(Path(sys.executable).with_name("airflow"))
SETTINGS = Path(__file__).parent / "settings"

# Airflow gives up on its own parts after these seconds: on a busy machine they are slow, and there is no other.
NEVER_GIVEN_UP = {
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600",
    "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "600",
    "AIRFLOW__DAG_PROCESSOR__HEALTH_CHECK_THRESHOLD": "600",
    "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": "3600",
    "AIRFLOW__EXECUTION_API__JWT_EXPIRATION_TIME": "7200",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "600",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "1800",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "3600",
    "AIRFLOW__TRIGGERER__RUNNER_HEALTH_CHECK_THRESHOLD": "600",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "600",
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "120",
    "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "30",
}
# What each task would import for itself.
PRELOADED = (
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.providers.standard.operators.python",
    "airflow_provider_drs.cutover",
    "airflow_provider_drs.operators.drs",
    "airflow_provider_drs.sensors.drs",
    "airflow_provider_drs.triggers.drs",
    "airflow_provider_drs.clients.async_client",
    "airflow_provider_drs.clients.sync_client",
)
DEFERRED = re.compile(
    r"TaskInstance Finished: dag_id=(\S+), task_id=(\S+), run_id=(\S+), .* state=deferred, .*executor_state=success"
)


class Standalone:
    """The parts of an Airflow, with an SQLite database below ``home``.

    Two API servers: people's and the workers'. The former writes down each request of a person on the loop that serves
    all, so that in one process it would wait for the database's lock while whoever has it, a worker's request, waited
    for the loop to go on: each such knot lasts for as long as the lock is waited for.

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
        start_within: float = PATIENCE,
    ) -> None:
        with contextlib.ExitStack() as probes:
            sockets = [probes.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(4)]
            self.port, workers, worker_logs, trigger_logs = (probe.getsockname()[1] for probe in sockets)
        self.url = f"http://127.0.0.1:{self.port}"
        self.home = home
        self.log = home / "standalone.log"
        self.start_within = start_within
        self.database = database
        self.workers_url = f"http://127.0.0.1:{workers}/execution"
        self.parts = {
            "scheduler": ["scheduler"],
            "triggerer": ["triggerer"],
            "dag-processor": ["dag-processor"],
            "api-server": ["api-server", "--apps", "core", "--port", str(self.port)],
            "execution": ["api-server", "--apps", "execution", "--port", str(workers)],
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(AIRFLOW).parent), os.environ.get("PATH", "")]),
            "PYTHONPATH": os.pathsep.join([str(SETTINGS), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "PRELOADED": " ".join(PRELOADED),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.workers_url}/",
            # The DAGs are read once.
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3600",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            # On a busy machine one process can hold SQLite's lock for longer than the usual five seconds.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=60",
            **NEVER_GIVEN_UP,
            **environment,
        }
        self._session = requests.Session()
        self._session.trust_env = False

    def __enter__(self) -> Self:
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "airflow.cfg").touch()  # else each part would write one, with keys of its own
        with contextlib.ExitStack() as undo:
            undo.callback(self._session.close)
            if self.database is not None:
                # Not the file: what was written last stands in another one beside it.
                with (
                    contextlib.closing(sqlite3.connect(self.database)) as migrated,
                    contextlib.closing(sqlite3.connect(self.home / "airflow.db")) as copy,
                ):
                    migrated.backup(copy)
            else:
                made = self.cli("db", "migrate")
                assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-3000:]
            self.prepare()
            undo.callback(self._end_processes)
            for part in self.parts:
                self.begin(part)
            self.until(self._healthy, "a healthy Airflow", self.start_within)
            self._session.headers["Authorization"] = f"Bearer {self.log_in()}"
            # A start that failed ends what it began; after one that did not, that is left to the end of the block.
            self._stack = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def prepare(self) -> None:
        """Do what is to be done between the making of the database and the start of the parts."""

    def log_in(self) -> str:
        """Return a token for the API."""
        return str(self.request("GET", "/auth/token").json()["access_token"])

    def begin(self, part: str) -> None:
        """Start a part, in a process group of its own."""
        with self.log.open("ab") as log:
            self.processes[part] = subprocess.Popen(
                [AIRFLOW, *self.parts[part]], env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, part: str) -> None:
        """Kill a part as a crash would."""
        process = self.processes.pop(part)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _end_processes(self) -> None:
        end = time.monotonic() + 60
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for process in self.processes.values():
                with contextlib.suppress(ProcessLookupError):  # its children outlive a signal to it alone
                    os.killpg(process.pid, sign)
            for process in self.processes.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(end - time.monotonic(), 1))

    def until(self, found: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
        """Return what ``found`` returns once it is true; an error tells what Airflow wrote instead."""
        return until(
            found,
            seconds,
            what,
            over=lambda: any(process.poll() is not None for process in self.processes.values()),
            tell=lambda: f"; Airflow's log ends:\n{self.log.read_text(errors='replace')[-6000:]}",
            interval=0.5,  # each look takes Airflow's API server some of the time that the tasks need
        )

    def request(self, method: str, path: str, body: Any = None) -> requests.Response:
        """Return the response to a request, which is sent again while SQLite's lock is held.

        Airflow has then rolled back what it began.
        """

        def sent() -> tuple[requests.Response] | None:
            try:
                response = self._session.request(
                    method, f"{self.url}{path}", json=body, timeout=PATIENCE if body else 60
                )
            except (requests.ConnectionError, requests.Timeout):
                if method != "GET":
                    raise
                return None
            locked = response.status_code == 500 and "Database error" in response.text
            return None if locked else (response,)

        return self.until(sent, f"a response to {method} {path}")[0]

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
        self.until(lambda: self.request("GET", f"/api/v2/dags/{dag_id}").ok, f"the DAG {dag_id}")
        return str(self.send("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"])

    def task(self, dag_id: str, run_id: str, task_id: str = "wait") -> dict[str, Any]:
        """Return the task instance."""
        return dict(self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"))

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return all task instances of the run."""
        return list(self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"])

    def state(self, dag_id: str, run_id: str, *states: str, task_id: str = "wait") -> str:
        """Wait until the task is in one of ``states``; return which."""

        def seen() -> str | None:
            state = self.task(dag_id, run_id, task_id)["state"]
            return str(state) if state in states else None

        return self.until(seen, f"{dag_id}.{task_id} to be {' or '.join(states)}")

    def deferred(self) -> set[str]:
        """Return the runs whose task is deferred and whose worker the scheduler has seen end.

        A trigger that fires before that can meet a scheduler that takes the task for lost.
        """
        return {found[3] for found in DEFERRED.finditer(self.log.read_text(errors="replace"))}

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
        self.until(lambda: not any(_open_files(folder)), f"the end of the log of {dag_id} {run_id}")
        return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())

    def log_text(self) -> str:
        """Return all that tasks, triggers and the components wrote so far."""
        files = [path for path in (self.home / "logs").rglob("*") if path.is_file()]
        return "\n".join(path.read_text(errors="replace") for path in [self.log, *files])

    def database_bytes(self) -> bytes:
        """Return all that the database keeps, as it stands in its files."""
        return b"".join(path.read_bytes() for path in self.home.glob("airflow.db*"))

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the ``airflow`` command."""
        return subprocess.run(
            [AIRFLOW, *arguments], env=self.environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def _healthy(self) -> bool:
        try:
            health = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=60).json()
            ok = self._session.get(f"{self.workers_url}/health", timeout=60).ok
        except (requests.RequestException, ValueError):
            return False
        return all((health.get(part) or {}).get("status") == "healthy" for part in ("scheduler", "triggerer")) and ok


def _open_files(folder: Path) -> Iterator[Path]:
    """Yield the files below ``folder`` that some process holds open."""
    for handle in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # the process is over, or another user's
            target = handle.readlink()
            if target.is_relative_to(folder):
                yield target
