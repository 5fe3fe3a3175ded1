"""The cutover of the lab. Its runs are told by their conf which place of the lab they are to switch."""

import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, get_current_context, task
from airflow.providers.common.sql.hooks.sql import DbApiHook

from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.witness import SqlWitness
from tests.lab.application import WHO

FREEZE_SECONDS = 60


def folder_of(params):
    """Return where the files are that the application is steered by."""
    return Path(os.environ["LAB_FOLDER"], params["place"])


def die_if_told(context, name):
    """Kill the worker on its first try where the conf of the run names the task."""
    if context["params"]["killed"] == name and context["ti"].try_number == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def alarm(context):
    """Tell that a task has failed, as a user would tell whoever is on call."""
    folder = Path(os.environ["LAB_FOLDER"], context["dag_run"].conf["place"])
    with (folder / "alarms").open("a") as alarms:
        alarms.write(f"{context['ti'].task_id}: {context.get('exception')}\n")


def freeze(samples, params=None):
    """Let the application stop to write, and wait until it has."""
    folder = folder_of(params)
    (folder / "frozen").touch()
    die_if_told(get_current_context(), "freeze")
    until = time.monotonic() + FREEZE_SECONDS
    while (folder / "state").read_text() != "frozen":
        if time.monotonic() > until:
            raise TimeoutError("the application goes on writing")
        time.sleep(0.05)


def verify(switchover, params=None):
    """Ask through the address, as the application is about to."""
    die_if_told(get_current_context(), "verify")
    found = DbApiHook.get_hook(f"database_{params['place']}").get_first(WHO)
    if found != ("target",):
        raise ValueError(f"{found} answers at the address")


@task(retries=2, retry_delay=timedelta(seconds=1))
def thaw(evidence, params=None):
    """Let the application write again."""
    die_if_told(get_current_context(), "thaw")
    (folder_of(params) / "frozen").unlink(missing_ok=True)


def before_sample(context):
    """Die between the samples of a job, if told."""
    die_if_told(context, context["ti"].task_id.rpartition(".")[2])


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
    "params": {name: Param("", type="string") for name in ("place", "job_id", "killed")},
    "default_args": {"on_failure_callback": alarm},
}


def build(way, measure_downtime=True):
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
        measure_downtime=measure_downtime,
        # A wait for one sample would not defer.
        ready_kwargs={
            "stable_samples": 1 if way == "poke" else 3,
            "poke_interval": 1,
            "pre_execute": before_sample,
        },
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
