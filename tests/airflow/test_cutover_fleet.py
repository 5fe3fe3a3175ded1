"""The cutovers of many jobs in a real Airflow: whose turn it is, when no other job starts, and the table of all."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, task

from airflow_provider_drs.cutover import fleet_cutover
from airflow_provider_drs.cutover_turns import turn_of
from airflow_provider_drs.simulator import Job, Simulator
from tests.airflow.cutovers import Run, clear, run
from tests.airflow.test_cutover_approval import Answering, answers
from tests.constants import COMPLETE, FAILED, START, SWITCH, numbered_job

__all__ = ["answers"]

pytestmark = pytest.mark.usefixtures("clock")

JOBS = [numbered_job(number) for number in range(2)]


def _job(number: int, *ends: str | None, **more: Any) -> Job:
    return Job(JOBS[number], **{"status_script": [None], "status_after_switch": [START, *ends], **more})


class Site:
    """Where the jobs' users write: what was done, and for which job."""

    def __init__(self, not_served: tuple[str, ...] = ()) -> None:
        self.done: list[tuple[str, str]] = []
        self.not_served = not_served

    def stop(self, samples: Any) -> None:
        self.done += [("stop", job_id) for job_id in samples]

    def go(self, evidence: Any) -> None:
        self.done.append(("go", evidence["job_id"]))

    def check(self, evidence: Any) -> None:
        self.done.append(("check", evidence["job_id"]))
        assert evidence["job_id"] not in self.not_served

    def of(self, number: int) -> list[str]:
        return [what for what, job_id in self.done if job_id == JOBS[number]]


def _run(site: Site, jobs: Any = JOBS, *, dag: Any = None, conf: Any = None, **options: Any) -> Run:
    def build() -> None:
        def stop(samples: Any) -> None:
            site.stop(samples)

        def go(evidence: Any) -> None:
            site.go(evidence)

        def check(evidence: Any) -> None:
            site.check(evidence)

        given = task(task_id="which")(lambda: JOBS)() if jobs is None else jobs
        fleet = fleet_cutover(jobs=given, mode="target", freeze=stop, thaw=go, verify=check, turn_interval=2, **options)
        fleet >> task(task_id="next")(lambda: None)()

    return run(build, dag=dag, run_conf=conf)


def _states(ended: Run, name: str) -> list[str]:
    found = {ti.map_index: str(ti.state) for ti in ended.run.get_task_instances() if ti.task_id == f"fleet.job.{name}"}
    return [found[index] for index in sorted(found)]


def _table(ended: Run) -> list[tuple[str, str]]:
    return [(row["state"], row["outcome"]) for row in ended.pull("fleet.summary")]


@pytest.mark.parametrize("jobs", [JOBS, None, "{{ params.jobs }}"], ids=["list", "output of a task", "template"])
def test_all_well(jobs: Any, drs: Simulator, airflow_db: None) -> None:
    for number in range(len(JOBS)):
        drs.add_job(_job(number, COMPLETE))
    site = Site()
    ended = _run(site, jobs, dag={"params": {"jobs": JOBS}})
    assert ended.state == "success"
    assert [drs.switched(job_id) for job_id in JOBS] == [["target"]] * len(JOBS)
    assert [site.of(number) for number in range(len(JOBS))] == [["stop", "check", "go"]] * len(JOBS)
    table = ended.pull("fleet.summary")
    assert [(row["job_id"], row["state"], row["outcome"]) for row in table] == [(j, "success", "done") for j in JOBS]
    assert [row["evidence"]["job_id"] for row in table] == JOBS
    labels = {(ti.map_index, ti.rendered_map_index) for ti in ended.run.get_task_instances() if ti.map_index >= 0}
    assert labels == set(enumerate(JOBS))


