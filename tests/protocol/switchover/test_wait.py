from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any
from unittest.mock import ANY

import pytest

from airflow_provider_drs.protocol import errors
from airflow_provider_drs.protocol.polling import GiveUp, Instant, KeepPolling, Pace, PollResult, duration, utc
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply
from airflow_provider_drs.protocol.switchover.freshness import Freshness
from airflow_provider_drs.protocol.switchover.wait import (
    Done,
    SwitchoverFailed,
    SwitchoverMemory,
    SwitchoverWait,
    Undecided,
)
from tests.constants import CHILD_JOB, JOB, T0

START = SwitchoverReply(JOB, "SWITCH_VIP_START")
COMPLETE = SwitchoverReply(JOB, "SWITCH_VIP_COMPLETE")
FAILED = SwitchoverReply(JOB, "SWITCH_VIP_FAILED", "DRS.M9", "no free address")
NOTHING = SwitchoverReply(None, None)
DOWN = errors.DrsServerError("DRS responded with HTTP 503", http_status=503, error_code="X.1", error_msg="later")

Event = SwitchoverReply | errors.DrsError


def waiting(interval: float = 5.0, rng: float = 1.0, **options: Any) -> SwitchoverWait:
    return SwitchoverWait(JOB, Pace(interval), rng=lambda: rng, **options)


def tell(wait: SwitchoverWait, event: Event, at: float) -> PollResult:
    return wait.failed(event, at) if isinstance(event, errors.DrsError) else wait.take([event], at, Instant(at))


def play(wait: SwitchoverWait, *events: tuple[float, Event]) -> list[PollResult]:
    """Tell ``wait`` what came at which second of the wait."""
    return [tell(wait, event, T0 + at) for at, event in events]


def lines(verdicts: list[PollResult]) -> list[tuple[int, str]]:
    return [(line.level, line.text) for verdict in verdicts for line in verdict.lines]


def test_a_switchover_that_completes() -> None:
    verdicts = play(waiting(), (0, NOTHING), (5, START), (10, START), (15.25, COMPLETE))
    assert [type(v) for v in verdicts] == [KeepPolling, KeepPolling, KeepPolling, Done]
    assert [v.delay for v in verdicts if isinstance(v, KeepPolling)] == [5, 5, 5]
    result = {
        "job_id": JOB,
        "status": "SWITCH_VIP_COMPLETE",
        "first_polled_at": "2026-11-23T12:00:00+00:00",
        "done_at": "2026-11-23T12:00:15.250000+00:00",
        "polls": 4,
    }
    assert isinstance(verdicts[-1], Done)
    assert verdicts[-1].result == result
    assert verdicts[-1].event() == {"outcome": "done", "result": result, "seen": ANY}
    assert lines(verdicts) == [
        (logging.INFO, f"Job {JOB}: no switchover yet; waiting for one"),
        (logging.INFO, f"Job {JOB}: switchover in progress (SWITCH_VIP_START)"),
        (logging.INFO, f"Job {JOB}: switchover done (SWITCH_VIP_COMPLETE)"),
    ]


def test_a_switchover_that_fails() -> None:
    *_, verdict = play(waiting(), (0, START), (5, FAILED))
    assert isinstance(verdict, SwitchoverFailed)
    switchover = {"job_id": JOB, "error_code": "DRS.M9", "error_msg": "no free address"}
    assert verdict.event() == {"outcome": "failed", "switchover": switchover, "seen": ANY}
    assert lines([verdict]) == [(logging.INFO, f"Job {JOB}: switchover failed (SWITCH_VIP_FAILED)")]


def test_the_first_poll_can_be_the_last() -> None:
    verdict = tell(waiting(), COMPLETE, T0)
    assert isinstance(verdict, Done)
    assert verdict.result["first_polled_at"] == verdict.result["done_at"] == utc(T0)
    assert verdict.result["polls"] == 1


def test_the_first_poll_is_the_first_one_also_at_the_beginning_of_time() -> None:
    wait = waiting()
    tell(wait, START, 0.0)
    verdict = tell(wait, COMPLETE, 5.0)
    assert isinstance(verdict, Done)
    assert verdict.result["first_polled_at"] == "1970-01-01T00:00:00+00:00"


def test_a_poll_that_failed_counts_as_a_poll() -> None:
    *_, verdict = play(waiting(), (0, DOWN), (10, START), (15, DOWN), (25, COMPLETE))
    assert isinstance(verdict, Done)
    assert verdict.result["polls"] == 4
    assert verdict.result["first_polled_at"] == utc(T0)


EMPTY = [NOTHING, SwitchoverReply(JOB, None), SwitchoverReply(None, ""), SwitchoverReply(JOB, "")]


@pytest.mark.parametrize("empty", EMPTY)
def test_no_status_is_waited_out_and_said_once(empty: SwitchoverReply) -> None:
    verdicts = play(waiting(), (0, empty), (5, empty), (10, NOTHING), (15, empty))
    assert [type(v) for v in verdicts] == [KeepPolling] * 4
    assert lines(verdicts) == [(logging.INFO, f"Job {JOB}: no switchover yet; waiting for one")]


