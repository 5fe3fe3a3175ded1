"""The smallest useful DAG: wait for the switchover of one DRS job, then go on."""

from __future__ import annotations

# Here so that the example runs on Airflow 2.11 as well; on Airflow 3 alone, "from airflow.sdk import ..." does.
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_drs.params import job_id_param
from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor

with DAG(
    dag_id="wait_for_switchover",
    schedule=None,
    params={"job_id": job_id_param()},
    doc_md=__doc__,
    tags=["drs"],
) as dag:
    wait = DrsSwitchoverSensor(task_id="wait", job_id="{{ params.job_id }}", deferrable=True)

    @task
    def go_on(switchover) -> str:
        """Stand in for your own next step; its argument is what the sensor found out."""
        message = f"Job {switchover['job_id']}: DRS reports the switchover complete, seen at {switchover['done_at']}"
        print(message)
        return message

    go_on(wait.output)
