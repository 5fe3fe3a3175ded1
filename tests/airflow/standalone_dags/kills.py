"""DAGs whose worker stops at a chosen step of its first try, so that a test can kill it there."""

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from airflow.sdk import DAG, BaseOperator, Param, get_current_context, task

import airflow_provider_drs.cutover as cutover_module
from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.cutover_results import CutoverResultOperator, RollbackGate
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.operators.task_state import RecordingRuntime
from airflow_provider_drs.protocol.switchover.record import Record


class StoppingRuntime(RecordingRuntime):
    """Calls ``stop`` with the name of each step it comes to."""

    stop: Callable[[str], None]

    def save(self, record: Record) -> None:
        self.stop(f"before {record.phase} is saved")
        super().save(record)
        self.stop(f"after {record.phase} is saved")

    def try_save(self, record: Record) -> None:
        started = any(change["status"] == "SWITCH_VIP_START" for change in record.observed)
        self.stop("before START is saved" if started else f"before {record.phase} is saved")
        super().try_save(record)
        self.stop("after START is saved" if started else f"after {record.phase} is saved")

    def sleep(self, seconds: float) -> None:
        record = self.record
        last = record.observed[-1]["status"] if record and record.observed else None
        if record and record.posted_at and last in ("SWITCH_VIP_COMPLETE", "SWITCH_VIP_FAILED"):
            self.stop("before the end is read again")
        super().sleep(seconds)

    def finish(self, record: Record, within: float) -> bool:
        self.stop(f"before {record.phase} is saved")
        told = super().finish(record, within)
        self.stop(f"after {record.phase} is saved")
        return told


def stop(step: str, context: Any) -> None:
    """Stop where the run's ``stop_at`` says, after leaving the process id in a file.

    It waits there to be killed, or until another file lets it go on.
    """
    ti, conf = context["ti"], context["params"]
    if conf["stop_at"] == step and ti.try_number == 1:
        place = Path(os.environ["KILL_DIR"], f"{conf['job_id']}.pid")
        place.with_suffix(".new").write_text(str(os.getpid()))
        place.with_suffix(".new").rename(place)
        while not place.with_suffix(".go").exists():
            time.sleep(0.1)


class StoppingOperator(DrsSwitchoverOperator):
    """Stops at the steps of its record."""

    def _recording(self, context: Any) -> RecordingRuntime:
        self.decide_within = context["params"]["decide_within"]
        runtime = super()._recording(context)
        runtime.__class__ = StoppingRuntime
        stopping = cast(StoppingRuntime, runtime)
        stopping.stop = lambda step: stop(step, context)
        return stopping


class Stopping(BaseOperator):
    """Stops before it has looked, and once its result is in XCom and Airflow has not been told of the success."""

    def execute(self, context: Any) -> Any:
        name = self.task_id.removeprefix("cutover.")
        stop(f"before {name}", context)
        evidence = super().execute(context)
        context["ti"].xcom_push(key="return_value", value=evidence)
        stop(f"after {name}", context)
        return evidence


class StoppingGate(Stopping, RollbackGate):
    """A gate that can be stopped."""


class StoppingDone(Stopping, CutoverResultOperator):
    """A last task that can be stopped."""


# Longer than a retry may wait for one of the few workers: what is seen later than this is nobody's.
DECIDE_WITHIN = 3600
SWITCHOVER: dict[str, Any] = {"poll_interval": 1, "settle": None}
CUTOVER: dict[str, Any] = {
    "job_id": "{{ params.job_id }}",
    "mode": "target",
    "deferrable": False,
    "ready_kwargs": {"stable_samples": 1},
}


def dag(dag_id: str, default_args: dict[str, Any] | None = None, **params: str) -> DAG:
    """Return a DAG; ``params`` are further ones, by name the type of each."""
    types = {"job_id": "string", "stop_at": "string", **params}
    return DAG(
        dag_id,
        schedule=None,
        params={
            **{name: Param(type=kind) for name, kind in types.items()},
            "decide_within": Param(DECIDE_WITHIN, type="number"),
        },
        default_args=default_args or {},
        is_paused_upon_creation=False,
        max_active_runs=50,
    )


for way in ("poke", "deferrable"):
    with dag(f"killed_{way}"):
        StoppingOperator(
            task_id="switch",
            job_id="{{ params.job_id }}",
            mode="target",
            deferrable=way == "deferrable",
            **SWITCHOVER,
            retries=1,
            retry_delay=timedelta(seconds=1),
            # The steps of its end are those of a worker.
            end_from_trigger=False,
        )


def verify(evidence: Any) -> None:
    context = get_current_context()
    stop("in verify", context)
    if context["params"]["verification"] != "passes":
        raise ValueError("the users are not served")


# Airflow reads each file in a process of its own: no other DAG gets these.
vars(cutover_module).update(
    DrsSwitchoverOperator=StoppingOperator, RollbackGate=StoppingGate, CutoverResultOperator=StoppingDone
)
retried_soon = {"retries": 1, "retry_delay": timedelta(seconds=1)}
with dag("killed_cutover", retried_soon, verification="string"):
    cutover(
        **CUTOVER,
        verify=verify,
        on_failure=DrsSwitchoverOperator(
            task_id="back",
            job_id="{{ params.job_id }}",
            mode="source",
            deferrable=False,
            **SWITCHOVER,
            decide_within=DECIDE_WITHIN,
        ),
        switchover_kwargs=SWITCHOVER,
    )


def freeze(samples: Any) -> None:
    context = get_current_context()
    if context["params"]["retried"]:
        stop("in freeze", context)


def freeze_without_retry(samples: Any) -> None:
    context = get_current_context()
    if not context["params"]["retried"]:
        stop("in freeze", context)


def thaw(evidence: Any) -> Any:
    stop("in thaw", get_current_context())
    return evidence["outcome"]


with dag("killed_frozen", {"retry_delay": timedelta(seconds=1)}, retried="boolean"):
    cutover(
        **CUTOVER,
        freeze=[task(retries=1)(freeze), task(retries=0)(freeze_without_retry)],
        thaw=thaw,
        switchover_kwargs={**SWITCHOVER, "retries": 1},
    )
