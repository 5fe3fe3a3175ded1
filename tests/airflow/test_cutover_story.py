"""What a cutover makes of its verification, of several switchovers in one run, and of a person's word; real runs.

What the operator is to leave behind comes from a script where DRS cannot be brought to it.
"""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import BaseOperator, task, task_group

from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.simulator import Job, Simulator
from tests.airflow.cutovers import Run, ScriptedSwitchover, clear, evidence, job, run, script
from tests.constants import COMPLETE, JOB, OTHER_JOB, START

pytestmark = pytest.mark.usefixtures("clock")

FORWARD = "cutover.switchover"


def _rolls_back(ran: list[str]) -> Any:
    def roll_back(switchover: dict[str, Any]) -> None:
        ran.append("roll_back")

    return roll_back


class Passes(BaseOperator):
    """Does nothing, and is well."""

    def execute(self, context: Any) -> None: ...


@task
def not_well() -> None:
    raise AssertionError("not well")


def test_the_rollback_waits_for_all_of_the_verification(drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job())
    ran: list[str] = []

    def step(name: str) -> Any:
        return task(task_id=name)(lambda: ran.append(name))()

    @task_group
    def verify(switchover: Any) -> None:
        not_well()
        # Each of these is due in a further round of the scheduler.
        step("a") >> step("b") >> step("c") >> step("d")

    ended = run(lambda: cutover(job_id=JOB, mode="target", verify=verify, on_failure=_rolls_back(ran)))
    assert ran == ["a", "b", "c", "d", "roll_back"]
    assert ended.state == "failed"


def test_a_verification_whose_last_task_is_well_has_failed_where_another_did(drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job())
    ran: list[str] = []

    @task_group
    def tidies(switchover: Any) -> None:
        not_well() >> Passes(task_id="last", trigger_rule="all_done")

    ended = run(lambda: cutover(job_id=JOB, mode="target", verify=tidies, on_failure=_rolls_back(ran)))
    assert ended.tasks["tidies.last"] == "success"
    assert ended.tasks["done"] == "upstream_failed"
    assert ran == ["roll_back"]
    assert "of its verification cutover.tidies.not_well failed" in ended.reason()


def test_a_switchover_that_is_done_is_not_rolled_back_where_its_task_fails_of_something_else(
    drs: Simulator, airflow_db: None
) -> None:
    drs.add_job(job())
    ran: list[str] = []

    def fails(context: Any, result: Any) -> None:
        raise OSError("the disk is full")

    ended = run(
        lambda: cutover(
            job_id=JOB, mode="target", switchover_kwargs={"post_execute": fails}, on_failure=_rolls_back(ran)
        )
    )
    assert ended.tasks == {
        "ready": "success",
        "switchover": "failed",
        "rollback_gate": "skipped",
        "roll_back": "skipped",
        "done": "upstream_failed",
    }
    assert drs.switched(JOB) == ["target"]
    assert (ran, ended.state) == ([], "failed")


def test_within_a_mapped_group_each_is_judged_by_itself(drs: Simulator, airflow_db: None) -> None:
    for job_id in (JOB, OTHER_JOB):
        drs.add_job(Job(job_id, status_script=[None], status_after_switch=[START, COMPLETE]))
    ran: list[str] = []

    def check(switchover: dict[str, Any]) -> None:
        assert switchover["job_id"] == JOB

    def roll_back(switchover: dict[str, Any]) -> None:
        ran.append(switchover["job_id"])

    @task_group
    def each(job_id: str) -> None:
        cutover(job_id=job_id, mode="target", verify=check, on_failure=roll_back)

    ended = run(lambda: each.expand(job_id=[JOB, OTHER_JOB]))
    states = {
        (ti.task_id.removeprefix("each.cutover."), ti.map_index): str(ti.state) for ti in ended.run.get_task_instances()
    }
    assert states["done", 0] == "success"
    assert states["rollback_gate", 0] == "skipped"
    assert states["done", 1] == "upstream_failed"
    assert states["rollback_gate", 1] == "success"
    assert ran == [OTHER_JOB]