@pytest.mark.parametrize(
    ("bad", "options", "table", "started"),
    [
        # The canary fails: no other job starts.
        ({0: FAILED}, {"stop_after": 3}, [("upstream_failed", "failed")], [0]),
        ({0: "refused"}, {"canary": 2, "stop_after": 3}, [("upstream_failed", "refused")], [0, 1]),
        ({0: "unknown"}, {"canary": 0, "at_once": 1}, [("upstream_failed", "unknown")], [0]),
        ({0: "not verified"}, {"canary": 0, "at_once": 1}, [("upstream_failed", "done")], [0]),
        ({0: FAILED}, {"canary": 0, "at_once": 1, "stop_after": 2}, [("upstream_failed", "failed")], [0, 1]),
    ],
)
def test_once_too_many_have_not_gone_well_no_other_starts(
    bad: dict[int, str],
    options: dict[str, Any],
    table: list[tuple[str, str]],
    started: list[int],
    drs: Simulator,
    airflow_db: None,
) -> None:
    for number in range(len(JOBS)):
        drs.add_job(_job(number, FAILED if bad.get(number) == FAILED else COMPLETE))
    [(which, how)] = bad.items()
    if how == "refused":
        drs.add_job(_job(which, COMPLETE, on_switch="refused", error_code="DRS.M00103"))
    if how == "unknown":
        drs.add_job(Job(JOBS[which], status_script=[COMPLETE], status_after_switch=[COMPLETE]))
        options = {**options, "switchover_kwargs": {"settle": None}}
    site = Site((JOBS[which],) if how == "not verified" else ())
    ended = _run(site, **options)
    assert ended.state == "failed"
    assert [number for number in range(len(JOBS)) if "stop" in site.of(number)] == started
    assert [number for number in range(len(JOBS)) if drs.switched(JOBS[number])] == [
        number for number in started if bad.get(number) != "refused"
    ]
    assert _table(ended)[: len(table)] == table
    for number in range(len(JOBS)):
        if number not in started:
            assert _table(ended)[number] == ("skipped", "not started")
            assert _states(ended, "turn")[number] == "skipped"
    assert (ended.tasks["fleet.summary"], ended.tasks["next"]) == ("failed", "upstream_failed")
    assert f"{JOBS[which]} ({table[which][1]})" in str(ended.errors["fleet.summary"])
    held = how == "unknown"
    assert ("go" in site.of(which)) is not held, "but where nobody knows, the writers are let go"


@pytest.mark.parametrize("answers", [("Approve",)], indirect=True)
def test_one_approval_for_all(answers: Answering, drs: Simulator, airflow_db: None) -> None:
    for number in range(2):
        drs.add_job(_job(number, COMPLETE))
    ended = _run(Site(), approve=True)
    assert (answers.asked, ended.state) == (1, "success")
    approvals = [row["evidence"]["approvals"] for row in ended.pull("fleet.summary")]
    assert [[(one["task_id"], one["by"]) for one in each] for each in approvals] == [[("fleet.approval", "Ada")]] * 2


@pytest.mark.parametrize("answers", [("Reject",)], indirect=True)
def test_a_rejection_starts_none(answers: Answering, drs: Simulator, airflow_db: None) -> None:
    for number in range(2):
        drs.add_job(_job(number, COMPLETE))
    site = Site()
    ended = _run(site, approve=True)
    assert (ended.state, site.done, drs.calls(SWITCH)) == ("failed", [], [])
    assert [outcome for _, outcome in _table(ended)] == ["not started"] * 2


@pytest.mark.parametrize("approve", [True, False])
def test_a_dry_run_of_all(approve: bool, drs: Simulator, airflow_db: None) -> None:
    for number in range(2):
        drs.add_job(_job(number, COMPLETE))
    site = Site()
    ended = _run(
        site,
        JOBS,
        approve=approve,
        switchover_kwargs={"dry_run": "{{ params.dry_run }}"},
        dag={"params": {"dry_run": False}},
        conf={"dry_run": True},
    )
    assert (ended.state, site.done, drs.calls(SWITCH)) == ("success", [], [])
    assert _table(ended) == [("success", "planned")] * 2
    assert [row["evidence"]["ready"] for row in ended.pull("fleet.summary")] == [True, True]


@pytest.mark.parametrize("answers", [("Approve",)], indirect=True)
@pytest.mark.parametrize("approve", [True, False])
def test_what_might_have_been_a_dry_run_switches(
    approve: bool, answers: Answering, drs: Simulator, airflow_db: None
) -> None:
    drs.add_job(_job(0, COMPLETE))
    drs.add_job(_job(1, FAILED))
    drs.add_job(Job(numbered_job(2)))
    site = Site()
    ended = _run(
        site,
        [*JOBS, numbered_job(2)],
        approve=approve,
        at_once=1,
        switchover_kwargs={"dry_run": "{{ params.dry_run }}"},
        dag={"params": {"dry_run": False}},
    )
    assert _table(ended) == [("success", "done"), ("upstream_failed", "failed"), ("skipped", "not started")]
    assert [site.of(number) for number in range(2)] == [["stop", "check", "go"], ["stop", "go"]]
    for name in ("dry_run", "for_real", "switchover", "done"):
        assert _states(ended, f"cutover.{name}")[2] == "skipped"


