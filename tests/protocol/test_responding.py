"""The wait for DRS to respond again: each call once, however long it takes, whatever is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from airflow_provider_drs.protocol.errors import DrsError, DrsPermissionError, DrsServerError, DrsUnavailableError
from airflow_provider_drs.protocol.http.request import Call
from airflow_provider_drs.protocol.polling import GiveUp, Pace, PollMemory
from airflow_provider_drs.protocol.responding import RespondingWait, Responds
from airflow_provider_drs.protocol.runtime import wait_until_over
from airflow_provider_drs.protocol.switchover.switch import reads
from tests.constants import JOB
from tests.protocol.scripted import ScriptedRuntime

DOWN = DrsServerError("DRS answered HTTP 503", http_status=503)
STATUS, JOB_STATUS, PROGRESS = (call.path for call in reads(JOB))


class Service:
    """Responds, apart from the errors of each path."""

    def __init__(self, **errors: Sequence[DrsError]) -> None:
        self.errors = {name: list(those) for name, those in errors.items()}
        self.asked: list[str] = []

    def __call__(self, call: Call[Any]) -> Any:
        assert call.changes_nothing
        self.asked.append(call.path)
        name = {STATUS: "status", JOB_STATUS: "job_status", PROGRESS: "progress"}[call.path]
        if left := self.errors.get(name):
            raise left.pop(0)
        return {}


def _wait(limit: float | None = 900.0, since: float | None = None) -> RespondingWait:
    memory = PollMemory(since, 1 if since is not None else 0)
    return RespondingWait(f"Job {JOB}", reads(JOB), Pace(5.0), memory, transient_error_timeout=limit, rng=lambda: 1.0)


def test_each_call_is_made_once() -> None:
    service = Service()
    runtime = ScriptedRuntime(service)
    result = wait_until_over(_wait(), runtime)
    assert (result, result.event()) == (Responds(), {"outcome": "ready"})
    assert service.asked == [STATUS, JOB_STATUS, PROGRESS]
    assert sum(runtime.clock.slept) == 0


@pytest.mark.parametrize("name", ["status", "job_status", "progress"])
def test_the_one_that_fails_is_made_again(name: str) -> None:
    service = Service(**{name: [DOWN] * 3})
    runtime = ScriptedRuntime(service)
    assert isinstance(wait_until_over(_wait(), runtime), Responds)
    assert len(service.asked) == 6
    assert len(set(service.asked)) == 3
    assert runtime.clock.slept[-3:] != [0.0] * 3, "more and more slowly"
    assert [line.text for line in runtime.lines][-1].startswith("DRS responds again about job")


@pytest.mark.parametrize("name", ["status", "progress"])
def test_what_was_waited_before_counts(name: str) -> None:
    runtime = ScriptedRuntime(Service(**{name: [DOWN] * 100}))
    result = wait_until_over(_wait(100.0, since=940.0), runtime)
    assert isinstance(result, GiveUp)
    assert isinstance(result.error, DrsUnavailableError)
    assert sum(runtime.clock.slept) == pytest.approx(40.0)


def test_what_does_not_pass_is_an_end() -> None:
    result = wait_until_over(_wait(), ScriptedRuntime(Service(job_status=[DrsPermissionError("no permission")])))
    assert isinstance(result, GiveUp)
    assert isinstance(result.error, DrsPermissionError)
