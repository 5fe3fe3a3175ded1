"""From the moment at which DRS says "complete" to the next task, in a real scheduler, triggerer and worker."""

from __future__ import annotations

import random
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from statistics import median

import requests

from tests.airflow.standalone import Standalone
from tests.benchmarks.goals import Kind, Row
from tests.benchmarks.groups import Session
from tests.benchmarks.jobs import job_id
from tests.benchmarks.processes import MeasuringError, end_group

WAYS = {
    "poke": "poke mode",
    "resumed": "deferred, resumed on a worker",
    "ended": "deferred, ended by the trigger",
}
RUNS = 20
DAGS = Path(__file__).resolve().parents[1] / "dags"
ENDS = ("success", "failed", "upstream_failed", "skipped")


def cutover(session: Session) -> list[Row]:
    """The ways take turns, one run at a time, so that none disturbs another; the first of each is not counted."""
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    rounds = 3 if session.quick else RUNS
    own = ("AIRFLOW_CONN_DRS_BENCH", "NO_PROXY", "no_proxy")
    environment = {name: value for name, value in session.stub.environment().items() if name in own}
    session.say("cutover: starting Airflow")
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="drs-bench-", ignore_cleanup_errors=True))
        airflow = Standalone(Path(home), DAGS, environment)
        stack.callback(_end, airflow)
        stack.enter_context(airflow)
        for number in range(rounds + 1):
            session.say(f"cutover: round {number} of {rounds}" + ("" if number else ", not counted"))
            for way, each in runs.items():
                run = _run(session, airflow, way)
                if number:
                    each.append(run)
    session.raw["cutover"] = runs
    rows = []
    for way, title in WAYS.items():
        seconds: list[float | None] = [run["next_task"] for run in runs[way]]
        rows.append(Row("cutover", f"from COMPLETE to the next task: {title}", seconds, unit=" s"))
    later = median(run["next_task"] for run in runs["ended"]) - median(run["next_task"] for run in runs["poke"])
    what = f"{WAYS['ended']}, later than {WAYS['poke']} (p50)"
    rows.append(Row("cutover", f"from COMPLETE to the next task: {what}", [later], 1.0, Kind.TIME, " s"))
    return rows


def _end(airflow: Standalone) -> None:
    """End an Airflow whose start was cut short, and which therefore was not ended by its own context."""
    for process in airflow.processes.values():
        if process.returncode is None:
            end_group(process)


def _run(session: Session, airflow: Standalone, way: str) -> dict[str, float]:
    job, dag_id, run_id = job_id(random.randrange(16**8)), f"cutover_{way}", ""
    try:
        run_id = airflow.start(dag_id, job_id=job)
        return _measured(session, airflow, job, dag_id, run_id)
    except (AssertionError, requests.RequestException) as error:  # as the tests' Airflow reports trouble
        what = str(error)
        raise MeasuringError(
            f"{dag_id} {run_id}: {what[:500]} ...\n{what[500:][-2000:]}\n"
            f"Its tasks wrote:\n{airflow.task_log(dag_id, run_id)[-4000:] if run_id else ''}"
        ) from error


def _measured(session: Session, airflow: Standalone, job: str, dag_id: str, run_id: str) -> dict[str, float]:
    control = session.stub.control
    airflow.until(lambda: control.polls(job) >= 2, "two polls")
    time.sleep(random.random())  # anywhere between two polls
    complete_at = time.time()
    control.finish({job: complete_at})
    time.sleep(2.0)  # asking how far it is would hold it up
    state = airflow.state(dag_id, run_id, *ENDS, task_id="follow")
    assert state == "success", f"the task that follows is {state}"
    ended_at = datetime.fromisoformat(airflow.task(dag_id, run_id)["end_date"]).timestamp()
    began_at = float(airflow.xcom(dag_id, run_id, task_id="follow"))
    time.sleep(1.0)  # the worker's own end
    return {"next_task": began_at - complete_at, "sensor_over": ended_at - complete_at}
