"""The cutovers of the cluster, a DAG for each kind (`tests.cluster.kinds`). The run says which job it switches."""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor

RETRIES: dict[str, Any] = {"retries": 3, "retry_delay": timedelta(seconds=5)}
FAST: dict[str, Any] = {"poll_interval": 1, "settle": 10, "decide_within": 600}
JOB: dict[str, Any] = {"job_id": "{{ params.job_id }}", "drs_conn_id": "drs_default"}


def serves(switchover):
    """Find the users served."""
    print("served since", switchover["finished_at"])


def does_not_serve(switchover):
    """Find that they are not, for good."""
    raise AirflowFailException("the users are not served")


def wait_for_the_end(switchover=None):
    """Wait until DRS says that a switchover is complete."""
    which: dict[str, Any] = JOB if switchover is None else {"switchover": switchover}
    return DrsSwitchoverSensor(task_id="seen", deferrable=True, poke_interval=1, **which)


def switch(task_id, mode="target", **more):
    """Return an operator."""
    return DrsSwitchoverOperator(task_id=task_id, mode=mode, **JOB, **{**FAST, "deferrable": True, **more})


def group(deferrable, **more):
    """Add a cutover."""
    return cutover(
        mode="target", max_lag=30, deferrable=deferrable, ready_kwargs={"stable_samples": 1, "poke_interval": 1},
        switchover_kwargs=FAST, **JOB, **more,
    )  # fmt: skip


def poke():
    """Wait on workers; a sensor that nobody told of the switchover waits beside it in the triggerer."""
    wait_for_the_end()
    group(False, verify=task(serves))


def deferrable():
    """Wait in the triggerer."""
    wait_for_the_end()
    group(True, verify=task(serves))


def rolled_back():
    """Switch back, for the users are not served; a worker writes down the end of that."""
    group(True, verify=task(does_not_serve), on_failure=switch("back", "source", end_from_trigger=False))


def told_failed():
    """Be told by DRS that the switchover failed."""
    group(True, verify=task(serves))


def handed_over():
    """Let a sensor wait for what an operator has started."""
    wait_for_the_end(switch("switch", wait_for_completion=False).output)


for kind in (poke, deferrable, rolled_back, told_failed, handed_over):
    with DAG(
        kind.__name__,
        schedule=None,
        params={"job_id": Param(type="string")},
        default_args=RETRIES,
        is_paused_upon_creation=False,
        max_active_runs=100,
        max_active_tasks=200,
    ):
        kind()
