"""A whole Airflow on PostgreSQL in processes of its own, all of which are ended by their ids."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import requests

from tests.postgres import Postgres, free_port

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
# How the processes of a cluster are told from all others: tasks leave the process group they are started in.
MARK = "MATRIX_CLUSTER"

API_WITHIN = 300

COMPONENTS_OF_2 = ("scheduler", "dag-processor", "triggerer", "webserver")
# The API first: a task that is started while nobody answers there fails.
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")

# Airflow 2: whoever comes may use the API.
WEBSERVER_CONFIG = 'AUTH_ROLE_PUBLIC = "Admin"\nWTF_CSRF_ENABLED = False\n'


class Cluster:
    """Scheduler, DAG processor, triggerer and API server of an Airflow.

    :param version: of that Airflow.
    :param folder: its AIRFLOW_HOME and logs; must be empty.
    :param environment: further environment variables, such as connections.
    :param python: of the environment that has it; None: of this process's.
    :param database: what another Airflow has left there is migrated; None: one of its own.
    :param dags: the folder with its DAGs.
    """

    def __init__(
        self,
        version: tuple[int, int],
        folder: Path,
        environment: dict[str, str],
        *,
        python: Path | None = None,
        database: Postgres | None = None,
        dags: Path = HERE / "dags",
    ) -> None:
        self.version = version
        self._airflow = str(Path(python or sys.executable).with_name("airflow"))
        self._database = database
        self._dags = dags
        self.folder = folder
        self.mark = secrets.token_hex(8)
        self._environment = environment
        self._stack = contextlib.ExitStack()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._session = requests.Session()
        self._session.trust_env = False

    def __enter__(self) -> Cluster:
        with contextlib.ExitStack() as undo:
            database = self._database or undo.enter_context(Postgres())
            undo.callback(self._end)
            self.environment = self._settings(database.uri)
            self._connection = undo.enter_context(contextlib.closing(database.connect()))
            if self.version < (3, 0):
                (self.folder / "webserver_config.py").write_text(WEBSERVER_CONFIG)
            migrated = subprocess.run(
                [self._airflow, "db", "migrate"], env=self.environment, capture_output=True, text=True, check=False
            )
            if migrated.returncode:
                raise RuntimeError(f"airflow db migrate:\n{migrated.stdout[-3000:]}{migrated.stderr[-3000:]}")
            for component in self._commands():
                self._start(component)
                if component == "api-server":
                    self._wait_for_the_api()
            self._stack = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _commands(self) -> dict[str, list[str]]:
        """Return what is started: the arguments of ``airflow`` by the name of the component."""
        return {name: [name] for name in (COMPONENTS if self.version >= (3, 0) else COMPONENTS_OF_2)}

    def _start(self, component: str) -> None:
        # Python keeps stderr of a component in its file even where it dies at once.
        with (self.folder / f"{component}.log").open("ab") as log:
            self._processes[component] = subprocess.Popen(
                [self._airflow, *self._commands()[component]],
                env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def _wait_for_the_api(self) -> None:
        until = time.monotonic() + API_WITHIN
        while True:
            with contextlib.suppress(requests.RequestException):
                self._session.get(f"{self.url}/api/v2/version", timeout=10).raise_for_status()
                return
            if time.monotonic() > until or self.dead():
                raise RuntimeError(f"no API server:\n{(self.folder / 'api-server.log').read_text()[-3000:]}")
            time.sleep(0.5)

    def restart(self, component: str) -> None:
        """Kill a component and what it has started in its session, as a crash would, and start it again."""
        process = self._processes.pop(component)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._start(component)

    def _settings(self, uri: str) -> dict[str, str]:
        ports = [free_port() for _ in range(3)]
        self.url = f"http://127.0.0.1:{ports[0]}"
        plain = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW_", "PYTHON"))}
        sections: dict[str, dict[str, object]] = {
            "CORE": {
                "DAGS_FOLDER": str(self._dags), "LOAD_EXAMPLES": "False", "PARALLELISM": "8",
                "EXECUTOR": "LocalExecutor", "SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
                "EXECUTION_API_SERVER_URL": f"{self.url}/execution/", "MAX_ACTIVE_TASKS_PER_DAG": "64",
                "DAGBAG_IMPORT_TIMEOUT": "240", "DAG_FILE_PROCESSOR_TIMEOUT": "240",
            },
            "DATABASE": {"SQL_ALCHEMY_CONN": uri.replace("postgresql:", "postgresql+psycopg2:")},
            "API": {"PORT": ports[0], "HOST": "127.0.0.1", "WORKERS": "1", "SECRET_KEY": self.mark,
                    "AUTH_BACKENDS": "airflow.api.auth.backend.default"},
            "API_AUTH": {"JWT_SECRET": self.mark * 4},
            "WEBSERVER": {"WEB_SERVER_PORT": ports[0], "WEB_SERVER_HOST": "127.0.0.1", "WORKERS": "1",
                          "SECRET_KEY": self.mark},
            "LOGGING": {"WORKER_LOG_SERVER_PORT": ports[1], "TRIGGER_LOG_SERVER_PORT": ports[2]},
            # A callback counts as a reading of the file: one that long after the last takes the DAGs for gone.
            "SCHEDULER": {"STANDALONE_DAG_PROCESSOR": "True", "MIN_FILE_PROCESS_INTERVAL": "3600",
                          "STALE_DAG_THRESHOLD": "3600", "DAG_STALE_NOT_SEEN_DURATION": "7200",
                          "ENABLE_HEALTH_CHECK": "False", "MAX_DAGRUNS_TO_CREATE_PER_LOOP": "100",
                          "MAX_DAGRUNS_PER_LOOP_TO_SCHEDULE": "100", "PARSING_PROCESSES": "1"},
            "DAG_PROCESSOR": {"MIN_FILE_PROCESS_INTERVAL": "3600", "REFRESH_INTERVAL": "3600", "PARSING_PROCESSES": "1",
                              "DAG_FILE_PROCESSOR_TIMEOUT": "240", "STALE_DAG_THRESHOLD": "3600"},
            "TRIGGERER": {"DEFAULT_CAPACITY": "1000", "CAPACITY": "1000"},
        }  # fmt: skip
        settings = {
            f"AIRFLOW__{name}__{key}": str(value) for name, keys in sections.items() for key, value in keys.items()
        }
        return {
            **plain,
            **settings,
            "AIRFLOW_HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            MARK: self.mark,
            **self._environment,
        }

    # Watching

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query of Airflow's database, in which each ``%s`` stands for a value."""
        with self._connection.cursor() as cursor:
            cursor.execute(query, values or None)
            return list(cursor.fetchall())

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        """Return what a task left under a key; {} for nothing."""
        rows = self.rows(
            "select value from xcom where dag_id = %s and run_id like %s and task_id = %s and key = %s",
            dag_id, run_id, task_id, key,
        )  # fmt: skip
        value: Any = rows[0][0] if rows else {}
        while isinstance(value, (bytes, memoryview, str)):
            value = json.loads(bytes(value) if isinstance(value, memoryview) else value)
        return value

    def dead(self) -> list[str]:
        """Return the components that have ended by themselves."""
        return [name for name, process in self._processes.items() if process.poll() is not None]

    def cpu_seconds(self) -> float:
        """Return what the components, and all that they started, have had of a processor."""
        ticks = 0
        for process_id in self._ours():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(int(number) for number in fields[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON of a request to Airflow's API."""
        if self.version >= (3, 0) and "Authorization" not in self._session.headers:
            token = self._session.get(f"{self.url}/auth/token", timeout=30).json()["access_token"]
            self._session.headers["Authorization"] = f"Bearer {token}"
        api = "/api/v2" if self.version >= (3, 0) else "/api/v1"
        response = self._session.request(method, f"{self.url}{api}{path}", json=body, timeout=60)
        response.raise_for_status()
        return response.json()

    def logs(self) -> Iterator[tuple[Path, str]]:
        """Yield all that components, tasks and triggers have written, file by file."""
        for path in [*self.folder.glob("*.log"), *(self.folder / "logs").rglob("*.log*")]:
            if path.is_file():
                yield path, path.read_text(errors="replace")

    # Ending

    def _end(self) -> None:
        self._session.close()
        found: set[int] = set()
        for number, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 20)):
            found |= self._ours()
            for process_id in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process_id, number)
            until = time.monotonic() + patience
            while any(process.poll() is None for process in self._processes.values()) and time.monotonic() < until:
                time.sleep(0.2)
            found = {process_id for process_id in found if Path(f"/proc/{process_id}").exists()}

    def _ours(self) -> set[int]:
        """Return the ids of the components, of all that descend from them, and of those that carry our mark.

        A task may leave its process group and lose its parent; a component may write its title over its environment.
        """
        sign = f"{MARK}={self.mark}".encode()
        found = set()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if sign in (entry / "environ").read_bytes().split(b"\0"):
                    found.add(int(entry.name))
        return found | with_descendants(process.pid for process in self._processes.values() if process.poll() is None)


def with_descendants(process_ids: Iterable[int]) -> set[int]:
    """Return these processes and all that descend from them."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = set(), list(process_ids)
    while waiting:
        found.add(waiting[-1])
        waiting += [child for child in children.get(waiting.pop(), ()) if child not in found]
    return found
