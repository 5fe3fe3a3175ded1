"""Which waits share a poll, who is told of what, and that nothing is lost or left behind."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from contextlib import ExitStack
from typing import Any

import pytest

from airflow_provider_drs.clients.observer import Observer
from airflow_provider_drs.clients.polling.follower import Follower, Stream
from airflow_provider_drs.protocol.compare.wait import CompareWait
from airflow_provider_drs.protocol.errors import (
    DrsArgumentError,
    DrsBusyError,
    DrsError,
    DrsInvalidResponseError,
    DrsJobNotFoundError,
    DrsServerError,
)
from airflow_provider_drs.protocol.jobs.wait import JobsFailed, Ready
from airflow_provider_drs.protocol.polling import GiveUp, Pace
from airflow_provider_drs.protocol.switchover.wait import Done, SwitchoverWait
from tests.clock import FakeClock
from tests.constants import COMPLETE, START

from .streams import (
    BEFORE,
    HEALTHY,
    Drs,
    Waits,
    an_interval,
    job,
    jobs,
    played,
    switchover,
)


def test_a_hundred_waits_on_one_job_make_one_request_an_interval(drs: Drs, clock: FakeClock) -> None:
    async def play(waits: Waits) -> None:
        for _ in range(100):
            waits.begin(switchover())
            await clock.move(0.05)
        await clock.move(60)
        drs.status = COMPLETE
        await clock.move(5.1)

    waits = played(drs, play)
    steady = [asked.at - 1000 for asked in drs.between(10, 64)]
    assert len(steady) == 11
    assert all(an_interval(b - a) for a, b in itertools.pairwise(steady))
    assert all(isinstance(end, Done) for end in waits.ends)


def test_waits_that_come_at_different_times_soon_share(drs: Drs, clock: FakeClock) -> None:
    async def play(waits: Waits) -> None:
        for pause in (2.0, 1.5, 0.7, 60.0):
            waits.begin(switchover())
            await clock.move(pause)

    played(drs, play)
    steady = drs.times(job())[-8:]
    assert all(an_interval(b - a) for a, b in itertools.pairwise(steady))


def test_a_wait_takes_no_answer_that_was_asked_for_before_it_began(drs: Drs, clock: FakeClock) -> None:
    async def play(waits: Waits) -> None:
        drs.latency = 3.0
        drs.status = COMPLETE  # what the first asks about
        waits.begin(switchover())
        await clock.move(1)
        drs.status = START
        waits.begin(switchover())
        await clock.move(2.5)
        assert [type(end) for end in waits.ends] == [Done, type(None)]
        await clock.move(5)
        assert waits.ends[1] is None

    played(drs, play)


def test_each_wait_keeps_its_own_interval_though_others_ask_more_often(drs: Drs, clock: FakeClock) -> None:
    async def play(waits: Waits) -> None:
        waits.begin(jobs(job(1), interval=1.0, samples=10**6))
        waits.begin(jobs(job(2), interval=60.0, samples=3))
        drs.status = HEALTHY
        await clock.move(59)
        assert waits.ends == [None, None], "three samples are not three responses to somebody else"
        await clock.move(70)
        assert isinstance(waits.ends[1], Ready)
        assert len(drs.times(job(2))) == 3

    played(drs, play)


@pytest.mark.parametrize("lag", [False, True])
def test_a_hundred_jobs_go_into_one_request_of_each_kind(lag: bool, drs: Drs, clock: FakeClock) -> None:
    drs.status = BEFORE

    async def play(waits: Waits) -> None:
        for number in range(250):
            waits.begin(jobs(job(number), lag=lag))
            await clock.move(0.01)
        await clock.move(62.5)

    played(drs, play, rng=0.5)
    # An interval lasts until the next tick.
    kinds = Counter(asked.name for asked in drs.between(30, 30 + 5 * 5.1))
    assert kinds == {"batch-status": 15, **({"batch-progress": 15} if lag else {})}, "3 requests an interval"
    for number in range(250):
        assert max(b - a for a, b in itertools.pairwise(drs.times(job(number)))) < 5.2


def test_waits_for_the_status_do_not_depend_on_the_lag_of_others(drs: Drs, clock: FakeClock) -> None:
    drs.failing = {"batch-progress": DrsServerError("503")}
    drs.status = HEALTHY

    async def play(waits: Waits) -> None:
        waits.begin(jobs(job(2), job(3), lag=True))
        waits.begin(jobs(job(1), job(2), samples=3))
        await clock.move(20)

    ends = played(drs, play).ends
    assert [type(end) for end in ends] == [type(None), Ready]


@pytest.mark.parametrize(
    "error",
    [
        DrsBusyError("abnormal", error_code="DRS.M01504"),
        DrsInvalidResponseError("said in two ways"),
        DrsServerError("x", error_code="DRS.M01501"),
    ],
)
def test_nor_does_trouble_with_one_job_that_lasts(error: DrsError, drs: Drs, clock: FakeClock) -> None:
    drs.bad_jobs, drs.bad = {job(7)}, error
    drs.status = HEALTHY

    async def play(waits: Waits) -> None:
        for number in range(50):
            waits.begin(jobs(job(number), samples=3))
        await clock.move(60)

    ends = played(drs, play).ends
    assert [number for number, end in enumerate(ends) if not isinstance(end, Ready)] == [7]
    assert len(drs.asked) < 50 + 20


def test_one_bad_job_does_not_spoil_the_request_of_the_others(drs: Drs, clock: FakeClock) -> None:
    drs.status = BEFORE
    drs.bad_jobs = {job(7)}

    async def play(waits: Waits) -> None:
        for number in range(50):
            waits.begin(jobs(job(number)), carry_on=number == 7)
        await clock.move(30)
        assert [number for number, told in enumerate(waits.told) if told and isinstance(told[-1], GiveUp)] == [7]
        drs.asked.clear()
        await clock.move(25)

    played(drs, play)
    sizes = Counter(len(asked.jobs) for asked in drs.asked)
    assert sizes == {49: 5, 1: 5}, "it is asked about apart from the others from then on"


def test_a_job_that_failed_ends_its_own_wait_only(drs: Drs, clock: FakeClock) -> None:
    drs.status = "FULL_TRANSFER_FAILED"

    async def play(waits: Waits) -> None:
        waits.begin(jobs(job(1)))
        await clock.move(1)
        drs.status = BEFORE
        waits.begin(jobs(job(2)))
        await clock.move(10)

    ends = played(drs, play).ends
    assert isinstance(ends[0], JobsFailed)
    assert ends[1] is None


@pytest.mark.parametrize(
    ("error", "ends"), [(DrsServerError("503"), type(None)), (DrsJobNotFoundError("gone"), GiveUp)]
)
def test_an_error_reaches_every_wait_as_an_error(error: DrsError, ends: type[Any], drs: Drs, clock: FakeClock) -> None:
    async def play(waits: Waits) -> None:
        for _ in range(10):
            waits.begin(switchover())
        await clock.move(6)
        drs.errors = [error]
        await clock.move(6)

    waits = played(drs, play)
    assert [type(end) for end in waits.ends] == [ends] * 10
    said = [" ".join(line.text for verdict in told for line in verdict.lines) for told in waits.told]  # type: ignore[union-attr]
    if ends is not GiveUp:
        assert all("503. Polling more slowly" in text for text in said)


def test_a_wait_that_breaks_breaks_no_other(drs: Drs, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(waits: Waits) -> None:
        broken = switchover()
        monkeypatch.setattr(broken, "take", lambda *args: 1 / 0)
        for wait in (broken, switchover(), switchover(1)):
            waits.begin(wait)
        await clock.move(6)
        drs.status = COMPLETE
        await clock.move(6)

    assert [type(end) for end in played(drs, play).ends] == [ZeroDivisionError, Done, Done]


def test_an_argument_that_cannot_be_sent_is_the_waits_own_error(drs: Drs, clock: FakeClock) -> None:
    async def play(waits: Waits) -> None:
        waits.begin(SwitchoverWait("../other", Pace()))
        await clock.move(1)

    [end] = played(drs, play).ends
    assert isinstance(end.error, DrsArgumentError)
    assert drs.asked == []


def test_a_wait_that_wants_no_poll_is_not_polled_for_another_that_left(drs: Drs, clock: FakeClock) -> None:
    async def play(waits: Waits) -> None:
        waits.begin(switchover(interval=60.0))
        await clock.move(1)
        waits.begin(switchover(interval=5.0))
        await clock.move(7)
        waits.tasks[1].cancel()
        asked = len(drs.asked)
        await clock.move(20)
        assert len(drs.asked) == asked

    played(drs, play)


def test_pages_of_a_comparison_are_no_others_business(drs: Drs, clock: FakeClock) -> None:
    async def play(waits: Waits) -> None:
        for _ in range(2):
            waits.begin(CompareWait(job(), "lines", "c", Pace(5.0)))
        drs.errors = [DrsServerError("503")] * 2
        await clock.move(1)

    played(drs, play)
    assert [asked.name for asked in drs.asked] == ["query-compare-result"] * 2


def test_who_leaves_is_not_asked_for_and_nothing_is_left_behind(drs: Drs, clock: FakeClock) -> None:
    async def play(waits: Waits) -> None:
        for number in range(10):
            waits.begin(switchover(number % 3))
        await clock.move(0.01)  # the responses are under way
        for task in waits.tasks:
            task.cancel()
        await clock.move(60)
        assert len(drs.asked) == 3
        streams = waits.streams
        assert (streams._streams, streams.followers) == ({}, 0)
        waits.begin(switchover())
        await clock.move(1)
        assert len(drs.asked) == 4

    played(drs, play)
    assert drs.closed == 1


def test_a_wait_is_woken_only_when_there_is_something_to_say(
    drs: Drs, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    tell = Follower.tell

    def listen(follower: Follower, result: Any) -> None:
        told.append(result)
        tell(follower, result)

    monkeypatch.setattr(Follower, "tell", listen)

    async def play(waits: Waits) -> None:
        waits.begin(switchover())
        await clock.move(500)
        assert len(drs.asked) > 95

    played(drs, play)
    assert [len(verdict.lines) for verdict in told] == [1]


def test_closing_ends_polls_under_way(drs: Drs, clock: FakeClock) -> None:
    async def play(waits: Waits) -> None:
        with ExitStack() as left:
            left.enter_context(waits.streams.follow(switchover()))
            await clock.move(0.01)
            assert drs.under_way == 1
            await waits.streams.close()
            assert drs.under_way == 0

    played(drs, play)


def test_the_stand_in_asks_what_the_client_would(drs: Drs) -> None:
    """The calls are the real ones; their bodies are JSON."""
    for call in jobs(job(1), job(2), lag=True).query().calls():
        assert json.loads(json.dumps(call.body))["jobs"] == [job(1), job(2)]


def test_a_fault_of_the_streams_own_ends_the_waits_it_struck(
    drs: Drs, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing may leave a wait hanging."""

    async def play(waits: Waits) -> None:
        waits.begin(switchover())
        await clock.move(1)
        monkeypatch.setattr(Stream, "take", lambda *args: 1 / 0)
        await clock.move(5)
        monkeypatch.undo()
        waits.begin(switchover())
        await clock.move(1)

    waits = played(drs, play)
    assert isinstance(waits.ends[0], ZeroDivisionError)
    assert waits.told[1]