class Checks:
    """A verification that is well or not, time after time, and notes what it is told."""

    def __init__(self, *well: bool) -> None:
        self.well = iter(well)
        self.told: list[Any] = []

    def task(self) -> Any:
        def check(switchover: Any) -> None:
            self.told.append(switchover)
            assert next(self.well), "not well"

        return check


@pytest.fixture
def ready(drs: Simulator) -> None:
    """A job that is ready to be switched; what becomes of that is in a script."""
    drs.add_job(job())


def _there_and_back(checks: Checks) -> Run:
    """Run a cutover whose rollback is a switchover."""

    def build() -> None:
        back = ScriptedSwitchover(task_id="back", job_id=JOB, mode="source")
        cutover(job_id=JOB, mode="target", verify=checks.task(), on_failure=back)

    return run(build)


def _states(ended: Run) -> tuple[str, ...]:
    return tuple(ended.tasks[name] for name in ("check", "rollback_gate", "back", "done"))


@pytest.fixture
def rolled_back(ready: None, airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> tuple[Run, Checks]:
    """A cutover that was switched, found not well, and rolled back."""
    script(
        monkeypatch,
        **{FORWARD: [evidence(FORWARD, minute=1)], "back": [evidence("back", minute=5, mode="source")]},
    )
    checks = Checks(False, True, False)
    ended = _there_and_back(checks)
    assert _states(ended) == ("failed", "success", "success", "upstream_failed")
    return ended, checks


@pytest.mark.parametrize(
    "cleared",
    [
        (
            "cutover.check",
            "cutover.rollback_gate",
            "back",
            "cutover.done",
        ),  # with what is downstream: Airflow's default
        ("cutover.check", "cutover.done"),
        ("cutover.check", "cutover.rollback_gate", "cutover.done"),
    ],
    ids=len,
)
def test_a_verification_that_is_cleared_after_a_rollback_makes_no_cutover_done(
    rolled_back: tuple[Run, Checks], cleared: tuple[str, ...]
) -> None:
    again = clear(rolled_back[0], *cleared)
    assert again.tasks["check"] == "success"
    assert again.tasks["done"] == "failed"
    assert again.state == "failed"
    why = str(again.errors["done"])
    assert f"the last switchover of job {JOB} in this run is that of task back (mode source, outcome done" in why
    assert "came after cutover.switchover (mode target)" in why
    assert again.pull("cutover.done") is None
    if "cutover.rollback_gate" in cleared:
        assert "is not the last switchover of this run" in again.reason()


def test_what_is_not_well_again_after_a_rollback_is_not_rolled_back_again(rolled_back: tuple[Run, Checks]) -> None:
    ended, checks = rolled_back
    next(checks.well)
    again = clear(ended, "cutover.check", "cutover.rollback_gate", "back", "cutover.done")
    assert _states(again) == ("failed", "skipped", "skipped", "upstream_failed")
    assert "cutover.switchover is not the last switchover of this run" in again.reason()


def test_what_is_switched_again_after_a_rollback_is_rolled_back_again(
    ready: None, airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, back = evidence(FORWARD, "failed", 1), evidence("back", minute=5, mode="source")
    script(
        monkeypatch,
        **{
            FORWARD: [first, evidence(FORWARD, minute=9, earlier=[first])],
            "back": [back, evidence("back", minute=12, mode="source", earlier=[back])],
        },
    )
    checks = Checks(False)
    ended = _there_and_back(checks)
    assert _states(ended) == ("upstream_failed", "success", "success", "upstream_failed")
    again = clear(ended, FORWARD, "cutover.check", "cutover.rollback_gate", "back", "cutover.done")
    assert _states(again) == ("failed", "success", "success", "upstream_failed")
    assert "of its verification cutover.check failed" in again.reason()
    assert again.pull("back")["posted_at"] > again.pull(FORWARD)["posted_at"], "it was switched once more"
    assert [told["posted_at"] for told in checks.told] == [again.pull(FORWARD)["posted_at"]]


def test_what_is_switched_again_after_a_rollback_and_well_is_done(
    ready: None, airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = evidence(FORWARD, "failed", 1)
    script(
        monkeypatch,
        **{
            FORWARD: [first, evidence(FORWARD, minute=9, earlier=[first])],
            "back": [evidence("back", minute=5, mode="source")],
        },
    )
    again = clear(
        _there_and_back(Checks(True)), FORWARD, "cutover.check", "cutover.rollback_gate", "back", "cutover.done"
    )
    assert _states(again) == ("success", "skipped", "skipped", "success")
    assert again.pull("cutover.done")["posted_at"] == again.pull(FORWARD)["posted_at"]


def test_a_rollback_renamed_in_the_dag_file_is_not_forgotten(rolled_back: tuple[Run, Checks]) -> None:
    ended, _ = rolled_back
    # As a worker sees it whose DAG file was edited after that task had run.
    del ended.dag.task_dict["back"]
    again = clear(ended, "cutover.check", "cutover.done")
    assert again.tasks["done"] == "failed"
    assert "is that of task back (mode source" in str(again.errors["done"])


@pytest.mark.parametrize("outcome", ["unknown", "accepted", "lost", "read"])
@pytest.mark.parametrize("well", [True, False])
def test_a_person_who_marks_the_switchover_success_is_believed_and_named(
    outcome: str, well: bool, ready: None, airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(
        monkeypatch,
        **{
            FORWARD: [evidence(FORWARD, outcome, None if outcome == "read" else 1)],
            "back": [evidence("back", minute=5, mode="source")],
        },
    )
    checks = Checks(well)
    before = _there_and_back(checks)
    assert _states(before) == ("upstream_failed", "skipped", "skipped", "upstream_failed")
    again = clear(before, "cutover.check", "cutover.rollback_gate", "back", "cutover.done", success=(FORWARD,))
    [told] = checks.told
    assert (told["outcome"], told["decided_by"]) == (outcome, "person")
    if well:
        assert _states(again) == ("success", "skipped", "skipped", "success")
        done = again.pull("cutover.done")
        assert (done["outcome"], done["decided_by"], done["task_id"]) == (outcome, "person", FORWARD)
    else:
        assert _states(again) == ("failed", "skipped", "skipped", "upstream_failed")
        assert "nothing was changed" in again.reason() or "a person has marked" in again.reason()


def test_a_person_who_marks_the_verification_failed_starts_the_rollback(
    ready: None, airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(
        monkeypatch,
        **{FORWARD: [evidence(FORWARD, minute=1)], "back": [evidence("back", minute=5, mode="source")]},
    )
    before = _there_and_back(Checks(True))
    assert _states(before) == ("success", "skipped", "skipped", "success")
    again = clear(before, "cutover.rollback_gate", "back", "cutover.done", failed=("cutover.check",))
    assert _states(again) == ("failed", "success", "success", "upstream_failed")


def test_a_switchover_marked_success_before_it_ran_has_no_evidence(
    ready: None, airflow_db: None, drs: Simulator
) -> None:
    checks = Checks(True)

    def build() -> None:
        cutover(job_id=JOB, mode="target", verify=checks.task(), on_failure=BaseOperator(task_id="back"))

    ended = run(build, mark_success_pattern=FORWARD)
    assert _states(ended) == ("success", "skipped", "skipped", "success")
    assert checks.told == [None]
    assert ended.pull("cutover.done")["decided_by"] == "person"
    assert "cutover.switchover is success and left no evidence: a person must look" in ended.reason()
    assert drs.switched(JOB) == []


def test_a_gate_that_cannot_ask_airflow_does_not_roll_back(
    ready: None, airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    def away(**_: Any) -> Any:
        raise ConnectionError("the API server is away")

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(away))
    script(monkeypatch, **{FORWARD: [evidence(FORWARD, "failed", 1)]})

    def build() -> None:
        cutover(job_id=JOB, mode="target", on_failure=BaseOperator(task_id="back"))

    ended = run(build, dag={"default_args": {"retries": 0}}, without_retries=("cutover.rollback_gate",))
    assert (ended.tasks["rollback_gate"], ended.tasks["back"]) == ("failed", "upstream_failed")
    assert ended.tasks["done"] == "upstream_failed"
