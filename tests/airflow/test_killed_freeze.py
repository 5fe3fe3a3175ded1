"""A worker killed while the writers of a cutover are stopped: they are let go, where it is known which side serves."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_provider_drs.simulator import Job, Simulator
from tests.airflow.standalone import Standalone
from tests.constants import COMPLETE, START, numbered_job

DAG_ID = "killed_frozen"


@dataclass(frozen=True)
class Kill:
    """Where the worker is killed, and what becomes of the tasks."""

    stop_at: str
    freeze: str = "success"
    switchover: str = "success"
    thaw: str = "success"
    outcome: str | None = "done"
    posts: int = 1
    retries: int = 1


KILLS = [
    # Not tried again: half of the writers may be stopped, and all are let go.
    Kill("in freeze", freeze="failed", switchover="upstream_failed", outcome="not started", posts=0, retries=0),
    Kill("in freeze"),
    Kill("after accepted is saved"),
    # Nobody can know whether the request had gone out: they stay stopped, and a person is called.
    Kill("after intended is saved", switchover="failed", thaw="upstream_failed", outcome="unknown", posts=0),
    Kill("in thaw"),
]


@pytest.fixture(scope="module")
def runs(cloud: Simulator, airflow: Standalone, kill_place: Path) -> list[str]:
    """Start all runs, and kill each worker once it has come to its step."""
    started, waiting = [], {}
    for number, kill in enumerate(KILLS):
        job_id = numbered_job(700 + number)
        cloud.add_job(Job(job_id, no_switchover="null", status_after_switch=[START, START, COMPLETE]))
        conf = {"job_id": job_id, "stop_at": kill.stop_at, "retried": bool(kill.retries)}
        started.append(airflow.start(DAG_ID, decide_within=3600 if kill.posts else 5, **conf))
        waiting[number] = kill_place / f"{job_id}.pid"
    while waiting:
        airflow.until(lambda: any(path.exists() for path in waiting.values()), f"workers to be killed: {waiting}")
        for number in [number for number, path in waiting.items() if path.exists()]:
            os.kill(int(waiting.pop(number).read_text()), signal.SIGKILL)
    return started


@pytest.mark.parametrize("number", range(len(KILLS)), ids=lambda number: f"{number}: {KILLS[number].stop_at}")
def test_the_writers_are_let_go(number: int, cloud: Simulator, airflow: Standalone, runs: list[str]) -> None:
    kill, job_id, run = KILLS[number], numbered_job(700 + number), runs[number]
    over = lambda: airflow.get(f"/dags/{DAG_ID}/dagRuns/{run}")["state"] in ("success", "failed")  # noqa: E731
    airflow.until(over, "the end of the run")
    found = {each["task_id"].removeprefix("cutover."): each["state"] for each in airflow.tasks(DAG_ID, run)}
    ends = {name: found[name] for name in ("freeze", "freeze_without_retry", "switchover", "thaw")}
    unused = "freeze" if not kill.retries else "freeze_without_retry"
    assert ends.pop(unused) == "success", "it had nothing to do"
    assert list(ends.values()) == [kill.freeze, kill.switchover, kill.thaw], airflow.task_log(DAG_ID, run)
    assert found["thaw_gate"] == ("failed" if kill.thaw == "upstream_failed" else "success")
    assert cloud.switched(job_id) == ["target"] * kill.posts
    told = airflow.xcom(DAG_ID, run, "return_value", "cutover.thaw_gate")
    assert (told["outcome"], told["job_id"]) == (kill.outcome, job_id)
    if kill.thaw == "success":
        assert airflow.xcom(DAG_ID, run, "return_value", "cutover.thaw") == kill.outcome


def test_no_secret_in_any_log_or_in_the_database(cloud: Simulator, airflow: Standalone, runs: list[str]) -> None:
    """Of all workers that were killed, this file's and those of ``test_killed_workers.py``."""
    written, kept = airflow.log_text(), airflow.database_bytes()
    assert all(run in written and run.encode() in kept for run in runs), "what is searched is the right one"
    for secret in (cloud.password, *cloud.issued_tokens()):
        assert secret not in written
        assert secret.encode() not in kept