def test_who_leaves_between_dispatch_and_poll_takes_no_worker_along(drs: Drs, clock: FakeClock) -> None:
    async def play(waits: Waits) -> None:
        for interval in (5.0, 60.0):
            waits.begin(switchover(interval=interval))
        await clock.move(1)
        streams = waits.streams
        [stream] = streams._streams.values()
        for follower in stream.followers:
            follower.due = follower.earliest = clock.now + 50
        await streams._poll(stream)
        assert len(drs.asked) == 1

    played(drs, play)


def test_cancelled_while_they_wait_for_their_workers_they_close_the_client(clock: FakeClock, drs: Drs) -> None:
    async def play(waits: Waits) -> None:
        waits.begin(switchover())
        await clock.move(0.01)
        assert drs.under_way
        closing = asyncio.ensure_future(waits.streams.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        assert closing.cancelled()
        assert drs.closed == 1

    played(drs, play)


def test_who_is_worst_off_is_told_of_every_ten_seconds_and_at_the_end(drs: Drs, clock: FakeClock) -> None:
    told: list[tuple[float, str]] = []

    class Notes(Observer):
        def worst_off(self, seconds: float, conn_id: str) -> None:
            told.append((seconds, conn_id))

    drs.bad_jobs, drs.bad = {job(2)}, DrsServerError("503")

    async def play(waits: Waits) -> None:
        waits.streams._observer = Notes()
        waits.begin(switchover(1))
        waits.begin(switchover(2))
        await clock.move(31)

    played(drs, play)
    assert {conn_id for _, conn_id in told} == {"drs_test"}
    first, *later, last = [seconds for seconds, _ in told]
    assert (first < 1, last) == (True, 0.0), "nobody waits any more"
    assert [at // 10 for at in later] == [1, 2, 3]
