"""Runs one DAG for each case of ``test_lineage``, in a process of its own with OpenLineage on from its start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.sdk import DAG

from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.sensors.drs import DrsJobReadySensor, DrsJobStatusSensor, DrsSwitchoverSensor
from tests.constants import numbered_job

# Each case has a job of its own, by its place.
CASES: dict[str, Callable[..., Any]] = {
    "switched": lambda job, **task: _switch(job, **task),
    "switched_deferred": lambda job, **task: _switch(job, deferrable=True, **task),
    "switch_failed": lambda job, **task: _switch(job, **task),
    "guard": lambda job, **task: _switch(job, **task),
    "dry_run": lambda job, **task: _switch(job, dry_run=True, **task),
    "seen": lambda job, **task: DrsSwitchoverSensor(job_id=job, **task),
    "seen_deferred": lambda job, **task: DrsSwitchoverSensor(job_id=job, deferrable=True, **task),
    "seen_failed": lambda job, **task: DrsSwitchoverSensor(job_id=job, **task),
    "ready": lambda job, **task: DrsJobReadySensor(job_ids=[job, numbered_job(0)], stable_samples=1, **task),
    "unknown": lambda job, **task: DrsJobStatusSensor(job_id=job, target_statuses="INCRE_TRANSFER_STARTED", **task),
    "no_connection": lambda job, **task: DrsSwitchoverSensor(job_id=job, drs_conn_id="drs_missing", **task),
    "no_job": lambda job, **task: DrsSwitchoverSensor(job_id="a/b", **task),
}
JOBS = {case: numbered_job(place) for place, case in enumerate(CASES, 1)}


def _switch(job: str, poke_interval: float, **task: Any) -> DrsSwitchoverOperator:
    return DrsSwitchoverOperator(job_id=job, mode="target", poll_interval=poke_interval, **task)


DAGS = []
for case, make in CASES.items():
    with DAG(case, schedule=None) as dag:
        make(JOBS[case], task_id="wait", poke_interval=0.05)
    # Airflow finds the DAGs of a file among its names.
    globals()[case] = dag
    DAGS.append(dag)


def main() -> None:
    # It sets up a database, which the file of a DAG does not need.
    from airflow.utils.db import initdb

    initdb()
    for dag in DAGS:
        dag.test()


# Airflow reads this file again, from its DAGs folder.
if __name__ == "__main__":
    main()
