from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_drs.protocol import errors
from airflow_provider_drs.protocol.polling import GiveUp, KeepPolling, Pace, PollResult
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply
from airflow_provider_drs.protocol.switchover.wait import Done, SwitchoverFailed, SwitchoverMemory, SwitchoverWait
from tests.protocol.strategies import thorough
from tests.protocol.switchover.test_wait import CHILD_JOB, JOB, T0, Event, tell, waiting

DOCUMENTED = ("SWITCH_VIP_START", "SWITCH_VIP_COMPLETE", "SWITCH_VIP_FAILED", None, "")
replies = st.builds(
    SwitchoverReply,
    st.sampled_from([JOB, JOB, JOB, CHILD_JOB, None, ""]) | st.text(max_size=5),
    st.sampled_from(DOCUMENTED) | st.text(max_size=8),
    st.none() | st.text(max_size=5),
    st.none() | st.text(max_size=5),
)
troubles: st.SearchStrategy[errors.DrsError] = st.builds(
    lambda cls, retry_after: cls("no", retry_after=retry_after),
    st.sampled_from([*errors.DrsTransientError.__subclasses__(), errors.DrsPermissionError]),
    st.none() | st.floats(0, 3600),
)
# The clock may be set back while a wait lasts.
histories = st.lists(st.tuples(st.floats(-100, 1000), replies | troubles), max_size=20)
paces = st.builds(Pace, st.floats(0, 1e6), st.booleans(), st.none() | st.floats(1, 1e6), st.text(max_size=3))


@thorough
@given(histories, paces, st.booleans(), st.none() | st.floats(0, 2000), st.floats(0, 1))
def test_whatever_comes_success_is_only_what_drs_says_about_this_job(
    history: list[tuple[float, Event]], pace: Pace, verify: bool, limit: float | None, rng: float
) -> None:
    wait = SwitchoverWait(JOB, pace, verify_job_id=verify, transient_error_timeout=limit, rng=lambda: rng)
    at, seen, in_trouble = T0, None, False
    for number, (passed, event) in enumerate(history, 1):
        at += passed
        # In reschedule mode every poll is made by another process.
        wait.memory = SwitchoverMemory.from_dict(json.loads(json.dumps(wait.memory.to_dict())))
        verdict = tell(wait, event, at)
        assert wait.memory.polls == number
        if isinstance(verdict, KeepPolling | GiveUp):
            assert math.isfinite(verdict.delay)
            assert verdict.delay >= 0
        if isinstance(event, errors.DrsError):
            began = isinstance(event, errors.DrsTransientError) and not in_trouble
            in_trouble = in_trouble or began
            assert isinstance(verdict, KeepPolling | GiveUp)
            assert len(verdict.lines) == began
            continue
        ours = not verify or event.job_id == JOB
        assert isinstance(verdict, Done) == (ours and event.status == "SWITCH_VIP_COMPLETE")
        assert isinstance(verdict, SwitchoverFailed) == (ours and event.status == "SWITCH_VIP_FAILED")
        one_line = ours or (event.job_id is None and not event.status)
        assert isinstance(verdict, GiveUp) == (not one_line or event.status not in DOCUMENTED)
        if isinstance(verdict, GiveUp):
            assert verdict.lines == ()
            continue
        assert len(verdict.lines) == in_trouble + (seen != (event.status or ""))
        in_trouble, seen = False, event.status or ""
        if not isinstance(verdict, KeepPolling):
            json.dumps(verdict.event())


@thorough
@given(histories.filter(len))
def test_two_processes_wait_as_one_would(history: list[tuple[float, Event]]) -> None:
    one, memory, at = waiting(), SwitchoverMemory(), T0
    for passed, event in history:
        at += passed
        another = waiting(memory=memory)
        assert describe(tell(another, event, at)) == describe(tell(one, event, at))
        memory = SwitchoverMemory.from_dict(json.loads(json.dumps(another.memory.to_dict())))


def describe(verdict: PollResult) -> tuple[type[PollResult], dict[str, Any]]:
    content = asdict(verdict)
    if isinstance(verdict, GiveUp):
        content["error"] = verdict.error.to_dict()
    return type(verdict), content
