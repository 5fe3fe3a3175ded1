"""How a task is asked to change: what goes out, and what a lost answer, a refusal or a busy task comes to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_drs.protocol.errors import (
    DrsBusyError,
    DrsError,
    DrsPermissionError,
    DrsServerError,
    DrsUnreachableError,
    DrsWrongStateError,
)
from airflow_provider_drs.protocol.jobs.calls import resume_jobs, start_jobs, stop_jobs
from airflow_provider_drs.protocol.jobs.control import (
    OLD_FAILURE_GRACE,
    PAUSE,
    RESUME,
    START,
    STOP,
    Order,
    Taken,
    control,
)
from airflow_provider_drs.protocol.jobs.replies import JobResult, JobState
from airflow_provider_drs.protocol.switchover.steps import Ask, Now, Pause
from tests.protocol.strategies import JOB, thorough

RUNNING, RELEASING = "INCRE_TRANSFER_STARTED", "RELEASE_RESOURCE_STARTED"


class Service:
    """A DRS of one task: each request takes effect or not, and its answer arrives or not, as the script has it."""

    def __init__(self, status: str, after: str, *script: str) -> None:
        self.status, self.after, self.script = status, after, list(script)
        self.sent = self.taken = 0
        self.now = 0.0

    def run(self, order: Order) -> Taken:
        steps = control(order)
        step = next(steps)
        try:
            while True:
                outcome: Any = None
                if isinstance(step, Ask):
                    try:
                        outcome = self._status() if step.call.name == "batch-status" else self._request()
                    except DrsError as error:
                        step = steps.throw(error)
                        continue
                elif isinstance(step, Now):
                    outcome = self.now
                elif isinstance(step, Pause):
                    self.now += step.seconds
                step = steps.send(outcome)
        except StopIteration as done:
            taken: Taken = done.value
            return taken

    def _status(self) -> dict[str, JobState]:
        self.now += 1
        return {JOB: JobState(JOB, self.status)}

    def _request(self) -> dict[str, JobResult]:
        self.sent += 1
        what = self.script.pop(0) if self.script else "ok"
        if what == "busy":
            raise DrsBusyError("busy")
        if what == "lost before":
            raise DrsUnreachableError("reset")
        if self.status == self.after:
            return {JOB: JobResult(JOB, False, "DRS.M00304")}
        self.status, self.taken = self.after, self.taken + 1
        if what == "lost after":
            raise DrsServerError("HTTP 502")
        return {JOB: JobResult(JOB, True)}


def stop(patience: float = 900.0) -> Order:
    return Order(JOB, STOP, stop_jobs, patience, "here")


@thorough
@given(st.lists(st.sampled_from(["busy", "lost before", "lost after"]), max_size=8))
def test_over_any_history_it_takes_effect_once_and_ends_well(script: list[str]) -> None:
    service = Service(RUNNING, RELEASING, *script)
    taken = service.run(stop(patience=1e9))
    assert (service.status, service.taken, taken.before, taken.requested) == (RELEASING, 1, RUNNING, True)
    needed = script.index("lost after") + 1 if "lost after" in script else len(script) + 1
    assert service.sent == needed, "no request goes out that is not needed"


@pytest.mark.parametrize("status", [*STOP.goals, *STOP.under_way])
def test_what_is_there_or_on_its_way_is_left_alone(status: str) -> None:
    service = Service(status, RELEASING)
    assert not service.run(stop()).requested
    assert service.sent == 0


def test_a_change_after_a_lost_answer_is_taken_for_ours() -> None:
    service = Service("CONFIGURATION", "WAITING_FOR_START", "lost after")
    assert service.run(Order(JOB, START, start_jobs)).requested
    assert service.sent == 1


def test_a_refusal_is_the_callers() -> None:
    with pytest.raises(DrsWrongStateError, match="DRS refuses resuming"):
        Service("CONFIGURATION", "CONFIGURATION").run(Order(JOB, RESUME, resume_jobs))


def test_a_second_refusal_after_a_lost_answer_is_the_callers_unless_the_task_has_changed() -> None:
    with pytest.raises(DrsWrongStateError):
        Service("CONFIGURATION", "CONFIGURATION", "lost before").run(Order(JOB, RESUME, resume_jobs))


def test_patience_ends() -> None:
    with pytest.raises(DrsError, match="is not known"):
        Service(RUNNING, RELEASING, *["lost before"] * 99).run(stop(patience=60.0))
    busy = Service(RUNNING, RELEASING, *["busy"] * 99)
    with pytest.raises(DrsError, match="not one good answer"):
        busy.run(stop(patience=60.0))
    assert busy.now < 120


def test_an_error_that_does_not_pass_is_the_callers() -> None:
    steps = control(stop())
    assert isinstance(next(steps), Ask)
    with pytest.raises(DrsPermissionError):
        steps.throw(DrsPermissionError("no"))


def test_the_failure_before_a_request_stands_for_a_while() -> None:
    order = Order(JOB, RESUME, resume_jobs)
    wanted = Taken("INCRE_TRANSFER_FAILED", True, 100.0).wanted(order, None)
    assert not wanted.is_failure("INCRE_TRANSFER_FAILED", 100.0 + OLD_FAILURE_GRACE - 1)
    assert wanted.is_failure("INCRE_TRANSFER_FAILED", 100.0 + OLD_FAILURE_GRACE)
    assert wanted.is_failure("START_JOB_FAILED", 100.0)
    unasked = Taken("INCRE_TRANSFER_FAILED", False, 100.0).wanted(order, None)
    assert unasked.is_failure("INCRE_TRANSFER_FAILED", 100.0)


def test_no_action_takes_its_goal_for_a_failure() -> None:
    for action in (START, PAUSE, RESUME, STOP):
        assert not set(action.goals) & set(action.failures)
        assert not set(action.under_way) & set(action.failures)
