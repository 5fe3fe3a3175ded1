"""How a job is asked to change: what goes out, and what a lost response, a refusal or a busy job comes to."""

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
from airflow_provider_drs.protocol.http.request import Call
from airflow_provider_drs.protocol.jobs.calls import resume_jobs, start_jobs, stop_jobs
from airflow_provider_drs.protocol.jobs.control import (
    OLD_FAILURE_GRACE,
    PAUSE,
    RESUME,
    START,
    STOP,
    JobActionRequest,
    JobActionResult,
    control,
)
from airflow_provider_drs.protocol.jobs.replies import JobResult, JobState
from tests.protocol.scripted import ScriptedRuntime
from tests.protocol.strategies import JOB, thorough

RUNNING, RELEASING = "INCRE_TRANSFER_STARTED", "RELEASE_RESOURCE_STARTED"


class Service(ScriptedRuntime):
    """A DRS of one job: each request takes effect or not, and its response arrives or not, as the script has it."""

    def __init__(self, status: str, after: str, *script: str) -> None:
        self.status, self.after, self.script = status, after, list(script)
        self.sent = self.taken = 0
        super().__init__(self.send, now=0.0)

    def run(self, request: JobActionRequest) -> JobActionResult:
        return control(request, self)

    def send(self, call: Call[Any]) -> Any:
        return self._status() if call.name == "batch-status" else self._request()

    def _status(self) -> dict[str, JobState]:
        self.clock.now += 1
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


def stop(patience: float = 900.0) -> JobActionRequest:
    return JobActionRequest(JOB, STOP, stop_jobs, patience, "here")


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
    assert service.run(JobActionRequest(JOB, START, start_jobs)).requested
    assert service.sent == 1


def test_a_refusal_is_the_callers() -> None:
    with pytest.raises(DrsWrongStateError, match="DRS refuses resuming"):
        Service("CONFIGURATION", "CONFIGURATION").run(JobActionRequest(JOB, RESUME, resume_jobs))


def test_a_second_refusal_after_a_lost_answer_is_the_callers_unless_the_task_has_changed() -> None:
    with pytest.raises(DrsWrongStateError):
        Service("CONFIGURATION", "CONFIGURATION", "lost before").run(JobActionRequest(JOB, RESUME, resume_jobs))


def test_patience_ends() -> None:
    with pytest.raises(DrsError, match="is not known"):
        Service(RUNNING, RELEASING, *["lost before"] * 99).run(stop(patience=60.0))
    busy = Service(RUNNING, RELEASING, *["busy"] * 99)
    with pytest.raises(DrsError, match="no good response"):
        busy.run(stop(patience=60.0))
    assert busy.time < 120


def test_an_error_that_does_not_pass_is_the_callers() -> None:
    def refuse(call: Call[Any]) -> Any:
        raise DrsPermissionError("no")

    with pytest.raises(DrsPermissionError):
        control(stop(), ScriptedRuntime(refuse))


def test_the_failure_before_a_request_stands_for_a_while() -> None:
    order = JobActionRequest(JOB, RESUME, resume_jobs)
    wanted = JobActionResult("INCRE_TRANSFER_FAILED", True, 100.0).wanted(order, None)
    assert not wanted.is_failure("INCRE_TRANSFER_FAILED", 100.0 + OLD_FAILURE_GRACE - 1)
    assert wanted.is_failure("INCRE_TRANSFER_FAILED", 100.0 + OLD_FAILURE_GRACE)
    assert wanted.is_failure("START_JOB_FAILED", 100.0)
    unasked = JobActionResult("INCRE_TRANSFER_FAILED", False, 100.0).wanted(order, None)
    assert unasked.is_failure("INCRE_TRANSFER_FAILED", 100.0)


def test_no_action_takes_its_goal_for_a_failure() -> None:
    for action in (START, PAUSE, RESUME, STOP):
        assert not set(action.goals) & set(action.failures)
        assert not set(action.under_way) & set(action.failures)
