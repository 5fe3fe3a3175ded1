"""Switch one job, and wait for the end in a task of its own: each with its own retries and alerts."""

from __future__ import annotations

# Here so that the example runs on Airflow 2.11 as well; on Airflow 3 alone, "from airflow.sdk import ..." does.
from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor

with DAG(
    dag_id="switch_and_wait",
    schedule=None,
    max_active_runs=1,  # two runs could ask DRS at the same moment
    params={
        "job_id": Param(type="string", title="DRS job", description="Of a cross-AZ job, the parent's id."),
        "mode": Param("target", enum=["source", "target"], title="Database whose virtual IP address to switch"),
        "max_lag": Param(5, type="number", minimum=0, title="Seconds the job may lag behind"),
    },
    tags=["drs"],
) as dag:
    switch = DrsSwitchoverOperator(
        task_id="switch",
        job_id="{{ params.job_id }}",
        mode="{{ params.mode }}",
        max_lag="{{ params.max_lag }}",
        wait_for_completion=False,
    )

    # With the operator's XCom it waits for this switchover: the result of an earlier one does not count.
    DrsSwitchoverSensor(task_id="wait", switchover=switch.output, deferrable=True)
