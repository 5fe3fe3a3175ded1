"""The table of verdicts, shown to the state machine: no network, no Airflow, no time that passes."""

from __future__ import annotations

import json
import logging
from collections import deque
from typing import Any, TypeVar

import pytest

from airflow_provider_drs.exceptions import DrsSwitchoverFailedError
from airflow_provider_drs.protocol.errors import DrsUnreachableError
from airflow_provider_drs.protocol.http.auth_flow import GetToken, exchange
from airflow_provider_drs.protocol.http.request import Call, Token
from airflow_provider_drs.protocol.http.response import HttpResponse, iam_error
from airflow_provider_drs.protocol.polling import GiveUp, KeepPolling, Pace, PollResult
from airflow_provider_drs.protocol.runtime import poll
from airflow_provider_drs.protocol.switchover.wait import Done, SwitchoverFailed, SwitchoverMemory, SwitchoverWait
from airflow_provider_drs.simulator import Fault
from tests.clock import FakeClock
from tests.constants import COMPLETE, GET_STATUS, JOB, TOKENS
from tests.protocol.scripted import ScriptedRuntime
from tests.rows import Row
from tests.verdicts import VERDICTS

R = TypeVar("R")

INTERVAL = 5.0


class ScriptedDrs:
    """DRS and IAM as values: the responses of a row, one after the other."""

    def __init__(self, row: Row, clock: FakeClock) -> None:
        self._faults = {call: deque(f for name, f in row.faults if name == call) for call in (GET_STATUS, TOKENS)}
        self._job = {"answers_as": JOB, "error_code": None, "error_msg": None, **row.job}
        self._script = list(self._job["status_script"])
        self._clock = clock
        self._token: Token | None = None
        self.polls = self.log_ins = 0

    def call(self, call: Call[R]) -> R:
        """Make a call as the clients do."""
        steps = exchange(call, "https://drs.example", "en-us")
        step = next(steps)
        try:
            while True:
                step = steps.send(self._get_token(step.refused) if isinstance(step, GetToken) else self._get_status())
        except StopIteration as reply:
            value: R = reply.value
            return value

    def _get_token(self, refused: Token | None) -> Token:
        if self._token is None or self._token == refused:
            self.log_ins += 1
            if self._faults[TOKENS]:
                raise iam_error(self._response(self._faults[TOKENS].popleft()))
            self._token = Token(f"token-{self.log_ins}", "project")
        return self._token

    def _get_status(self) -> HttpResponse:
        self.polls += 1
        if self._faults[GET_STATUS]:
            return self._response(self._faults[GET_STATUS].popleft())
        status = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if status == "EMPTY":
            return self._response(Fault.status(422, "DRS.M00002"))
        body: dict[str, Any] = {"id": self._job["answers_as"]} | ({} if status == "ABSENT" else {"status": status})
        return HttpResponse(200, {}, json.dumps(body | self._reason()).encode(), self._clock.now)

    def _reason(self) -> dict[str, Any]:
        return {name: self._job[name] for name in ("error_code", "error_msg") if self._job[name] is not None}

    def _response(self, fault: Fault) -> HttpResponse:
        if fault.response is None:
            raise DrsUnreachableError("the connection broke off")
        return HttpResponse(fault.response.status, fault.response.headers, fault.response.body, self._clock.now)


def _play(row: Row, clock: FakeClock, again: bool) -> tuple[ScriptedDrs, PollResult, list[str]]:
    """Wait as a row has it; with ``again`` every poll is made by another process, as in reschedule mode."""
    drs = ScriptedDrs(row, clock)
    runtime = ScriptedRuntime(drs.call, clock)
    options = {"error_context": f"Connection 'drs_default', job '{JOB}'", "rng": lambda: 1.0, **row.options}
    wait = SwitchoverWait(JOB, Pace(INTERVAL), **options)
    while True:
        if again:
            memory = SwitchoverMemory.from_dict(json.loads(json.dumps(wait.memory.to_dict())))
            wait = SwitchoverWait(JOB, Pace(INTERVAL), memory=memory, **options)
        result = poll(wait, runtime)
        if not isinstance(result, KeepPolling):
            return drs, result, [logging.getLevelName(line.level).lower() for line in runtime.lines]
        runtime.sleep(result.delay)


@pytest.mark.parametrize("again", [False, True], ids=["one process", "a process a poll"])
@pytest.mark.parametrize("row", VERDICTS, ids=str)
def test_verdict(row: Row, again: bool) -> None:
    clock = FakeClock()
    drs, verdict, levels = _play(row, clock, again)

    error: BaseException | None = None
    if isinstance(verdict, SwitchoverFailed):
        error = DrsSwitchoverFailedError(verdict.job_id, verdict.error_code, verdict.error_msg)
    elif isinstance(verdict, GiveUp):
        error = verdict.error
        assert "'drs_default'" in str(error)
    row.check_end("success" if isinstance(verdict, Done) else "failed", error)
    row.check_log(levels)
    assert error is None or JOB in str(error)
    assert row.polls in (None, drs.polls)
    assert row.log_ins == drs.log_ins
    assert row.slowest is None or max(clock.slept, default=0) <= row.slowest
    if row.warnings:
        assert max(clock.slept) > INTERVAL, "trouble is polled more slowly"
    if isinstance(verdict, Done):
        assert list(verdict.result) == ["job_id", "status", "first_polled_at", "done_at", "polls"]
        assert (verdict.result["job_id"], verdict.result["status"]) == (JOB, COMPLETE)
        assert verdict.result["polls"] == len(clock.slept) + 1


def test_the_rows_for_a_real_airflow_stand_for_all_others() -> None:
    ends = {(row.state, row.error) for row in VERDICTS if row.real}
    assert {("success", None), ("failed", DrsSwitchoverFailedError)} < ends
    assert {bool(row.warnings) for row in VERDICTS if row.real} == {True, False}
    assert {call for row in VERDICTS if row.real for call, _ in row.faults} == {GET_STATUS, TOKENS}
