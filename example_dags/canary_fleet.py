"""Many jobs, each cut over as a whole: one approval, a canary first, a few at a time, none once one has not gone well.

The writers of each job are stopped before its switchover, and let go after it.

If a run stops, the runbook says what each message means and what to do: `airflow-drs docs runbook`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS, AIRFLOW_V_3_3_PLUS

from airflow_provider_drs.cutover import fleet_cutover
from airflow_provider_drs.params import dry_run_param, job_ids_param, max_lag_param, mode_param

with DAG(
    dag_id="canary_fleet",
    schedule=None,
    max_active_runs=1,  # two runs could ask DRS at the same moment
    params={
        "job_ids": job_ids_param(),
        "mode": mode_param(),
        "max_lag": max_lag_param(30),
        "dry_run": dry_run_param(),
    },
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
    tags=["drs"],
) as dag:

    def stop_the_writers(samples):
        """Stand in for your own way, such as a database that is made read only; ``samples`` has the job's id."""
        print("stopping the writers of", *samples)

    def let_them_write(evidence):
        """Let the writers of one job go; this runs however the cutover of the job ended."""
        print("letting the writers of", evidence["job_id"], "go:", evidence["outcome"])

    fleet_cutover(
        jobs="{{ params.job_ids }}",
        mode="{{ params.mode }}",
        max_lag="{{ params.max_lag }}",
        at_once=2,
        stop_after=1,
        canary=1,
        approve=AIRFLOW_V_3_1_PLUS,  # approvals came with Airflow 3.1
        freeze=stop_the_writers,
        thaw=let_them_write,
        switchover_kwargs={
            "dry_run": "{{ params.dry_run }}",
            "retries": 2 if AIRFLOW_V_3_3_PLUS else 0,  # before 3.3 a further try ends as unknown
        },
        deferrable=True,
    )
