"""DAGs of two tasks, a switchover and what follows it, one for each way to wait; the job comes with the run."""

import time

from airflow.sdk import DAG, Param, task

from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor

WAYS = {
    "poke": {},
    "resumed": {"deferrable": True, "end_from_trigger": False},
    "ended": {"deferrable": True, "end_from_trigger": True},
}


@task
def follow():
    """Tell when this began: what comes after a cutover must be as short as can be."""
    return time.time()


for way, options in WAYS.items():
    with DAG(f"cutover_{way}", schedule=None, params={"job_id": Param(type="string")}, is_paused_upon_creation=False):
        wait = DrsSwitchoverSensor(
            task_id="wait", job_id="{{ params.job_id }}", drs_conn_id="drs_bench", poke_interval=0.5, **options
        )
        wait >> follow()
