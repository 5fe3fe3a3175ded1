"""An Airflow on Celery: two schedulers, two workers, two triggerers, an API server behind a relay, a DAG processor."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import signal
import threading
import time
from pathlib import Path
from typing import Any

import requests

from tests.airflow.standalone import PRELOADED, SETTINGS
from tests.cluster.redis import Redis
from tests.cluster.relay import ApiRelay
from tests.matrix.cluster import Cluster, with_descendants
from tests.waiting import until

DAGS = Path(__file__).parent / "dags"
AIRFLOW = (3, 3)
# Tasks that one of the two workers runs at once.
CONCURRENCY = 12
HEALTHY_WITHIN = 300
FERNET_KEY = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
WORKER = ["celery", "worker", "--skip-serve-logs", "--without-gossip", "--without-mingle", "--concurrency"]
# What Airflow takes minutes for by default, so that a trial of some minutes sees it.
COMPRESSED: dict[str, dict[str, object]] = {
    "SCHEDULER": {
        "SCHEDULER_HEALTH_CHECK_THRESHOLD": 30, "ORPHANED_TASKS_CHECK_INTERVAL": 20, "TASK_QUEUED_TIMEOUT": 90,
        "TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": 15, "TASK_INSTANCE_HEARTBEAT_TIMEOUT": 90,
        "TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 10,
    },
    # A request that is only slow is no fault of this trial.
    "WORKERS": {"EXECUTION_API_TIMEOUT": 30},
    "TRIGGERER": {"TRIGGERER_HEALTH_CHECK_THRESHOLD": 15, "JOB_HEARTBEAT_SEC": 3},
}  # fmt: skip


class CeleryCluster(Cluster):
    """Starts all parts, and kills, stops and starts each again; a context manager.

    :param folder: its AIRFLOW_HOME; must be empty.
    :param environment: further environment variables, such as connections.
    """

    def __init__(self, folder: Path, redis: Redis, environment: dict[str, str]) -> None:
        super().__init__(AIRFLOW, folder, {"AIRFLOW__CORE__DAGS_FOLDER": str(DAGS), **environment})
        self.redis = redis
        self.relay = ApiRelay(self._who)
        self._one_query = threading.Lock()
        self._away: set[str] = set()

    def __enter__(self) -> CeleryCluster:
        with contextlib.ExitStack() as undo:
            undo.enter_context(self.relay)
            (self.folder / "airflow.cfg").touch()  # else each part would write one, with keys of its own
            super().__enter__()
            undo.callback(super().__exit__)
            began = time.monotonic()
            until(
                self._is_healthy, HEALTHY_WITHIN, "a healthy cluster", over=lambda: bool(self.dead()), tell=self._told,
                interval=0.5,
            )  # fmt: skip
            self.healthy_after = time.monotonic() - began
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _commands(self) -> dict[str, list[str]]:
        workers = {
            f"worker-{number}": [*WORKER, str(CONCURRENCY), "--celery-hostname", f"worker-{number}@localhost",
                                 "--pid", str(self.folder / f"worker-{number}.pid")]
            for number in (1, 2)
        }  # fmt: skip
        return {
            "scheduler-1": ["scheduler"],
            "scheduler-2": ["scheduler"],
            "dag-processor": ["dag-processor"],
            "api-server": ["api-server"],
            **workers,
            "triggerer-1": ["triggerer", "--skip-serve-logs"],
            "triggerer-2": ["triggerer", "--skip-serve-logs"],
        }

    def _settings(self, uri: str) -> dict[str, str]:
        sections: dict[str, dict[str, object]] = {
            **COMPRESSED,
            "CORE": {"EXECUTOR": "CeleryExecutor", "PARALLELISM": "64", "FERNET_KEY": FERNET_KEY,
                     "EXECUTION_API_SERVER_URL": f"{self.relay.url}/execution/"},
            "CELERY": {"BROKER_URL": self.redis.url, "WORKER_PREFETCH_MULTIPLIER": "1",
                       "RESULT_BACKEND": uri.replace("postgresql:", "db+postgresql+psycopg2:")},
        }  # fmt: skip
        compressed = {
            f"AIRFLOW__{name}__{key}": str(value) for name, keys in sections.items() for key, value in keys.items()
        }
        made = super()._settings(uri)
        self.relay.upstream = self.url
        paths = [str(SETTINGS), made["PYTHONPATH"]]
        return {
            **made,
            **compressed,
            **self._environment,
            "PYTHONPATH": os.pathsep.join(paths),
            "PRELOADED": " ".join(PRELOADED),
            "C_FORCE_ROOT": "1",
        }

    # Health

    def _is_healthy(self) -> bool:
        alive: dict[str, int] = dict(
            self.rows(
                "select job_type, count(*) from job where state = 'running' "
                "and latest_heartbeat > now() - interval '15 seconds' group by job_type"
            )
        )
        ready = all(" ready." in self._log_of(f"worker-{number}") for number in (1, 2))
        return (
            [alive.get(kind, 0) for kind in ("SchedulerJob", "TriggererJob")] == [2, 2]
            and ready
            and self.api_responds()
            and bool(self.rows("select 1 from serialized_dag where dag_id = 'poke'"))
        )

    def api_responds(self) -> bool:
        """Tell whether the API server does."""
        with contextlib.suppress(requests.RequestException):
            return self._session.get(f"{self.url}/api/v2/version", timeout=5).ok
        return False

    def _log_of(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _told(self) -> str:
        ends = "".join(f"\n--- {name}\n{self._log_of(name)[-1500:]}" for name in self._commands())
        return f"; ended by themselves: {self.dead()}{ends}"

    def memory(self) -> float:
        """Return the memory of all parts in GiB; what several share counts once."""
        found = with_descendants([*self._ours(), *filter(None, [self.redis.process_id])])
        total = 0
        for process_id in found - {os.getpid()}:
            with contextlib.suppress(OSError, StopIteration):
                lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
                total += int(next(line for line in lines if line.startswith("Pss:")).split()[1])
        return total / 2**20

    # Faults

    def dead(self) -> list[str]:
        """Return the components that have ended by themselves, those not counted that were killed."""
        return [name for name in super().dead() if name not in self._away]

    def kill(self, name: str) -> None:
        """Kill a part and all that descends from it, tasks too, as a machine that loses its power would."""
        self._away.add(name)
        found: set[int] = set()
        # First stopped, so that none starts another meanwhile.
        while (tree := with_descendants([self._processes[name].pid])) - found:
            for process_id in tree - found:
                _signal(process_id, signal.SIGSTOP)
            found |= tree
        for process_id in found:
            _signal(process_id, signal.SIGKILL)
        self._processes[name].wait(30)

    def start(self, name: str) -> None:
        """Start a part again that was killed."""
        (self.folder / f"{name}.pid").unlink(missing_ok=True)
        self._start(name)
        self._away.discard(name)

    def freeze(self, name: str) -> None:
        """Let a part stand still, and all that descends from it."""
        for process_id in with_descendants([self._processes[name].pid]):
            _signal(process_id, signal.SIGSTOP)

    def wake(self, name: str) -> None:
        """Let it go on."""
        for process_id in with_descendants([self._processes[name].pid]):
            _signal(process_id, signal.SIGCONT)

    # The database

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query, as the base does; also in a thread."""
        with self._one_query:
            return super().rows(query, *values)

    def _who(self, instance: str) -> tuple[str, str] | None:
        found = self.rows("select run_id, task_id from task_instance where id::text = %s", instance)
        return (str(found[0][0]), str(found[0][1])) if found else None


def _signal(process_id: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process_id, number)
