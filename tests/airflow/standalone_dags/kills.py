"""DAGs whose worker stops at a chosen step of its first try, so that a test can kill it there."""

import os
import signal
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param

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


class StoppingOperator(DrsSwitchoverOperator):
    """Stops where the run's ``stop_at`` says, after leaving its process id in a file; it waits there to be killed."""

    def _recording(self, context):
        runtime = super()._recording(context)
        runtime.__class__ = StoppingRuntime
        runtime.stop = lambda step: self._stop(step, context)
        return runtime

    def _stop(self, step, context):
        ti, conf = context["ti"], context["params"]
        if conf["stop_at"] == step and ti.try_number == 1:
            place = Path(os.environ["KILL_DIR"], f"{conf['job_id']}.pid")
            place.with_suffix(".new").write_text(str(os.getpid()))
            place.with_suffix(".new").rename(place)
            signal.pause()


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
            decide_within=60,
            settle=None,
            retries=1,
            retry_delay=timedelta(seconds=1),
        )
