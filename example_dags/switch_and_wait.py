"""Switch one job, and wait for the end in a task of its own: each with its own retries and alerts.

If a run stops, the runbook says what each message means and what to do: `airflow-drs docs runbook`.
"""

from __future__ import annotations

import os
from datetime import timedelta

# Here so that the example runs on Airflow 2.11 as well; on Airflow 3 alone, "from airflow.sdk import ..." does.
from airflow.providers.common.compat.sdk import DAG
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.params import dry_run_param, job_id_param, max_lag_param, mode_param
from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor

# Where several DAGs could switch the same job: a pool of one slot, deferred tasks included, keeps them apart.
POOL = os.environ.get("DRS_POOL", "default_pool")

with DAG(
    dag_id="switch_and_wait",
    schedule=None,
    max_active_runs=1,  # two runs could ask DRS at the same moment
    params={
        "job_id": job_id_param(),
        "mode": mode_param(),
        "max_lag": max_lag_param(),
        "dry_run": dry_run_param(),
    },
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
    tags=["drs"],
) as dag:
    switch = DrsSwitchoverOperator(
        task_id="switch",
        job_id="{{ params.job_id }}",
        mode="{{ params.mode }}",
        max_lag="{{ params.max_lag }}",
        dry_run="{{ params.dry_run }}",
        wait_for_completion=False,
        retries=2 if AIRFLOW_V_3_3_PLUS else 0,  # before 3.3 a further try ends as unknown
        pool=POOL,
    )

    # With the operator's XCom it waits for this switchover: the result of an earlier one does not count.
    DrsSwitchoverSensor(task_id="wait", switchover=switch.output, deferrable=True)
