"""A DAG for each case of the matrix; it runs once, as soon as Airflow has read it. The same file on every version."""

import os
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, AirflowOptionalProviderFeatureException
from airflow.providers.standard.operators.empty import EmptyOperator

from airflow_provider_drs.cutover import cutover, fleet_cutover
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.sensors.drs import DrsJobReadySensor, DrsJobStatusSensor, DrsSwitchoverSensor
from airflow_provider_drs.witness import SqlWitness
from tests.matrix.cases import cases_of

MAJOR, MINOR = (int(number) for number in os.environ["MATRIX_VERSION"].split(".")[:2])

FAST: dict[str, Any] = {
    "ready_kwargs": {"stable_samples": 1, "poke_interval": 1},
    "switchover_kwargs": {"poll_interval": 1, "settle": None},
}


WHO = "SELECT system_identifier FROM pg_control_system()"


def witness(case):
    """Ask who answers at the virtual IP address of the case."""
    before, after = (os.environ[name] for name in ("MATRIX_SOURCE", "MATRIX_TARGET"))
    return SqlWitness(f"vip_{case.name}", WHO, before=before, after=after)


def stop(samples):
    """Stop the writers."""


def go(evidence):
    """Let the writers go."""


def verify(evidence):
    """Find that the users are served."""


def verify_badly(evidence):
    """Find that they are not."""
    raise ValueError("the users are not served")


verify_badly.__name__ = "verify"


def leave_pid(context):
    """Tell whom to kill, on the first try."""
    ti = context["ti"]
    if ti.try_number == 1:
        place = Path(os.environ["MATRIX_FOLDER"], f"{ti.dag_id}.pid")
        place.with_suffix(".new").write_text(str(os.getpid()))
        place.with_suffix(".new").rename(place)


def build(case):
    """Make the tasks of a case."""
    options = dict(case.options)
    if "retries" in options:
        options["retry_delay"] = timedelta(seconds=options.pop("retry_delay", 1))
    if options.pop("leave_pid", False):
        options["pre_execute"] = leave_pid
    ids = [job.job_id for job in case.jobs]
    common = {"task_id": "task", "job_id": ids[0], "drs_conn_id": case.conn, **options}
    if case.kind == "switchover":
        DrsSwitchoverSensor(**common)
    elif case.kind == "ready":
        DrsJobReadySensor(**common)
    elif case.kind == "status":
        DrsJobStatusSensor(**common)
    elif case.kind == "operator":
        DrsSwitchoverOperator(**common, witness=witness(case) if case.vip else None)
    elif case.kind == "fleet":
        ready = DrsJobReadySensor(task_id="ready", job_ids=ids, poke_interval=1, deferrable=True)
        switch = DrsSwitchoverOperator.partial(task_id="switch", mode="target", deferrable=True, poll_interval=1)
        ready >> switch.expand(job_id=ids)
    elif case.kind == "cutover":
        back = DrsSwitchoverOperator(
            task_id="back", job_id=ids[0], mode="source", deferrable=True, poll_interval=1, settle=None
        )
        check = verify_badly if options.get("verification") == "fails" else verify
        cutover(job_id=ids[0], mode="target", deferrable=True, verify=check, on_failure=back, **FAST)
    elif case.kind == "approved" and (MAJOR, MINOR) >= (3, 1):
        cutover(job_id=ids[0], mode="target", deferrable=True, approve=True, **FAST)
    elif case.kind == "approved":
        # What was made until then is in a DAG of its own, which nothing runs.
        with DAG("thrown_away", schedule=None), suppress(AirflowOptionalProviderFeatureException):
            cutover(job_id=ids[0], mode="target", deferrable=True, approve=True, **FAST)
            raise AssertionError("cutover has taken approve=True, on an Airflow without approvals")
        EmptyOperator(task_id="refused")
    elif case.kind == "frozen":
        cutover(
            job_id=ids[0], mode="target", deferrable=True, verify=verify, freeze=stop, thaw=go,
            catch_up_timeout=15, **FAST,
        )  # fmt: skip
    elif case.kind == "planned":
        planned = {**FAST, "switchover_kwargs": {**FAST["switchover_kwargs"], "dry_run": True}}
        undo = EmptyOperator(task_id="back")
        group = cutover(job_id=ids[0], mode="target", deferrable=True, verify=verify, on_failure=undo, **planned)
        group >> EmptyOperator(task_id="next")
    elif case.kind == "measured":
        cutover(
            job_id=ids[0], mode="target", deferrable=True, verify=verify, witness=witness(case),
            measure_downtime=True, **FAST,
        )  # fmt: skip
    elif case.kind == "fleet_cutover":
        fleet_cutover(jobs=ids, mode="target", deferrable=True, turn_interval=10, verify=verify, **FAST)


def watched(case):
    """Return the asset that a switchover of the case's job updates."""
    # Airflow 3.0 and later have it.
    from airflow.sdk import Asset, AssetWatcher

    from airflow_provider_drs.triggers.events import DrsSwitchoverEventTrigger

    trigger = DrsSwitchoverEventTrigger(job_id=case.jobs[0].job_id, poke_interval=1)
    return Asset("switched", watchers=[AssetWatcher(name="drs", trigger=trigger)])


for one in cases_of((MAJOR, MINOR), ci=bool(os.environ.get("MATRIX_CI"))):
    if not re.search(os.environ["MATRIX_ONLY"], one.name):
        continue
    with DAG(
        one.name,
        schedule=[watched(one)] if one.kind == "watcher" else "@once",
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        is_paused_upon_creation=False,
        max_active_tasks=64,
        # On 2.11 an operator that calls the execute of its base class fails then, in place of a warning.
        default_args={"allow_nested_operators": False},
    ):
        EmptyOperator(task_id="task") if one.kind == "watcher" else build(one)
