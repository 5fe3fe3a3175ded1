"""A worker killed with SIGKILL at each step of a switchover, then retried: one POST, and the right end.

Real task processes of a real scheduler. All runs are started at once, so that the whole takes little longer than one.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_drs.simulator import Job, Simulator
from tests.airflow.standalone import Standalone
from tests.constants import COMPLETE, FAILED, SWITCH, numbered_job

# Seconds until START, and from START to the end. The first is long enough for every retry to be deferred well before
# the end: a trigger that fires within seconds of the deferral can meet Airflow's scheduler before that has seen the
# deferring process end. The others have begun, or are over, at the first poll, which a worker makes before it defers.
LONG, BEGUN, OVER = (0.5, 45), (0, 45), (0, 0)


@dataclass(frozen=True)
class Kill:
    """Where the worker is killed, and what its retry is to end as."""

    stop_at: str
    final: str = COMPLETE
    posts: int = 1
    outcome: str = "done"
    times: tuple[float, float] = LONG


KILLS = [
    # Nothing was asked, but no retry can know that: this run is spent.
    Kill("before begun is saved", posts=0, outcome="unknown"),
    Kill("after begun is saved"),
    Kill("before intended is saved"),
    # Nobody can know whether the request had gone out: the one point at which a retry must not go on.
    Kill("after intended is saved", posts=0, outcome="unknown"),
    # The request has gone out, and DRS has accepted.
    Kill("before accepted is saved"),
    Kill("before accepted is saved", final=FAILED, outcome="failed"),
    Kill("after accepted is saved"),
    Kill("after accepted is saved", final=FAILED, outcome="failed"),
    Kill("before START is saved", times=BEGUN),
    Kill("after START is saved", times=BEGUN),
    Kill("after START is saved", final=FAILED, outcome="failed", times=BEGUN),
    Kill("before the end is read again", times=OVER),
    Kill("before the end is read again", final=FAILED, outcome="failed", times=OVER),
    Kill("before done is saved"),
    # In the store and in XCom, but Airflow has not been told of the success.
    Kill("after done is saved"),
    Kill("before failed is saved", final=FAILED, outcome="failed"),
    Kill("after failed is saved", final=FAILED, outcome="failed"),
]


@dataclass(frozen=True)
class KilledCutover:
    """Where a worker is killed in a cutover, and what becomes of the whole."""

    stop_at: str
    final: str = COMPLETE
    verification: str = "passes"
    modes: tuple[str, ...] = ("target",)
    done: str = "success"


ROLLED_BACK: Any = {"modes": ("target", "source"), "done": "upstream_failed"}
CUTOVERS = [
    KilledCutover("after done is saved"),
    KilledCutover("in verify"),
    KilledCutover("in verify", verification="fails", **ROLLED_BACK),
    KilledCutover("before rollback_gate"),
    KilledCutover("before rollback_gate", final=FAILED, **ROLLED_BACK),
    KilledCutover("after rollback_gate", final=FAILED, **ROLLED_BACK),
    KilledCutover("after rollback_gate", verification="fails", **ROLLED_BACK),
    KilledCutover("after failed is saved", final=FAILED, **ROLLED_BACK),
    # Nobody can know whether the request had gone out: nothing is rolled back.
    KilledCutover("after intended is saved", modes=(), done="upstream_failed"),
    KilledCutover("before done"),
    KilledCutover("after done"),
]
CASES = [(way, kill) for way in ("poke", "deferrable") for kill in KILLS]


def _job(case: tuple[str, Kill]) -> str:
    return numbered_job(CASES.index(case))


@pytest.fixture(scope="session")
def runs(cloud: Simulator, airflow: Standalone, kill_place: Path) -> dict[str, str]:
    """Start all runs, and kill each worker when it has come to its step; return the run of each job."""
    started = {}
    for case in CASES:
        after, lasts = case[1].times
        job = Job(_job(case), no_switchover="null", start_after=after, start_lasts=lasts, final=case[1].final)
        cloud.add_job(job)
        started[job.job_id] = airflow.start(f"killed_{case[0]}", job_id=job.job_id, stop_at=case[1].stop_at)
    for number, killed in enumerate(CUTOVERS):
        job = Job(numbered_job(300 + number), no_switchover="null", start_lasts=1, final=killed.final)
        cloud.add_job(job)
        conf = {"job_id": job.job_id, "stop_at": killed.stop_at, "verification": killed.verification}
        started[job.job_id] = airflow.start("killed_cutover", **conf)
    waiting = set(started)

    def kill_who_has_come() -> bool:
        for job_id in list(waiting):
            found = kill_place / f"{job_id}.pid"
            if found.exists():
                os.kill(int(found.read_text()), signal.SIGKILL)
                waiting.discard(job_id)
        return not waiting

    airflow.until(kill_who_has_come, 300, "every worker to come to its step")
    return started


def test_each_worker_is_killed_at_its_step(runs: dict[str, str]) -> None:
    """Other tests run while the retries wait, see ``GROUPS`` in ``tests/conftest.py``."""
    assert len(runs) == len(CASES) + len(CUTOVERS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}: {case[1].stop_at}, {case[1].outcome}")
def test_one_switchover_and_the_right_end(
    case: tuple[str, Kill], cloud: Simulator, airflow: Standalone, runs: dict[str, str]
) -> None:
    (way, kill), job = case, _job(case)
    run = runs[job]
    state = airflow.state(f"killed_{way}", run, "success", "failed", task_id="switch", seconds=240)

    posts = [entry for entry in cloud.calls(SWITCH) if entry.job_id == job]
    assert len(posts) == kill.posts, airflow.task_log(f"killed_{way}", run)
    assert cloud.switched(job) == ["target"] * kill.posts
    assert state == ("success" if kill.outcome == "done" else "failed")
    assert airflow.task(f"killed_{way}", run, "switch")["try_number"] == 2
    for key in ("return_value", "switchover"):
        evidence = airflow.xcom(f"killed_{way}", run, key, task_id="switch")
        assert (evidence["outcome"], evidence["job_id"]) == (kill.outcome, job)


@pytest.mark.parametrize("number", range(len(CUTOVERS)), ids=lambda number: f"{number}: {CUTOVERS[number].stop_at}")
def test_one_cutover_and_one_rollback_at_most(
    number: int, cloud: Simulator, airflow: Standalone, runs: dict[str, str]
) -> None:
    killed, job = CUTOVERS[number], numbered_job(300 + number)
    run = runs[job]
    # Where the switchover fails, ``done`` has its state before the rollback begins.
    over = lambda: airflow.get(f"/dags/killed_cutover/dagRuns/{run}")["state"] in ("success", "failed")  # noqa: E731
    airflow.until(over, 240, "the end of the run")
    assert airflow.task("killed_cutover", run, "cutover.done")["state"] == killed.done
    assert cloud.switched(job) == list(killed.modes), airflow.task_log("killed_cutover", run)
    back = airflow.task("killed_cutover", run, "back")["state"]
    assert back == ("skipped" if len(killed.modes) < 2 else "success" if killed.final == COMPLETE else "failed")
    tried = {each["task_id"]: each["try_number"] for each in airflow.tasks("killed_cutover", run)}
    place = {"in": "verify"}.get(killed.stop_at.split()[0], killed.stop_at.split()[-1])
    assert tried[{"saved": "cutover.switchover"}.get(place, f"cutover.{place}")] == 2
    for task_id in ("cutover.switchover", *(["cutover.done"] if killed.done == "success" else [])):
        evidence = airflow.xcom("killed_cutover", run, "switchover" if "switch" in task_id else "return_value", task_id)
        unknown = killed.stop_at == "after intended is saved"
        assert evidence["outcome"] == ("unknown" if unknown else "done" if killed.final == COMPLETE else "failed")


@pytest.mark.parametrize(("final", "state", "posts"), [(COMPLETE, "success", 1), (FAILED, "failed", 2)])
def test_clearing_the_task(final: str, state: str, posts: int, cloud: Simulator, airflow: Standalone) -> None:
    """What is complete is not switched again; what failed is, because a person has asked for it."""
    job = numbered_job(500 + posts)
    cloud.add_job(Job(job, no_switchover="null", start_lasts=3, final=final))
    run = airflow.start("killed_poke", job_id=job, stop_at="never")
    assert airflow.state("killed_poke", run, "success", "failed", task_id="switch") == state
    assert cloud.switched(job) == ["target"]

    # Airflow may end a run with the states from before a clear that comes in between; then nothing would start.
    over = lambda: airflow.get(f"/dags/killed_poke/dagRuns/{run}")["state"] == state  # noqa: E731
    airflow.until(over, 60, "the end of the run")
    chosen = {"dry_run": False, "dag_run_id": run, "task_ids": ["switch"], "only_failed": False, "reset_dag_runs": True}
    airflow.send("POST", "/dags/killed_poke/clearTaskInstances", chosen)
    airflow.until(lambda: airflow.task("killed_poke", run, "switch")["try_number"] == 2, 60, "the second try")
    assert airflow.state("killed_poke", run, "success", "failed", task_id="switch") == state
    assert cloud.switched(job) == ["target"] * posts
    key = "return_value" if final == COMPLETE else "switchover"
    evidence = airflow.xcom("killed_poke", run, key, task_id="switch")
    assert evidence["status"] == final
    assert (evidence["dag_id"], evidence["run_id"], evidence["task_id"]) == ("killed_poke", run, "switch")
    assert ("has switched it already" in airflow.task_log("killed_poke", run)) is (final == COMPLETE)
