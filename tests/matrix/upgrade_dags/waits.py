"""Three waits that are deferred when Airflow is upgraded; each runs once. The same file before and after."""

import os
from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.sensors.drs import DrsJobReadySensor, DrsSwitchoverSensor

KINDS = {
    "switchover": lambda job_id: DrsSwitchoverSensor(
        task_id="task", job_id=job_id, deferrable=True, poke_interval=1, end_from_trigger=False
    ),
    "switchover_by_trigger": lambda job_id: DrsSwitchoverSensor(
        task_id="task", job_id=job_id, deferrable=True, poke_interval=1
    ),
    "ready": lambda job_id: DrsJobReadySensor(
        task_id="task", job_id=job_id, deferrable=True, poke_interval=1, max_lag=5, stable_samples=2
    ),
    "operator": lambda job_id: DrsSwitchoverOperator(
        task_id="task", job_id=job_id, mode="target", deferrable=True, poll_interval=1
    ),
}

for kind, make in KINDS.items():
    with DAG(
        kind,
        schedule="@once",
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        is_paused_upon_creation=False,
    ):
        make(os.environ[f"MATRIX_JOB_{kind.upper()}"])
