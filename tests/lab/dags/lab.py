"""The cutover of the lab. Its runs are told by their conf which place of the lab they are to switch."""

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param
from airflow.providers.common.sql.hooks.sql import DbApiHook

from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.witness import SqlWitness
from tests.lab.application import WHO

FREEZE_SECONDS = 60


def folder_of(params):
    """Return where the files are that the application is steered by."""
    return Path(os.environ["LAB_FOLDER"], params["place"])


def freeze(samples, params=None):
    """Let the application stop to write, and wait until it has."""
    folder = folder_of(params)
    (folder / "frozen").touch()
    until = time.monotonic() + FREEZE_SECONDS
    while (folder / "state").read_text() != "frozen":
        if time.monotonic() > until:
            raise TimeoutError("the application goes on writing")
        time.sleep(0.05)


def verify(switchover, params=None):
    """Ask through the address, as the application is about to."""
    found = DbApiHook.get_hook(f"database_{params['place']}").get_first(WHO)
    if found != ("target",):
        raise ValueError(f"{found} answers at the address")


def thaw(evidence, params=None):
    """Let the application write again."""
    (folder_of(params) / "frozen").unlink(missing_ok=True)


def leave_pid(context):
    """Tell whom to kill, on the first try."""
    if context["ti"].try_number == 1:
        place = folder_of(context["params"]) / "switchover.pid"
        place.with_suffix(".new").write_text(str(os.getpid()))
        place.with_suffix(".new").rename(place)


DAG_ARGUMENTS: dict[str, Any] = {
    "is_paused_upon_creation": False,
    "max_active_runs": 16,
    "max_active_tasks": 64,
    "params": {"place": Param("lab", type="string"), "job_id": Param("", type="string")},
}


def build(way):
    """Add the tasks; ``way`` is how they wait: ``poke`` or ``deferrable``."""
    cutover(
        job_id="{{ params.job_id }}",
        mode="target",
        max_lag=30,
        drs_conn_id="drs_{{ params.place }}",
        deferrable=way == "deferrable",
        freeze=freeze,
        verify=verify,
        thaw=thaw,
        witness=SqlWitness("database_{{ params.place }}", WHO, before="source", after="target", timeout=2),
        ready_kwargs={"stable_samples": 1, "poke_interval": 1},
        switchover_kwargs={
            "witness_timeout": 4,
            "poll_interval": 1,
            "settle": None,
            "decide_within": 8,
            "pre_execute": leave_pid,
            "retries": 2,
            "retry_delay": timedelta(seconds=1),
        },
    )


for way in ("poke", "deferrable"):
    with DAG(f"lab_{way}", schedule=None, **DAG_ARGUMENTS):
        build(way)
