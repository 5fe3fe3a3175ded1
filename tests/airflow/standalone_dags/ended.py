"""DAGs of one switchover that waits in the triggerer: which ends it there, or has a worker end it."""

from typing import Any

from airflow.sdk import DAG, Param

from airflow_provider_drs.operators.drs import DrsSwitchoverOperator


def say_so(context: Any) -> None:
    print("a worker begins")


for name, ends in {"ended_there": None, "resumed_here": False}.items():
    with DAG(
        name,
        schedule=None,
        params={"job_id": Param(type="string")},
        is_paused_upon_creation=False,
        max_active_runs=50,
    ):
        DrsSwitchoverOperator(
            task_id="switch",
            job_id="{{ params.job_id }}",
            mode="target",
            deferrable=True,
            poll_interval=1,
            settle=None,
            # Longer than a cleared task may wait for one of the few workers.
            decide_within=3600,
            pre_execute=say_so,
            end_from_trigger=ends,
        )