def test_a_status_seen_again_after_another_is_a_change() -> None:
    verdicts = play(waiting(), (0, START), (5, NOTHING), (10, START), (15, START))
    assert [len(v.lines) for v in verdicts] == [1, 1, 1, 0]


@pytest.mark.parametrize("status", ["SWITCH_VIP_PAUSED", "success", "failed", "switch_vip_complete", "COMPLETE"])
def test_a_status_that_is_not_documented_ends_the_wait_and_is_named(status: str) -> None:
    verdict = tell(waiting(), SwitchoverReply(JOB, status), T0)
    assert isinstance(verdict, GiveUp)
    assert type(verdict.error) is errors.DrsUnknownStatusError
    assert repr(status) in str(verdict.error)


OTHER_IDS = [
    *(SwitchoverReply(CHILD_JOB, s) for s in ("SWITCH_VIP_COMPLETE", "SWITCH_VIP_FAILED", "SWITCH_VIP_START", None)),
    SwitchoverReply("", "SWITCH_VIP_COMPLETE"),
    SwitchoverReply("", None),
    SwitchoverReply(JOB.upper(), "SWITCH_VIP_COMPLETE"),
    SwitchoverReply(None, "SWITCH_VIP_COMPLETE"),
    SwitchoverReply(None, "SWITCH_VIP_FAILED"),
]


@pytest.mark.parametrize("reply", OTHER_IDS)
def test_an_answer_about_another_job_ends_the_wait_and_names_both(reply: SwitchoverReply) -> None:
    verdict = tell(waiting(), reply, T0)
    assert isinstance(verdict, GiveUp)
    assert type(verdict.error) is errors.DrsJobMismatchError
    text = str(verdict.error)
    assert repr(JOB) in text
    assert (repr(reply.job_id) if reply.job_id is not None else "without a job id") in text
    assert "verify_job_id=False" in text


@pytest.mark.parametrize(
    ("status", "end"),
    [("SWITCH_VIP_COMPLETE", Done), ("SWITCH_VIP_FAILED", SwitchoverFailed), (None, KeepPolling), ("x", GiveUp)],
)
def test_without_verification_any_id_will_do(status: str | None, end: type[PollResult]) -> None:
    for job_id in (CHILD_JOB, None, ""):
        verdict = tell(waiting(verify_job_id=False), SwitchoverReply(job_id, status), T0)
        assert type(verdict) is end
        if isinstance(verdict, Done):
            assert verdict.result["job_id"] == JOB


PERMANENT = [
    cls
    for cls in vars(errors).values()
    if isinstance(cls, type) and issubclass(cls, errors.DrsError) and not issubclass(cls, errors.DrsTransientError)
]


@pytest.mark.parametrize("cls", PERMANENT)
def test_an_error_that_does_not_pass_ends_the_wait_at_once(cls: type[errors.DrsError]) -> None:
    error = cls("no", error_code="DRS.M1", http_status=400)
    verdict = waiting(error_context="Connection 'drs', job 'x'").failed(error, T0)
    assert isinstance(verdict, GiveUp)
    expected = error.with_context("Connection 'drs', job 'x'").to_dict()
    assert verdict.error.to_dict() == expected
    assert verdict.lines == ()
    assert verdict.event() == {"outcome": "error", "error": expected}


def test_every_end_in_an_error_says_what_it_is_about() -> None:
    wait = waiting(error_context="here", transient_error_timeout=0)
    ends = [
        tell(wait, SwitchoverReply(JOB, "x"), T0),
        tell(wait, SwitchoverReply(CHILD_JOB, None), T0),
        wait.failed(errors.DrsPermissionError("no"), T0),
        wait.failed(DOWN, T0),
    ]
    assert [end.error.error_context for end in ends if isinstance(end, GiveUp)] == ["here"] * 4
    known = wait.failed(errors.DrsPermissionError("no", error_context="there"), T0)
    assert isinstance(known, GiveUp)
    assert known.error.error_context == "there"


@pytest.mark.parametrize("cls", [errors.DrsTransientError, *errors.DrsTransientError.__subclasses__()])
def test_an_error_that_may_pass_is_waited_out(cls: type[errors.DrsError]) -> None:
    assert isinstance(waiting().failed(cls("no"), T0), KeepPolling)


@pytest.mark.parametrize("interval", [0.0, 0.2, 1.0])
def test_a_caller_who_carries_on_after_the_end_does_not_poll_in_a_hot_loop(interval: float) -> None:
    wait = waiting(interval, transient_error_timeout=0)
    ends = [
        tell(wait, SwitchoverReply(JOB, "x"), T0),
        tell(wait, SwitchoverReply(CHILD_JOB, None), T0),
        wait.failed(errors.DrsPermissionError("no"), T0),
        wait.failed(DOWN, T0),
    ]
    for verdict in ends:
        assert isinstance(verdict, GiveUp)
        assert verdict.delay >= 1


def test_a_wait_in_progress_is_no_event() -> None:
    with pytest.raises(TypeError):
        tell(waiting(), START, T0).event()


