"""DAGs whose worker stops at a chosen step of its first try, so that a test can kill it there."""

import os
import signal
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param, get_current_context

import airflow_provider_drs.cutover as cutover_module
from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.cutover_results import CutoverResultOperator, RollbackGate
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.operators.task_state import RecordingRuntime


class StoppingRuntime(RecordingRuntime):
    """Calls ``stop`` with the name of each step it comes to."""

    def save(self, record):
        self.stop(f"before {record.phase} is saved")
        super().save(record)
        self.stop(f"after {record.phase} is saved")

    def try_save(self, record):
        started = any(change["status"] == "SWITCH_VIP_START" for change in record.observed)
        self.stop("before START is saved" if started else f"before {record.phase} is saved")
        super().try_save(record)
        self.stop("after START is saved" if started else f"after {record.phase} is saved")

    def sleep(self, seconds):
        last = self.record.observed[-1]["status"] if self.record.observed else None
        if self.record.posted_at and last in ("SWITCH_VIP_COMPLETE", "SWITCH_VIP_FAILED"):
            self.stop("before the end is read again")
        super().sleep(seconds)

    def finish(self, record, within):
        self.stop(f"before {record.phase} is saved")
        told = super().finish(record, within)
        self.stop(f"after {record.phase} is saved")
        return told


def stop(step, context):
    """Stop where the run's ``stop_at`` says, after leaving the process id in a file; wait there to be killed."""
    ti, conf = context["ti"], context["params"]
    if conf["stop_at"] == step and ti.try_number == 1:
        place = Path(os.environ["KILL_DIR"], f"{conf['job_id']}.pid")
        place.with_suffix(".new").write_text(str(os.getpid()))
        place.with_suffix(".new").rename(place)
        signal.pause()


class StoppingOperator(DrsSwitchoverOperator):
    """Stops at the steps of its record."""

    def _recording(self, context):
        runtime = super()._recording(context)
        runtime.__class__ = StoppingRuntime
        runtime.stop = lambda step: stop(step, context)
        return runtime


class Stopping:
    """Stops before it has looked, and once its result is in XCom and Airflow has not been told of the success."""

    def execute(self, context):
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


for way in ("poke", "deferrable"):
    with DAG(
        f"killed_{way}",
        schedule=None,
        params={"job_id": Param(type="string"), "stop_at": Param(type="string")},
        is_paused_upon_creation=False,
        max_active_runs=50,
    ):
        StoppingOperator(
            task_id="switch",
            job_id="{{ params.job_id }}",
            mode="target",
            deferrable=way == "deferrable",
            poll_interval=1,
            # Longer than a retry may wait for one of the few workers: what is seen later than this is nobody's.
            decide_within=120,
            settle=None,
            retries=1,
            retry_delay=timedelta(seconds=1),
        )


def verify(evidence):
    context = get_current_context()
    stop("in verify", context)
    if context["params"]["verification"] != "passes":
        raise ValueError("the users are not served")


# Airflow reads each file in a process of its own: no other DAG gets these.
cutover_module.DrsSwitchoverOperator = StoppingOperator
cutover_module.RollbackGate, cutover_module.CutoverResultOperator = StoppingGate, StoppingDone
with DAG(
    "killed_cutover",
    schedule=None,
    params={name: Param(type="string") for name in ("job_id", "stop_at", "verification")},
    default_args={"retries": 1, "retry_delay": timedelta(seconds=1)},
    is_paused_upon_creation=False,
    max_active_runs=50,
):
    cutover(
        job_id="{{ params.job_id }}",
        mode="target",
        deferrable=False,
        ready_kwargs={"stable_samples": 1},
        verify=verify,
        on_failure=DrsSwitchoverOperator(
            task_id="back",
            job_id="{{ params.job_id }}",
            mode="source",
            deferrable=False,
            poll_interval=1,
            settle=None,
            decide_within=120,
        ),
        switchover_kwargs={"poll_interval": 1, "decide_within": 120, "settle": None},
    )
