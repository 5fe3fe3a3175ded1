"""One poll, one wait and one repeated call, on a clock that jumps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_drs.protocol.errors import (
    DrsError,
    DrsPermissionError,
    DrsServerError,
    DrsUnavailableError,
)
from airflow_provider_drs.protocol.http.request import Call
from airflow_provider_drs.protocol.polling import GiveUp, KeepPolling, Pace, Patience, PollResult
from airflow_provider_drs.protocol.runtime import TroubleLasts, call_with_retry, poll, sit_out, wait_until_over
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply, get_switchover_status
from airflow_provider_drs.protocol.switchover.wait import Done, SwitchoverWait
from tests.constants import COMPLETE, JOB, START
from tests.protocol.scripted import ScriptedRuntime

DOWN = DrsServerError("DRS answered HTTP 503", http_status=503)


def _says(*replies: str | DrsError | None) -> Callable[[Call[Any]], Any]:
    """Return a service that gives these replies, the last one for ever."""
    left = list(replies)

    def service(_: Call[Any]) -> Any:
        reply = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(reply, DrsError):
            raise reply
        return SwitchoverReply(JOB, reply)

    return service


def _wait(**options: Any) -> SwitchoverWait:
    return SwitchoverWait(JOB, Pace(5.0), rng=lambda: 1.0, **options)


def test_a_poll_logs_what_it_says_and_hands_over_the_reply() -> None:
    runtime = ScriptedRuntime(_says(START))
    result = poll(_wait(), runtime)
    assert isinstance(result, KeepPolling)
    assert tuple(runtime.lines) == result.lines
    assert [line.text for line in runtime.lines] == [f"Job {JOB}: switchover in progress ({START})"]


def test_a_poll_hands_over_an_error_as_well() -> None:
    runtime = ScriptedRuntime(_says(DrsPermissionError("no permission")))
    result = poll(_wait(), runtime)
    assert isinstance(result, GiveUp)
    assert isinstance(result.error, DrsPermissionError)


def test_a_wait_goes_on_until_its_end() -> None:
    runtime = ScriptedRuntime(_says(None, START, DOWN, START, COMPLETE))
    result = wait_until_over(_wait(), runtime)
    assert isinstance(result, Done)
    assert result.result["polls"] == 5
    assert [pause for pause in runtime.clock.slept if pause != 5.0] == [10.0], "trouble is polled more slowly"


@pytest.mark.parametrize("max_polls", [1, 3])
def test_a_wait_stops_after_so_many_polls(max_polls: int) -> None:
    runtime = ScriptedRuntime(_says(START))
    assert isinstance(wait_until_over(_wait(), runtime, max_polls=max_polls), KeepPolling)
    assert len(runtime.clock.slept) == max_polls - 1, "and does not sleep after the last"


def test_a_wait_stops_where_it_is_told_to() -> None:
    seen: list[PollResult] = []

    def after_poll(result: PollResult) -> bool:
        seen.append(result)
        return len(seen) == 2

    result = wait_until_over(_wait(), ScriptedRuntime(_says(None, START, COMPLETE)), after_poll=after_poll)
    assert isinstance(result, KeepPolling)
    assert len(seen) == 2


def test_an_end_comes_before_being_told_to_stop() -> None:
    result = wait_until_over(_wait(), ScriptedRuntime(_says(COMPLETE)), after_poll=lambda _: True)
    assert isinstance(result, Done)


def test_a_call_is_repeated_while_trouble_passes() -> None:
    runtime = ScriptedRuntime(_says(DOWN, DOWN, COMPLETE))
    reply = call_with_retry(get_switchover_status(JOB), runtime, Patience("Job", 60.0))
    assert reply.status == COMPLETE
    assert len(runtime.clock.slept) == 2
    assert len(runtime.lines) == 1, "trouble is told once"


def test_a_call_is_given_up_once_the_patience_is_at_its_end() -> None:
    runtime = ScriptedRuntime(_says(DOWN))
    with pytest.raises(DrsUnavailableError, match="HTTP 503"):
        call_with_retry(get_switchover_status(JOB), runtime, Patience("Job", 60.0))
    assert sum(runtime.clock.slept) == pytest.approx(60.0)


def test_what_repeating_cannot_mend_is_not_repeated() -> None:
    runtime = ScriptedRuntime(_says(DrsPermissionError("no permission")))
    with pytest.raises(DrsPermissionError):
        call_with_retry(get_switchover_status(JOB), runtime, Patience("Job", 60.0))
    assert runtime.clock.slept == []


def test_trouble_is_sat_out_for_as_long_as_the_patience_says() -> None:
    runtime, patience = ScriptedRuntime(_says(None)), Patience("Job", 0.0)
    with pytest.raises(DrsUnavailableError):
        sit_out(DOWN, runtime, patience)
    assert runtime.clock.slept == []


def test_trouble_that_lasts_is_left_to_somebody_else() -> None:
    runtime = ScriptedRuntime(_says(DOWN))
    with pytest.raises(TroubleLasts) as left:
        call_with_retry(get_switchover_status(JOB), runtime, Patience("Job", 60.0, leave_after=15.0))
    assert 0 < sum(runtime.clock.slept) <= 15.0
    assert left.value.trouble.trouble_since == 1000.0, "what was waited counts on"
    assert left.value.ask_at > 1015.0, "and nobody asks sooner"


@pytest.mark.parametrize(("replies", "limit"), [((DOWN, COMPLETE), 60.0), ((DOWN,), 10.0)])
def test_what_is_short_is_not_left_to_anybody(replies: tuple[Any, ...], limit: float) -> None:
    runtime, patience = ScriptedRuntime(_says(*replies)), Patience("Job", limit, leave_after=15.0)
    if COMPLETE in replies:
        assert call_with_retry(get_switchover_status(JOB), runtime, patience).status == COMPLETE
    else:
        with pytest.raises(DrsUnavailableError):
            call_with_retry(get_switchover_status(JOB), runtime, patience)
