"""A worker killed with SIGKILL at each step of a switchover, then retried: one POST, and the right end.

Real task processes of a real scheduler. All runs are started at once, so that the whole takes little longer than one.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_drs.simulator import Job, Simulator
from tests.airflow.standalone import Standalone
from tests.constants import COMPLETE, FAILED, START, SWITCH, numbered_job

# What DRS says poll by poll once it has taken the switchover, before it says the end. Where a worker defers, the end
# comes once the scheduler has seen that worker end, see ``Standalone.deferred``.
LONG, BEGUN, OVER = (None, START), (START,), ()


@dataclass(frozen=True)
class Kill:
    """Where the worker is killed, and what its retry is to end as."""

    stop_at: str
    final: str = COMPLETE
    posts: int = 1
    outcome: str = "done"
    before_end: tuple[str | None, ...] = LONG

    @property
    def decide_within(self) -> float:
        """Seconds after which a switchover that has not shown itself is nobody's: any, where DRS was not asked."""
        return 3600 if self.posts else 5


KILLS = [
    # Nothing was asked, and Airflow shows that no try has come that far.
    Kill("before begun is saved"),
    Kill("after begun is saved"),
    Kill("before intended is saved"),
    # Nobody can know whether the request had gone out: the one point at which a retry must not go on.
    Kill("after intended is saved", posts=0, outcome="unknown"),
    # The request has gone out, and DRS has accepted.
    Kill("before accepted is saved"),
    Kill("before accepted is saved", final=FAILED, outcome="failed"),
    Kill("after accepted is saved"),
    Kill("after accepted is saved", final=FAILED, outcome="failed"),
    Kill("before START is saved", before_end=BEGUN),
    Kill("after START is saved", before_end=BEGUN),
    Kill("after START is saved", final=FAILED, outcome="failed", before_end=BEGUN),
    Kill("before the end is read again", before_end=OVER),
    Kill("before the end is read again", final=FAILED, outcome="failed", before_end=OVER),
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

    @property
    def decide_within(self) -> float:
        """As for a single switchover."""
        return 3600 if self.modes else 5


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
# Where a worker stands when Airflow's API server goes away, and how the switchover ends.
AWAY = [
    *(
        ("killed_poke", f"before {write} is saved", COMPLETE)
        for write in ("begun", "intended", "accepted", "START", "done")
    ),
    ("killed_deferrable", "before accepted is saved", COMPLETE),
    ("killed_cutover", "before failed is saved", FAILED),
    ("killed_cutover", "before rollback_gate", FAILED),
]
# Seconds; its start takes about as long again.
AWAY_FOR = 10.0
CASES = [(way, kill) for way in ("poke", "deferrable") for kill in KILLS]


def _job(case: tuple[str, Kill]) -> str:
    return numbered_job(CASES.index(case))


@pytest.fixture(scope="session")
def runs(cloud: Simulator, airflow: Standalone, kill_place: Path) -> dict[str, str]:
    """Start all runs, and kill each worker when it has come to its step; return the run of each job."""
    started, deferred = {}, {}
    for way, kill in CASES:
        job_id = _job((way, kill))
        script = [*kill.before_end] if way == "deferrable" else [*kill.before_end, START, START, kill.final]
        if way == "deferrable" and kill.posts and kill.before_end is not OVER:
            deferred[job_id] = script, kill.final
        cloud.add_job(Job(job_id, no_switchover="null", status_after_switch=script or [kill.final]))
        conf = {"job_id": job_id, "stop_at": kill.stop_at, "decide_within": kill.decide_within}
        started[job_id] = airflow.start(f"killed_{way}", **conf)
    for number, killed in enumerate(CUTOVERS):
        job_id = numbered_job(300 + number)
        cloud.add_job(Job(job_id, no_switchover="null", status_after_switch=[START, START, killed.final]))
        conf = {"job_id": job_id, "stop_at": killed.stop_at, "decide_within": killed.decide_within}
        started[job_id] = airflow.start("killed_cutover", verification=killed.verification, **conf)
    waiting = set(started)

    def come() -> set[str]:
        return {job_id for job_id in waiting if (kill_place / f"{job_id}.pid").exists()}

    def over() -> set[str]:
        seen = airflow.deferred()
        return {job_id for job_id in deferred if started[job_id] in seen}

    while waiting or deferred:
        names = f"workers to come to their step: {sorted(waiting)}, or waits to be deferred: {sorted(deferred)}"
        airflow.until(lambda: come() or over(), names)
        for job_id in come():
            os.kill(int((kill_place / f"{job_id}.pid").read_text()), signal.SIGKILL)
            waiting.remove(job_id)
        for job_id in over():
            script, final = deferred.pop(job_id)
            script.append(final)
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
    state = airflow.state(f"killed_{way}", run, "success", "failed", task_id="switch")

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
    airflow.until(over, "the end of the run")
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


def test_the_api_server_goes_away_before_each_write(cloud: Simulator, airflow: Standalone, kill_place: Path) -> None:
    """A real one, for tasks of a real Airflow. Nothing is asked twice, and each ends as DRS has it."""
    runs: dict[str, str] = {}
    scripts: dict[str, list[str | None]] = {}
    for number, (dag_id, stop_at, final) in enumerate(AWAY):
        job = numbered_job(800 + number)
        scripts[job] = [START] if dag_id == "killed_deferrable" else [START, START, final]
        cloud.add_job(Job(job, no_switchover="null", status_after_switch=scripts[job]))
        verification = {"verification": "passes"} if dag_id == "killed_cutover" else {}
        runs[job] = airflow.start(dag_id, job_id=job, stop_at=stop_at, **verification)
    airflow.until(lambda: all((kill_place / f"{job}.pid").exists() for job in runs), "workers before their writes")
    airflow.kill("execution")
    for job in runs:
        (kill_place / f"{job}.go").touch()
    time.sleep(AWAY_FOR)
    airflow.begin("execution")
    for job, (dag_id, stop_at, final) in zip(runs, AWAY, strict=True):
        run = runs[job]
        if dag_id == "killed_deferrable":
            airflow.until(lambda: runs[job] in airflow.deferred(), "the deferral")  # noqa: B023 - called at once
            scripts[job].append(final)
        cutover = dag_id == "killed_cutover"
        task = "cutover.switchover" if cutover else "switch"
        ended = airflow.state(dag_id, run, "success", "failed", task_id=task)
        assert ended == ("success" if final == COMPLETE else "failed"), (stop_at, airflow.task_log(dag_id, run))
        assert airflow.xcom(dag_id, run, "switchover", task)["outcome"] == ("done" if final == COMPLETE else "failed")
        if cutover:
            airflow.state(dag_id, run, "failed", task_id="back")
        assert cloud.switched(job) == ["target", *(["source"] if cutover else [])], (dag_id, stop_at)


# Airflow itself sets the last one, when ``dagrun_timeout`` is over.
MARKS = ("success", "failed", "skipped")


@pytest.fixture(scope="module")
def marked(cloud: Simulator, airflow: Standalone) -> dict[str, tuple[str, str]]:
    """Start all runs whose task is marked; return job and run by the mark."""
    started = {}
    for number, state in enumerate(MARKS):
        job = numbered_job(700 + number)
        cloud.add_job(Job(job, no_switchover="null", status_after_switch=[START]))
        started[state] = job, airflow.start("killed_deferrable", job_id=job, stop_at="never")
    return started


@pytest.mark.parametrize("state", MARKS)
def test_a_deferred_task_that_is_marked_leaves_its_evidence(
    state: str, cloud: Simulator, airflow: Standalone, marked: dict[str, tuple[str, str]], cleared: dict[str, str]
) -> None:
    """Without it, who reads the runbook would conclude that nothing was asked.

    The runs that are cleared next begin beside these.
    """
    job, run = marked[state]
    airflow.until(lambda: run in airflow.deferred(), "the deferral")
    mark = {"new_state": state, "note": "looked at the databases"}
    airflow.send("PATCH", f"/dags/killed_deferrable/dagRuns/{run}/taskInstances/switch", mark)
    assert airflow.state("killed_deferrable", run, state, task_id="switch") == state
    for key in ("return_value", "switchover"):
        evidence = airflow.xcom("killed_deferrable", run, key, task_id="switch")
        assert (evidence["outcome"], evidence["started"]) == ("accepted", True)
        assert evidence["posted_at"]
        assert evidence["accepted_at"]
    assert cloud.switched(job) == ["target"]


CLEARED = {COMPLETE: numbered_job(501), FAILED: numbered_job(502)}


@pytest.fixture(scope="module")
def cleared(cloud: Simulator, airflow: Standalone) -> dict[str, str]:
    """Start all runs whose task is cleared once it has ended; return the run by that end."""
    for final, job in CLEARED.items():
        cloud.add_job(Job(job, no_switchover="null", status_after_switch=[START, START, final]))
    return {final: airflow.start("killed_poke", job_id=job, stop_at="never") for final, job in CLEARED.items()}


@pytest.mark.parametrize(("final", "state", "posts"), [(COMPLETE, "success", 1), (FAILED, "failed", 2)])
def test_clearing_the_task(
    final: str, state: str, posts: int, cloud: Simulator, airflow: Standalone, cleared: dict[str, str]
) -> None:
    """What is complete is not switched again; what failed is, because a person has asked for it."""
    job, run = CLEARED[final], cleared[final]
    assert airflow.state("killed_poke", run, "success", "failed", task_id="switch") == state
    assert cloud.switched(job) == ["target"]

    # Airflow may end a run with the states from before a clear that comes in between; then nothing would start.
    over = lambda: airflow.get(f"/dags/killed_poke/dagRuns/{run}")["state"] == state  # noqa: E731
    airflow.until(over, "the end of the run")
    chosen = {"dry_run": False, "dag_run_id": run, "task_ids": ["switch"], "only_failed": False, "reset_dag_runs": True}
    airflow.send("POST", "/dags/killed_poke/clearTaskInstances", chosen)
    airflow.until(lambda: airflow.task("killed_poke", run, "switch")["try_number"] == 2, "the second try")
    assert airflow.state("killed_poke", run, "success", "failed", task_id="switch") == state
    assert cloud.switched(job) == ["target"] * posts
    key = "return_value" if final == COMPLETE else "switchover"
    evidence = airflow.xcom("killed_poke", run, key, task_id="switch")
    assert evidence["status"] == final
    assert (evidence["dag_id"], evidence["run_id"], evidence["task_id"]) == ("killed_poke", run, "switch")
    assert ("has switched it already" in airflow.task_log("killed_poke", run)) is (final == COMPLETE)
