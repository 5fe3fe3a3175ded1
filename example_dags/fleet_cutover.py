"""Many jobs, a few at a time: all must be ready first, then each is switched by a task of its own.

A job that cannot be switched fails its own task and holds up no other. A cleared task switches only its own job.

If a run stops, the runbook says what each message means and what to do: `airflow-drs docs runbook`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG, task
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.params import dry_run_param, job_ids_param, max_lag_param, mode_param
from airflow_provider_drs.sensors.jobs import DrsJobReadySensor

AT_ONCE = 2

with DAG(
    dag_id="fleet_cutover",
    schedule=None,
    max_active_runs=1,  # two runs could ask DRS at the same moment
    params={
        "job_ids": job_ids_param(),
        "mode": mode_param(),
        "max_lag": max_lag_param(),
        "dry_run": dry_run_param(),
    },
    render_template_as_native_obj=True,  # so that job_ids reaches the sensor as a list
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
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
        dry_run="{{ params.dry_run }}",
        retries=2 if AIRFLOW_V_3_3_PLUS else 0,  # before 3.3 a further try ends as unknown
        max_active_tis_per_dag=AT_ONCE,
        # Before Airflow 3.2 a deferred task does not count as active, and the limit would not hold.
        deferrable=False,
    ).expand(job_id=job_ids(ready.output))
