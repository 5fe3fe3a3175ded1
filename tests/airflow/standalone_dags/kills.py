"""DAGs whose worker stops at a chosen step of its first try, so that a test can kill it there."""

import os
import signal
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, Param

from airflow_provider_drs.operators.drs import DrsSwitchoverOperator


class StoppingOperator(DrsSwitchoverOperator):
    """Stops where the run's ``stop_at`` says, after leaving its process id in a file; it waits there to be killed."""

    def execute(self, context):
        self._context = context
        return super().execute(context)

    def execute_complete(self, context, event):
        self._context = context
        return super().execute_complete(context, event)

    def _stop(self, step):
        ti, conf = self._context["ti"], self._context["params"]
        if conf["stop_at"] == step and ti.try_number == 1:
            place = Path(os.environ["KILL_DIR"], f"{conf['job_id']}.pid")
            place.with_suffix(".new").write_text(str(os.getpid()))
            place.with_suffix(".new").rename(place)
            signal.pause()

    def _request(self, context):
        self._stop("read")
        return super()._request(context)

    def _save(self, record, context):
        self._stop(f"before {record.phase} is written")
        super()._save(record, context)
        self._stop(f"after {record.phase} is written")

    def _end(self, record, context):
        self._stop("evidence")
        return super()._end(record, context)


for way in ("poke", "deferrable"):
    with DAG(
        f"killed_{way}",
        schedule=None,
        params={"job_id": Param(type="string"), "stop_at": Param(type="string")},
        is_paused_upon_creation=False,
        max_active_runs=30,
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
