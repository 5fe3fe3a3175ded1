"""What every version of Airflow runs, and how each run must end. It imports nothing of Airflow.

``dags/matrix.py`` makes a DAG of each case, ``run`` runs them all at once and judges them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from airflow_provider_drs.simulator import Job
from tests.constants import COMPLETE, FAILED, OPERATOR_MODES, RUNNING, SENSOR_MODES, START, numbered_job

Version = tuple[int, int]

# Seconds until a sensor times out that is to: longer than a busy machine takes to start a task.
TIMEOUT = 30
FLEET = 20


@dataclass(frozen=True)
class Case:
    """One DAG, its jobs at DRS, and what must come of its run.

    :param name: id of the DAG; its tasks log and poll under it.
    :param kind: what ``dags/matrix.py`` makes of it.
    :param states: state of each task; a mapped one has it for every index.
    :param jobs: the jobs that the simulator of ``conn`` knows.
    :param options: arguments of the operator or sensor.
    :param posts: requests to switch that DRS may see, for all jobs together.
    :param tries: tries of the first task; None: any number.
    :param outcome: what the evidence of ``evidence_of`` says, "" where none is looked at.
    :param results: what must stand in the XCom of a task: ``{"task:key": {"path.of.names": value}}``.
    :param vip: how the virtual IP address of its first job moves, as ``Vip.moves`` names it; "" for none. It leads to
        one of two PostgreSQL servers, by the connection ``vip_`` and the case's name.
    :param logs: what the tasks must have written.
    :param conn: which simulator the case talks to.
    :param since: the oldest Airflow that can run it.
    :param ci: whether CI runs it, on the versions that CI takes.
    """

    name: str
    kind: str
    states: dict[str, str]
    jobs: tuple[Job, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    posts: int = 0
    tries: int | None = None
    outcome: str = ""
    evidence_of: str = "task"
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    vip: str = ""
    logs: str = ""
    conn: str = "drs_default"
    since: Version = (2, 11)
    ci: bool = False


def cases_of(version: Version, ci: bool = False) -> list[Case]:
    """Return the cases that a version of Airflow runs, as it should end them."""
    made = [case for case in _all(version) if version >= case.since and (case.ci or not ci)]
    numbered = []
    for index, case in enumerate(made):
        jobs = [replace(job, job_id=numbered_job(index * 50 + place)) for place, job in enumerate(case.jobs)]
        numbered.append(replace(case, jobs=tuple(jobs)))
    return numbered


def _all(version: Version) -> Iterator[Case]:
    yield from _sensors()
    yield from _operators(version)
    yield from _groups(version)
    yield from _witnessed()
    yield from _kills(version)


def _sensors() -> Iterator[Case]:
    # A long list of the last status but one: a wait that is deferred, or due again, has something to wait for.
    healthy: dict[str, Any] = {"status": RUNNING}
    waits: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]] = {
        "switchover": (
            {},
            {"status_script": [START, START, COMPLETE]},
            {"status_script": [START, START, FAILED], "error_msg": "in use"},
            {"status_script": [START]},
        ),
        "ready": (
            {"max_lag": 5, "stable_samples": 2, "failure_grace": 3},
            {**healthy, "lag_script": [60, "1"]},
            {"task_status_script": [RUNNING, "INCRE_TRANSFER_FAILED"], "lag_script": [60]},
            {**healthy, "lag_script": [60]},
        ),
        "status": (
            {"target_statuses": "PAUSING", "failure_grace": 3},
            {"task_status_script": [RUNNING, RUNNING, "PAUSING"]},
            {"task_status_script": [RUNNING, RUNNING, "INCRE_TRANSFER_FAILED"]},
            healthy,
        ),
    }
    for (kind, (options, done, failed, waiting)), mode in product(waits.items(), SENSOR_MODES):
        how: dict[str, Any] = {"deferrable": True, "poke_interval": 1} if mode == "deferrable" else {"mode": mode}
        how.setdefault("poke_interval", 10 if mode == "reschedule" else 1)  # reschedule takes less for a lost task
        ways: dict[str, tuple[dict[str, Any], dict[str, Any], str, int]] = {
            "done": (done, {}, "success", 1),
            "failed": (failed, {}, "failed", 1),
            "timeout": (waiting, {"timeout": TIMEOUT}, "failed", 1),
            "soft_fail": (waiting, {"timeout": TIMEOUT, "soft_fail": True}, "skipped", 1),
            "unknown_job": ({}, {}, "failed", 2),
        }
        for outcome, (job, more, state, tries) in ways.items():
            yield Case(
                f"{kind}_{mode}_{outcome}",
                kind,
                {"task": state},
                (Job(numbered_job(0), **job),),
                {**options, **how, **more, "retries": 1, "allow_nested_operators": False},
                tries=tries,
                logs="did not end within|Sensor has timed out" if outcome == "timeout" else "",
                conn="drs_empty" if outcome == "unknown_job" else "drs_default",
                ci=kind == "switchover" or (outcome in ("done", "timeout") and mode == "deferrable"),
            )


def _operators(version: Version) -> Iterator[Case]:
    remembers = version >= (3, 3)
    switches: dict[str, Any] = {"start_after": 1, "start_lasts": 4}
    for mode, retries in product(OPERATOR_MODES, (0, 1)):
        options = {"mode": "target", "deferrable": mode == "deferrable", "retries": retries, "poll_interval": 1}
        # What cannot be remembered is not tried again: such a try ends as unknown, and posts nothing.
        after_a_guard = "read" if remembers or not retries else "unknown"
        ways: dict[str, tuple[dict[str, Any], str, int, str]] = {
            "done": (switches, "success", 1, "done"),
            "failed": ({**switches, "final": FAILED, "error_msg": "in use"}, "failed", 1, "failed"),
            "guard": ({"lag_script": [60]}, "failed", 0, after_a_guard),
            # Somebody else's; one who joins it would see it end.
            "running": ({"status_script": [*[START] * 6, COMPLETE]}, "failed", 0, ""),
            # Without an earlier result nothing would tell a START that was seen from somebody else's.
            "lost_response": ({**switches, "leftover": COMPLETE}, "success", 1, "done"),
        }
        for outcome, (job, state, posts, evidence) in ways.items():
            yield Case(
                f"operator_{mode}_retries_{retries}_{outcome}",
                "operator",
                {"task": state},
                (Job(numbered_job(0), **job),),
                {**options, "max_lag": 5},
                posts=posts,
                outcome=evidence,
                conn="drs_lost" if outcome == "lost_response" else "drs_default",
                ci=outcome in ("done", "guard") or (outcome == "running" and mode == "poke"),
            )
    # DRS is away before it is asked; Airflow 2 waits for it on a worker.
    options = {"mode": "target", "deferrable": True, "retries": 0, "poll_interval": 1}
    yield Case(
        "operator_trouble_first", "operator", {"task": "success"}, (Job(numbered_job(0), **switches),), options, 1,
        outcome="done", conn="drs_away", logs="Deferring until DRS responds" if version >= (3, 0) else "",
    )  # fmt: skip


def _groups(version: Version) -> Iterator[Case]:
    switches = Job(numbered_job(0), start_after=1, start_lasts=4)
    group = {f"cutover.{name}": "success" for name in ("ready", "switchover", "verify", "done")}
    whole = {**group, "cutover.rollback_gate": "skipped", "back": "skipped"}
    back = {**group, "cutover.verify": "failed", "cutover.done": "upstream_failed", "cutover.rollback_gate": "success"}
    yield Case(
        "cutover_done", "cutover", whole, (switches,), {}, 1, outcome="done", evidence_of="cutover.switchover", ci=True
    )
    yield Case(
        "cutover_rolled_back", "cutover", {**back, "back": "success"}, (switches,), {"verification": "fails"}, 2,
        outcome="done", evidence_of="cutover.switchover",
    )  # fmt: skip
    if version >= (3, 1):
        approved = {f"cutover.{name}": "success" for name in ("ready", "approval", "switchover")}
        yield Case(
            "cutover_approved", "approved", approved, (switches,), {}, 1,
            outcome="done", evidence_of="cutover.switchover",
        )  # fmt: skip
    else:
        yield Case("cutover_approved", "approved", {"refused": "success"}, (switches,), ci=True)
    # Below 3.3 it defers from a worker.
    scripted = Job(numbered_job(0), status_script=[START, START, COMPLETE])
    options = {"start_from_trigger": True, "poke_interval": 1, "retries": 0}
    yield Case("started_in_triggerer", "switchover", {"task": "success"}, (scripted,), options, logs="switchover done")
    stopped = ("freeze_gate", "stop", "caught_up", "thaw_gate", "go")
    frozen = {**group, **{f"cutover.{name}": "success" for name in stopped}}
    yield Case(
        "cutover_frozen", "frozen", frozen, (switches,), {}, 1,
        outcome="done", evidence_of="cutover.switchover", ci=True,
    )  # fmt: skip
    # The lag comes back while nobody writes: nothing is switched, and the writers are let go again.
    held = {"cutover.caught_up": "failed", "cutover.switchover": "upstream_failed", "cutover.go": "success"}
    lags = Job(numbered_job(0), lag_script=[0, 900])
    yield Case("cutover_lag_stays", "frozen", {**held, "cutover.done": "upstream_failed"}, (lags,))
    planned = {**whole, "cutover.dry_run": "success"}
    skipped = ("cutover.for_real", "cutover.verify", "cutover.switched", "next")
    yield Case(
        "cutover_dry_run", "planned", {**planned, **dict.fromkeys(skipped, "skipped")}, (switches,),
        results={"cutover.done:return_value": {"dry_run": True, "ready": True, "call.method": "POST"}}, ci=True,
    )  # fmt: skip
    three = tuple(Job(numbered_job(0), start_after=1, start_lasts=4) for _ in range(3))
    of_each = {f"fleet.job.{name}": "success" for name in ("turn", "cutover.switchover", "cutover.done", "ended")}
    yield Case(
        "fleet_cutover", "fleet_cutover", {**of_each, "fleet.summary": "success"}, three, {}, 3,
        results={"fleet.summary:return_value": {f"{at}.outcome": "done" for at in range(3)}}, ci=True,
    )  # fmt: skip
    # The canary fails: no other job starts.
    bad = (Job(numbered_job(0), start_after=1, start_lasts=4, final=FAILED), *three[1:])
    yield Case(
        "fleet_cutover_stopped", "fleet_cutover", {"fleet.summary": "failed"}, bad, {}, 1,
        results={"fleet.summary:return_value": {"0.outcome": "failed", "2.outcome": "not started"}},
    )  # fmt: skip
    jobs = tuple(Job(numbered_job(0), start_after=1, start_lasts=8) for _ in range(FLEET))
    yield Case("fleet", "fleet", {"ready": "success", "switch": "success"}, jobs, {}, FLEET)
    watched = Job(numbered_job(0), status_script=[*["EMPTY"] * 5, *[START] * 3, COMPLETE])
    yield Case("asset_watcher", "watcher", {"task": "success"}, (watched,), {}, since=(3, 0), ci=True)


def _witnessed() -> Iterator[Case]:
    job = Job(numbered_job(0), start_after=1, start_lasts=4)
    options = {"mode": "target", "deferrable": True, "retries": 0, "poll_interval": 1, "witness_timeout": 20}
    arrived = {"decided_by": "drs", "witness.at_start.side": "before", "witness.at_end.side": "after"}
    yield Case(
        "witness_done", "operator", {"task": "success"}, (job,), options, 1, outcome="done", vip="complete",
        results={"task:switchover": arrived}, ci=True,
    )  # fmt: skip
    # DRS says that it is complete, and traffic stays where it was.
    yield Case(
        "witness_disputed", "operator", {"task": "failed"}, (job,), options, 1, outcome="disputed", vip="never",
        results={"task:switchover": {"decided_by": None, "witness.at_end.side": "before"}}, ci=True,
    )  # fmt: skip
    # DRS takes its time, so that the sensor beside the switchover has begun when traffic leaves, also where all slots
    # of the executor are taken.
    slow = Job(numbered_job(0), start_after=75, start_lasts=4)
    yield Case(
        "cutover_measured", "measured", {"cutover.downtime": "success", "cutover.done": "success"}, (slow,), {}, 1,
        outcome="done", evidence_of="cutover.switchover", vip="complete",
        results={"cutover.done:return_value": {"downtime.not_measured": None, "witness.at_end.side": "after"}},
    )  # fmt: skip


def _kills(version: Version) -> Iterator[Case]:
    """A worker is killed while it reads, while DRS has its request, and while DRS switches."""
    remembers = version >= (3, 3)
    job = Job(numbered_job(0), start_after=1, start_lasts=60, leftover=COMPLETE)
    for point, posts, conn in (("reading", 0, "drs_read"), ("posting", 1, "drs_post"), ("waiting", 1, "drs_default")):
        yield Case(
            f"killed_{point}",
            "operator",
            {"task": "success" if remembers else "failed"},
            (job,),
            {"mode": "target", "deferrable": False, "retries": 1, "retry_delay": 1, "poll_interval": 1, "leave_pid": 1},
            posts=1 if remembers else posts,
            outcome="done" if remembers else "",
            conn=conn,
            ci=point == "posting",
        )