def test_the_memory_is_plain_json_and_knows_everything() -> None:
    wait = waiting()
    play(wait, (0, START), (5, DOWN), (15, DOWN))
    stored = json.loads(json.dumps(wait.memory.to_dict()))
    observed = [{"status": "SWITCH_VIP_START", "at": utc(T0)}]
    known = SwitchoverMemory(
        trouble_since=T0 + 5,
        trouble_polls=2,
        polls=3,
        first_polled_at=T0,
        last_seen="SWITCH_VIP_START",
        observed=observed,
        last_good_at=T0,
        started=True,
    )
    assert SwitchoverMemory.from_dict(stored) == wait.memory == known


def test_a_memory_of_another_version_is_read_as_far_as_it_goes() -> None:
    assert SwitchoverMemory.from_dict({}) == SwitchoverMemory()
    assert SwitchoverMemory.from_dict({"polls": 4, "mood": "good", "last_seen": ""}) == SwitchoverMemory(
        polls=4, last_seen=""
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 second"), (59.6, "1 minute"), (900, "15 minutes"), (90061, "1 day 1 hour 1 minute 1 second"),
     (0, "0 seconds"), (0.4, "0 seconds"), (-3, "0 seconds")],
)  # fmt: skip
def test_durations_are_told_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_moments_are_told_in_utc() -> None:
    assert datetime.fromisoformat(utc(T0)) == datetime(2026, 11, 23, 12, tzinfo=UTC)


# Which switchover is meant.


def meant(**more: Any) -> Freshness:
    given = {"settle": None, "decide_within": 60.0, "empty_since": True, **more}
    return Freshness("SWITCH_VIP_COMPLETE", T0, T0, **given)


def delays(verdicts: list[PollResult]) -> list[tuple[float, bool]]:
    return [(v.delay, v.stay) for v in verdicts if isinstance(v, KeepPolling)]


def test_a_second_read_comes_a_second_later_and_in_the_same_process() -> None:
    verdicts = play(waiting(freshness=meant()), (0, START), (1, START), (6, COMPLETE), (7, COMPLETE))
    assert delays(verdicts) == [(1, True), (5, False), (1, True)]
    assert isinstance(verdicts[-1], Done)


def test_until_start_is_seen_it_polls_every_second_unless_it_lives_from_process_to_process() -> None:
    assert delays(play(waiting(freshness=meant()), (0, COMPLETE), (1, COMPLETE))) == [(1, False)] * 2
    assert delays(play(waiting(freshness=meant(), fast=False), (0, COMPLETE), (5, COMPLETE))) == [(5, False)] * 2


def test_what_one_process_saw_the_next_one_knows() -> None:
    memory = SwitchoverMemory()
    found = []
    for at, event in ((0, START), (1, START), (900, COMPLETE), (901, COMPLETE)):
        memory = SwitchoverMemory.from_dict(json.loads(json.dumps(memory.to_dict())))
        found.append(tell(waiting(freshness=meant(), memory=memory), event, T0 + at))
    assert delays(found) == [(1, True), (5, False), (1, True)]
    assert isinstance(found[-1], Done)


def test_a_memory_of_version_0_2_knows_of_start() -> None:
    memory = SwitchoverMemory.from_dict({"started": True, "final": None})
    found = [tell(waiting(freshness=meant(), memory=memory), COMPLETE, T0 + at) for at in (900, 901)]
    assert isinstance(found[-1], Done)


@pytest.mark.parametrize("last", [START, DOWN])
def test_its_time_is_up(last: Event) -> None:
    verdicts = play(waiting(freshness=meant(), deadline=T0 + 20), (0, START), (1, START), (6, START), (20, last))
    assert isinstance(verdicts[-1], Undecided)
    assert "no end within the timeout" in verdicts[-1].reason
    event = verdicts[-1].event()
    assert (event["outcome"], event["seen"]["status"]) == ("undecided", "SWITCH_VIP_START")


def test_it_ends_undecided_where_nothing_can_be_told_any_more() -> None:
    verdicts = play(waiting(freshness=meant()), (0, COMPLETE), (61, COMPLETE))
    assert isinstance(verdicts[-1], Undecided)
    assert "as before, with no START seen in time" in verdicts[-1].reason


def test_an_end_says_what_it_rests_on_in_order_and_last_the_end() -> None:
    verdicts = play(waiting(freshness=meant()), (0, COMPLETE), (1, START), (2, START), (6, FAILED), (7, FAILED))
    assert isinstance(verdicts[-1], SwitchoverFailed)
    seen = verdicts[-1].event()["seen"]
    assert [change["status"][11:] for change in seen["observed"]] == ["COMPLETE", "START", "FAILED"]
    assert (seen["status"], seen["error_code"], seen["detection"]) == ("SWITCH_VIP_FAILED", "DRS.M9", 1)
    assert lines(verdicts)[0][1].endswith("still shows the result from before (SWITCH_VIP_COMPLETE)")
    assert lines(verdicts)[-1][1].endswith("switchover failed (SWITCH_VIP_FAILED)")
