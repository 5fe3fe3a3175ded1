"""A cutover that a person lets through: ready, then compared, then approved, then switched.

The guards are read again after the approval, right before the switchover: hours may have passed.

If a run stops, the runbook says what each message means and what to do: `airflow-drs docs runbook`.
"""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS, AIRFLOW_V_3_3_PLUS

from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.notifications import DrsCutoverMessage
from airflow_provider_drs.params import dry_run_param, job_id_param, max_lag_param, mode_param

# Where several DAGs could switch the same job: a pool of one slot, deferred tasks included, keeps them apart.
POOL = os.environ.get("DRS_POOL", "default_pool")


def tell(message):
    """Stand in for your own notifier, such as Slack's or e-mail."""
    print(message)


def tell_the_end(context):
    """Tell how the switchover has ended."""
    tell(DrsCutoverMessage.from_context(context))


# Approvals came with Airflow 3.1. Before it there is no such DAG: better none than one without its gate.
if AIRFLOW_V_3_1_PLUS:
    with DAG(
        dag_id="gated_cutover",
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
        cutover(
            job_id="{{ params.job_id }}",
            mode="{{ params.mode }}",
            max_lag="{{ params.max_lag }}",
            compare="objects",
            # DRS documents comparisons for other kinds of jobs than switchovers.
            on_compare_unavailable="skip",
            approve={"remind": tell, "remind_after": timedelta(minutes=30)},
            switchover_kwargs={
                "dry_run": "{{ params.dry_run }}",
                "pool": POOL,
                "retries": 2 if AIRFLOW_V_3_3_PLUS else 0,  # before 3.3 a further try ends as unknown
                "on_success_callback": tell_the_end,  # a worker starts anew for that
                "on_failure_callback": tell_the_end,
            },
            deferrable=True,
        )
