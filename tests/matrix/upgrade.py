"""Waits that are deferred on the oldest Airflow end on the newest: ``python -m tests.matrix.upgrade RESULT-FILE``.

Both run on one database, which the newest one's ``airflow db migrate`` takes over.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from airflow_provider_drs.simulator import Job, Simulator
from tests.constants import COMPLETE, START, SWITCH, numbered_job
from tests.matrix.cluster import Cluster
from tests.matrix.environments import NEWEST, OLDEST, environment_of
from tests.matrix.lags import deferral_lags
from tests.postgres import Postgres

JOBS = {
    # While the old Airflow runs, and from when the new one does.
    "switchover": ({"status_script": [START]}, {"status_script": [COMPLETE]}),
    "switchover_by_trigger": ({"status_script": [START]}, {"status_script": [COMPLETE]}),
    "ready": ({"lag_script": [60]}, {"lag_script": [1]}),
    "operator": ({"start_after": 1, "start_lasts": 3600}, {"status_script": [COMPLETE]}),
}
ALL_WITHIN = 300
DAGS = Path(__file__).with_name("upgrade_dags")


def main() -> int:
    """Run and judge; write what ``tests.matrix`` reads to the result file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("result", type=Path)
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    arguments, _ = parser.parse_known_args()
    # A terminated run ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="matrix-upgrade-"))
    try:
        result = upgrade(folder)
        arguments.result.write_text(json.dumps(result))
    finally:
        if arguments.keep:
            print(f"upgrade: kept {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if any(result["misses"].values()) else 0


def upgrade(folder: Path) -> dict[str, Any]:
    """Return what missed, by case, and the figures."""
    began, busy = time.monotonic(), 0.0
    ids = {kind: numbered_job(number) for number, kind in enumerate(JOBS)}
    jobs = [Job(ids[kind], **before) for kind, (before, _) in JOBS.items()]  # type: ignore[arg-type]
    with Postgres() as database, Simulator(jobs=jobs) as simulator:
        environment = {
            "AIRFLOW_CONN_DRS_DEFAULT": json.dumps(simulator.connection(region="eu-de")),
            # What a trigger is stored with is encrypted.
            "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
            **{f"MATRIX_JOB_{kind.upper()}": job_id for kind, job_id in ids.items()},
        }
        states: dict[str, str] = {}
        for version, wanted in ((OLDEST, "deferred"), (NEWEST, "success")):
            home = folder / version
            home.mkdir()
            major, minor = (int(number) for number in version.split(".")[:2])
            with Cluster(
                (major, minor), home, environment, python=environment_of(version), database=database, dags=DAGS
            ) as cluster:
                if version == NEWEST:
                    for kind, (_, after) in JOBS.items():
                        simulator.add_job(Job(ids[kind], **after))  # type: ignore[arg-type]
                states = _wait(cluster, lambda found, wanted=wanted: set(found.values()) == {wanted})  # type: ignore[misc]
                busy += cluster.cpu_seconds()
                missed = {kind: states.get(kind, "missing") for kind in JOBS if states.get(kind) != wanted}
                evidence = cluster.xcom("operator", "%", "task", "switchover") or {}
                lags = deferral_lags(cluster.logs())
            if missed:
                break
        misses = {kind: f"{missed[kind]} on {version}, not {wanted}" if kind in missed else "" for kind in JOBS}
        posts = len(simulator.calls(SWITCH))
        if not misses["operator"] and (posts, evidence.get("outcome")) != (1, "done"):
            misses["operator"] = f"{posts} requests to switch, the evidence says {evidence.get('outcome')!r}"
    return {
        "seconds": round(time.monotonic() - began),
        "cpu": round(busy + time.process_time()),
        "python": sys.version.split()[0],
        "lags": lags,
        "struck": [],
        "misses": {f"{kind}_over_an_upgrade": missed for kind, missed in misses.items()},
    }


def _wait(cluster: Cluster, enough: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    """Wait until the tasks are as they should be, or the time is up; return their states, by DAG."""
    until = time.monotonic() + ALL_WITHIN
    while True:
        states = {dag_id: str(state) for dag_id, state in cluster.rows("select dag_id, state from task_instance")}
        if (len(states) == len(JOBS) and enough(states)) or time.monotonic() > until or cluster.dead():
            return states
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
