"""Fleets whose jobs a real scheduler runs at once."""

from datetime import timedelta
from typing import cast

from airflow.sdk import DAG, BaseOperator, Param

from airflow_provider_drs.cutover import fleet_cutover

for name, stop_after in (("stops", 1), ("goes_on", 9)):
    with DAG(
        f"fleet_{name}",
        schedule=None,
        params={"jobs": Param(type="array")},
        is_paused_upon_creation=False,
        max_active_tasks=64,
    ):
        fleet = fleet_cutover(
            jobs="{{ params.jobs | tojson }}",
            mode="target",
            at_once=2,
            stop_after=stop_after,
            canary=1,
            # Each look is a worker of its own.
            turn_interval=3,
            deferrable=False,
            ready_kwargs={"stable_samples": 1},
            switchover_kwargs={"poll_interval": 1, "settle": None},
        )
        # Airflow takes a task that is due again before its scheduler has seen the last process end for a lost one.
        # On a busy machine it loses looks that are so close, and their retry would wait for 20 s.
        turn = cast(BaseOperator, next(each for each in fleet.iter_tasks() if each.task_id == "fleet.job.turn"))
        turn.retries, turn.retry_delay = 99, timedelta(0)
