"""The smallest useful DAG: wait for the switchover of one DRS job, then go on.

If a run stops, the runbook says what each message means and what to do: `airflow-drs docs runbook`.
"""

from __future__ import annotations

from datetime import timedelta

# Here so that the example runs on Airflow 2.11 as well; on Airflow 3 alone, "from airflow.sdk import ..." does.
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_drs.params import job_id_param
from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor

with DAG(
    dag_id="wait_for_switchover",
    schedule=None,
    max_active_runs=1,  # a second run would wait for the same switchover, or take the last one for its own
    params={"job_id": job_id_param()},
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
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
