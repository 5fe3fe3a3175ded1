"""Many jobs, a few at a time: all must be ready first, then each is switched by a task of its own.

A job that cannot be switched fails its own task and holds up no other. A cleared task switches only its own job.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.sensors.jobs import DrsJobReadySensor

AT_ONCE = 2

with DAG(
    dag_id="fleet_cutover",
    schedule=None,
    max_active_runs=1,  # two runs could ask DRS at the same moment
    params={
        "job_ids": Param(type="array", items={"type": "string"}, minItems=1, title="DRS jobs, one id a line"),
        "mode": Param("target", enum=["source", "target"], title="Database whose virtual IP address to switch"),
        "max_lag": Param(5, type="number", minimum=0, title="Seconds a job may lag behind"),
    },
    render_template_as_native_obj=True,  # so that job_ids reaches the sensor as a list
    tags=["drs"],
) as dag:
    ready = DrsJobReadySensor(
        task_id="ready", job_ids="{{ params.job_ids }}", max_lag="{{ params.max_lag }}", deferrable=True
    )

    @task
    def job_ids(samples) -> list[str]:
        return sorted(samples)

    DrsSwitchoverOperator.partial(
        task_id="switch",
        mode="{{ params.mode }}",
        max_lag="{{ params.max_lag }}",
        max_active_tis_per_dag=AT_ONCE,
        # Before Airflow 3.2 a deferred task does not count as active, and the limit would not hold.
        deferrable=False,
    ).expand(job_id=job_ids(ready.output))