@pytest.mark.parametrize(("jobs", "says"), [([JOBS[0]] * 2, "more than once"), ("{{ params.jobs }}", "jobs is None")])
def test_what_is_no_list_of_jobs(jobs: Any, says: str, drs: Simulator, airflow_db: None) -> None:
    ended = _run(Site(), jobs, dag={"params": {"jobs": []}})
    assert ended.state == "failed"
    assert says in str(ended.errors["fleet.jobs"])
    assert str(ended.errors["fleet.summary"]).startswith("No job was started: fleet.jobs did not tell which there are")
    assert drs.calls(SWITCH) == []


def test_a_job_that_is_cleared_is_switched_again_and_the_others_are_not(drs: Simulator, airflow_db: None) -> None:
    for number in range(2):
        drs.add_job(_job(number, FAILED if number else COMPLETE))
    ended = _run(Site())
    assert _table(ended) == [("success", "done"), ("upstream_failed", "failed")]
    drs.add_job(_job(1, COMPLETE, status_script=[FAILED]))
    every = {ti.task_id for ti in ended.run.get_task_instances()} - {
        "fleet.jobs",
        "fleet.job.turn",
        "fleet.job.cutover.ready",
    }
    again = clear(ended, *every)
    assert (again.state, _table(again)) == ("success", [("success", "done")] * 2)
    assert [len([c for c in drs.calls(SWITCH) if c.job_id == job_id]) for job_id in JOBS] == [1, 2], "one more"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"at_once": 0}, "at_once must be a whole number, at least 1"),
        ({"stop_after": 0}, "stop_after must be"),
        ({"canary": -1}, "canary must be"),
        ({"at_once": 1.5}, "at_once must be"),
        ({"verify": BaseOperator}, "verify: an operator or a group exists only once"),
        ({"freeze": [BaseOperator], "thaw": print}, "freeze: an operator"),
    ],
)
def test_what_cannot_be(options: dict[str, Any], says: str) -> None:
    made = BaseOperator(task_id="one")
    real: dict[str, Any] = {name: made if value is BaseOperator else [made] if value == [BaseOperator] else value
            for name, value in options.items()}  # fmt: skip
    with DAG("d", schedule=None), pytest.raises(ValueError, match=says):
        fleet_cutover(jobs=JOBS, mode="target", **real)


WELL, BAD = "success", "upstream_failed"


@pytest.mark.parametrize(
    ("place", "over", "go"),
    [
        (0, {}, True),
        (1, {}, False),
        (1, {0: WELL}, True),
        (1, {0: BAD}, None),
        (1, {0: "skipped"}, None),
        (2, {0: WELL}, True),
        (3, {0: WELL}, False),
        (3, {0: WELL, 2: WELL}, True),
        (3, {0: WELL, 1: BAD}, None),
        (3, {0: WELL, 1: "skipped"}, True),
        (3, {0: WELL, 1: None}, None),
        (5, {0: WELL, 4: WELL}, False),
    ],
)
def test_whose_turn_it_is(place: int, over: dict[int, str | None], go: bool | None) -> None:
    assert turn_of(place, over, at_once=2, stop_after=1, canary=1)[0] is go


@pytest.mark.parametrize("at_once", [1, 2, 3])
@pytest.mark.parametrize("canary", [0, 1, 2])
def test_never_more_at_once_than_allowed_whoever_ends_first(at_once: int, canary: int) -> None:
    limits = {"at_once": at_once, "stop_after": 1, "canary": canary}
    for last_first in (False, True):
        over: dict[int, str | None] = {}
        begun: set[int] = set()
        while len(over) < 8:
            for place in range(8):
                if place not in begun and turn_of(place, over, **limits)[0]:
                    begun.add(place)
            running = sorted(begun - over.keys(), reverse=last_first)
            assert 0 < len(running) <= at_once
            assert not over.keys() < set(range(canary)) or max(begun) < max(canary, 1)
            over[running[0]] = WELL
