"""A cutover that verifies itself: after the switchover the database must accept connections, else a rollback runs.

The rollback is a switchover with the run's ``rollback_mode``. DRS does not document that one mode reverses the other:
whoever knows the job sets it. The run fails if the cutover did, whatever came of the rollback.

If a run stops, the runbook says what each message means and what to do: `airflow-drs docs runbook`.
"""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from functools import partial

from airflow.providers.common.compat.sdk import DAG, Param, task
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.params import dry_run_param, job_id_param, max_lag_param, mode_param

# Where several DAGs could switch the same job: a pool of one slot, deferred tasks included, keeps them apart.
POOL = os.environ.get("DRS_POOL", "default_pool")

with DAG(
    dag_id="verified_cutover",
    schedule=None,
    max_active_runs=1,  # two runs could ask DRS at the same moment
    params={
        "job_id": job_id_param(),
        "mode": mode_param(),
        "rollback_mode": mode_param(title="Mode of the rollback, as you know it for this job"),
        "max_lag": max_lag_param(),
        "dry_run": dry_run_param(),
        "host": Param(  # a slip would show only after the switchover, and roll it back
            type="string", title="Virtual IP address", description="Or its name, no port.", pattern="^[A-Za-z0-9._-]+$"
        ),
        "port": Param(3306, type="integer", minimum=1, maximum=65535),
    },
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
    tags=["drs"],
) as dag:

    @task(retries=2, retry_delay=timedelta(seconds=5))
    def database_answers(switchover, params=None):
        """Stand in for your own check, such as a query that writes; ``switchover`` is the evidence."""
        socket.create_connection((params["host"], params["port"]), timeout=10).close()

    rollback = partial(  # made by the cutover, so that it stands where it runs
        DrsSwitchoverOperator,
        task_id="rollback",
        job_id="{{ params.job_id }}",
        mode="{{ params.rollback_mode }}",
        pool=POOL,
        retries=2 if AIRFLOW_V_3_3_PLUS else 0,  # before 3.3 a further try ends as unknown
        deferrable=True,
    )

    cutover(
        job_id="{{ params.job_id }}",
        mode="{{ params.mode }}",
        max_lag="{{ params.max_lag }}",
        verify=database_answers,
        on_failure=rollback,
        switchover_kwargs={"dry_run": "{{ params.dry_run }}", "pool": POOL, "retries": 2 if AIRFLOW_V_3_3_PLUS else 0},
        deferrable=True,
    )
