"""The polls of many waits on one connection: shared, spaced, in turn, with a clock that is moved by hand."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_drs.clients import poll_streams
from airflow_provider_drs.clients.following import Follower
from airflow_provider_drs.clients.poll_streams import PollStreams
from airflow_provider_drs.protocol.answers import SwitchoverReply
from airflow_provider_drs.protocol.comparison import CompareWait
from airflow_provider_drs.protocol.errors import (
    DrsArgumentError,
    DrsBusyError,
    DrsError,
    DrsGarbledAnswerError,
    DrsJobNotFoundError,
    DrsPermissionError,
    DrsServerError,
    DrsThrottledError,
    DrsUnreachableError,
)
from airflow_provider_drs.protocol.job_replies import JobProgress, JobState
from airflow_provider_drs.protocol.polling import GiveUp, Pace, Verdict, Wait
from airflow_provider_drs.protocol.readiness import JobsFailed, JobsWait, Ready, Wanted
from airflow_provider_drs.protocol.settings import read_settings
from airflow_provider_drs.protocol.waiting import Done, SwitchoverWait

from .helpers import on_a_loop

START, COMPLETE = "SWITCH_VIP_START", "SWITCH_VIP_COMPLETE"
HEALTHY, BEFORE = "INCRE_TRANSFER_STARTED", "FULL_TRANSFER_STARTED"


class Hand:
    """A clock moved by hand: what is to be done later is done when it gets there."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def call_at(self, when: float, callback: Callable[[], None]) -> Any:
        entry = (when, next(self._order), callback)
        self.later.append(entry)
        return SimpleNamespace(cancel=lambda: entry in self.later and self.later.remove(entry))

    async def sleep(self, seconds: float) -> None:
        over = asyncio.get_running_loop().create_future()
        self.call_at(self.at + seconds, lambda: None if over.done() else over.set_result(None))
        await over

    async def move(self, seconds: float) -> None:
        end = self.at + seconds
        await turns()
        while (entry := min(self.later, default=None)) is not None and entry[0] <= end:
            self.later.remove(entry)
            self.at = max(self.at, entry[0])
            entry[2]()
            await turns()
        self.at = end


async def turns(count: int = 12) -> None:
    """Let everything on the loop that can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)


@dataclass
class Asked:
    at: float
    name: str
    jobs: list[str]


@dataclass
class Drs:
    """Stands in for the client: answers after a while, and writes down what it was asked, and when."""

    clock: Hand
    extra: dict[str, Any] = field(default_factory=dict)
    status: str = START
    latency: float = 0.02
    errors: list[DrsError] = field(default_factory=list)
    bad_jobs: set[str] = field(default_factory=set)
    bad: DrsError = field(default_factory=lambda: DrsPermissionError("not yours"))
    failing: dict[str, DrsError] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    closed: int = 0
    spent: bool = False

    def __post_init__(self) -> None:
        extra = {"token": "t", "project_id": "p", **self.extra}
        self.settings = read_settings("drs_test", host="http://127.0.0.1:9", extra=extra)

    async def call(self, call: Any) -> Any:
        jobs = call.body["jobs"] if call.body and "jobs" in call.body else [call.path.split("/")[1]]
        self.asked.append(Asked(self.clock.at, call.name, jobs))
        error = self.errors.pop(0) if self.errors else None
        status = self.status
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.clock.sleep(self.latency)
        finally:
            self.under_way -= 1
        if error is not None:
            raise error
        if self.bad_jobs.intersection(jobs):
            raise self.bad
        if call.name in self.failing:
            raise self.failing[call.name]
        if call.name == "batch-status":
            return {job: JobState(job, status) for job in jobs}
        if call.name == "batch-progress":
            return {job: JobProgress(job, 0.0) for job in jobs}
        return SwitchoverReply(jobs[0], status)

    async def close(self) -> None:
        self.closed += 1

    def between(self, begin: float, end: float) -> list[Asked]:
        return [asked for asked in self.asked if begin <= asked.at - 1000 < end]

    def times(self, job: str) -> list[float]:
        return [asked.at - 1000 for asked in self.asked if job in asked.jobs]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Hand:
    hand = Hand()
    times = SimpleNamespace(now=lambda: hand.at, wall=lambda: hand.at, call_at=hand.call_at)
    monkeypatch.setattr(poll_streams, "Clock", lambda: times)
    return hand


@pytest.fixture
def drs(clock: Hand) -> Drs:
    return Drs(clock)


class Waits:
    """Some waits that follow the streams; what each was told."""

    def __init__(self, drs: Drs, chance: float = 0.0) -> None:
        self.streams = PollStreams(drs, chance=lambda: chance)  # type: ignore[arg-type]
        self.told: list[list[Verdict | Exception]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def begin(self, wait: Any, carry_on: bool = False) -> None:
        told: list[Verdict | Exception] = []
        self.told.append(told)
        self.tasks.append(asyncio.ensure_future(self._follow(wait, told, carry_on)))

    async def _follow(self, wait: Any, told: list[Verdict | Exception], carry_on: bool) -> None:
        with self.streams.follow(wait) as follower:
            while True:
                try:
                    told.append(await follower.next())
                except ZeroDivisionError as error:
                    told.append(error)
                    return
                if not isinstance(told[-1], Wait):
                    if not carry_on:
                        return
                    follower.again(told[-1].delay if isinstance(told[-1], GiveUp) else 5.0)

    @property
    def ends(self) -> list[Any]:
        """What each wait ended with, None for none yet."""
        return [told[-1] if told and not isinstance(told[-1], Wait) else None for told in self.told]

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.streams.close()


def job(number: int = 0) -> str:
    return f"job-{number:04}"


def an_interval(gap: float, interval: float = 5.0) -> bool:
    """Tell whether ``gap`` is an interval after an answer, to the next beat."""
    return interval + 0.0199 <= gap <= interval + 0.0201 + poll_streams.BEAT


def switchover(number: int = 0, interval: float = 5.0, **kwargs: Any) -> SwitchoverWait:
    return SwitchoverWait(job(number), Pace(interval), chance=lambda: 1.0, **kwargs)


def jobs(*ids: str, lag: bool = False, interval: float = 5.0, samples: int = 1) -> JobsWait:
    wanted = Wanted(ids, (HEALTHY,), ("FULL_TRANSFER_FAILED",), needs_lag=lag, max_lag=5.0, stable_samples=samples)
    return JobsWait(wanted, Pace(interval), chance=lambda: 1.0)


def played(drs: Drs, play: Callable[[Waits], Coroutine[Any, Any, None]], chance: float = 0.0) -> Waits:
    """Run ``play`` with some waits, and end them."""

    async def main() -> Waits:
        waits = Waits(drs, chance)
        try:
            await play(waits)
        finally:
            await waits.close()
        return waits

    return on_a_loop(main())


def test_a_hundred_waits_on_one_job_make_one_request_an_interval(drs: Drs, clock: Hand) -> None:
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


def test_waits_that_come_at_different_times_soon_share(drs: Drs, clock: Hand) -> None:
    async def play(waits: Waits) -> None:
        for pause in (2.0, 1.5, 0.7, 60.0):
            waits.begin(switchover())
            await clock.move(pause)

    played(drs, play)
    steady = drs.times(job())[-8:]
    assert all(an_interval(b - a) for a, b in itertools.pairwise(steady))


def test_a_wait_takes_no_answer_that_was_asked_for_before_it_began(drs: Drs, clock: Hand) -> None:
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


def test_each_wait_keeps_its_own_interval_though_others_ask_more_often(drs: Drs, clock: Hand) -> None:
    async def play(waits: Waits) -> None:
        waits.begin(jobs(job(1), interval=1.0, samples=10**6))
        waits.begin(jobs(job(2), interval=60.0, samples=3))
        drs.status = HEALTHY
        await clock.move(59)
        assert waits.ends == [None, None], "three samples are not three answers to somebody else"
        await clock.move(70)
        assert isinstance(waits.ends[1], Ready)
        assert len(drs.times(job(2))) == 3

    played(drs, play)


@pytest.mark.parametrize("lag", [False, True])
def test_a_hundred_jobs_go_into_one_request_of_each_kind(lag: bool, drs: Drs, clock: Hand) -> None:
    drs.status = BEFORE

    async def play(waits: Waits) -> None:
        for number in range(250):
            waits.begin(jobs(job(number), lag=lag))
            await clock.move(0.01)
        await clock.move(62.5)

    played(drs, play, chance=0.5)
    kinds = Counter(asked.name for asked in drs.between(30, 55))
    assert kinds == {"batch-status": 15, **({"batch-progress": 15} if lag else {})}, "3 requests an interval"
    for number in range(250):
        assert max(b - a for a, b in itertools.pairwise(drs.times(job(number)))) < 5.2


def test_waits_for_the_status_do_not_depend_on_the_lag_of_others(drs: Drs, clock: Hand) -> None:
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
        DrsGarbledAnswerError("said in two ways"),
        DrsServerError("x", error_code="DRS.M01501"),
    ],
)
def test_nor_does_trouble_with_one_job_that_lasts(error: DrsError, drs: Drs, clock: Hand) -> None:
    drs.bad_jobs, drs.bad = {job(7)}, error
    drs.status = HEALTHY

    async def play(waits: Waits) -> None:
        for number in range(50):
            waits.begin(jobs(job(number), samples=3))
        await clock.move(60)

    ends = played(drs, play).ends
    assert [number for number, end in enumerate(ends) if not isinstance(end, Ready)] == [7]
    assert len(drs.asked) < 50 + 20


def test_a_drs_in_trouble_is_not_asked_once_for_every_wait(drs: Drs, clock: Hand) -> None:
    async def play(waits: Waits) -> None:
        for number in range(50):
            waits.begin(jobs(job(number)))
        drs.failing = {"batch-status": DrsServerError("503")}
        await clock.move(300)

    played(drs, play)
    assert len(drs.asked) < 20


def test_one_bad_job_does_not_spoil_the_request_of_the_others(drs: Drs, clock: Hand) -> None:
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


def test_a_job_that_failed_ends_its_own_wait_only(drs: Drs, clock: Hand) -> None:
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
def test_an_error_reaches_every_wait_as_an_error(error: DrsError, ends: type[Any], drs: Drs, clock: Hand) -> None:
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


def test_a_wait_that_breaks_breaks_no_other(drs: Drs, clock: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(waits: Waits) -> None:
        broken = switchover()
        monkeypatch.setattr(broken, "take", lambda *args: 1 / 0)
        for wait in (broken, switchover(), switchover(1)):
            waits.begin(wait)
        await clock.move(6)
        drs.status = COMPLETE
        await clock.move(6)

    assert [type(end) for end in played(drs, play).ends] == [ZeroDivisionError, Done, Done]


def test_an_argument_that_cannot_be_sent_is_the_waits_own_error(drs: Drs, clock: Hand) -> None:
    async def play(waits: Waits) -> None:
        waits.begin(SwitchoverWait("../other", Pace()))
        await clock.move(1)

    [end] = played(drs, play).ends
    assert isinstance(end.error, DrsArgumentError)
    assert drs.asked == []


def test_waits_that_began_together_drift_apart(drs: Drs, clock: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    chances = itertools.cycle([n / 500 for n in range(500)])

    async def play(waits: Waits) -> None:
        monkeypatch.setattr(waits.streams, "_chance", lambda: next(chances))
        for number in range(500):
            waits.begin(switchover(number))
        await clock.move(21)

    played(drs, play)
    per_tenth = Counter(int((asked.at - 1000) * 10) for asked in drs.between(7, 20))
    assert max(per_tenth.values()) <= 25, "500 polls over 2.5 seconds, not at once"
    for number in range(500):
        gaps = [b - a for a, b in itertools.pairwise(drs.times(job(number)))]
        assert 2.4 <= gaps[0] <= 5.1
        assert max(gaps[1:]) <= 5.1, "brought forward once, never put off"


def test_exponential_backoff_is_left_as_it_is(drs: Drs, clock: Hand) -> None:
    pace = Pace(4.0, exponential_backoff=True, max_wait=20.0, seed="x")

    async def play(waits: Waits) -> None:
        waits.begin(SwitchoverWait(job(), pace))
        await clock.move(60)

    played(drs, play, chance=1.0)
    gaps = [b - a for a, b in itertools.pairwise(drs.times(job()))]
    assert len(gaps) >= 4
    assert all(an_interval(gap, pace.delay(poll)) for poll, gap in enumerate(gaps, start=1))


@pytest.mark.parametrize("error", [DrsThrottledError("429", retry_after=30.0), DrsServerError("503", retry_after=30.0)])
def test_retry_after_stops_the_whole_connection(error: DrsError, drs: Drs, clock: Hand) -> None:
    async def play(waits: Waits) -> None:
        for number in range(20):
            waits.begin(switchover(number))
            await clock.move(0.21)
        await clock.move(10)
        drs.errors = [error]
        await clock.move(60)

    waits = played(drs, play)
    [begin] = [a for a, b in itertools.pairwise(sorted(x.at for x in drs.asked)) if b - a > 8]
    others = [number for number in range(20) if begin - 1000 not in drs.times(job(number))]
    assert len(others) == 19
    assert drs.between(begin - 1000 + 0.1, begin - 1000 + 30) == []
    for number in others:
        assert max(b - a for a, b in itertools.pairwise(drs.times(job(number)))) < 42, "sat out, and then in turn"
        assert not any("slowly" in line.text for verdict in waits.told[number] for line in verdict.lines)  # type: ignore[union-attr]


def test_of_a_pause_too_long_for_silence_every_wait_is_told(drs: Drs, clock: Hand) -> None:
    async def play(waits: Waits) -> None:
        for number in range(3):
            waits.begin(switchover(number))
            await clock.move(0.5)
        drs.errors = [DrsThrottledError("429", retry_after=1800.0)]
        await clock.move(6)
        asked = len(drs.asked)
        await clock.move(1700)
        assert len(drs.asked) == asked
        await clock.move(200)
        assert len(drs.asked) > asked

    waits = played(drs, play)
    for told in waits.told:
        text = " ".join(line.text for verdict in told for line in verdict.lines)  # type: ignore[union-attr]
        assert "429. Polling" in text or "asked for a pause, of which" in text
        assert "DRS answers again" in text


@pytest.mark.parametrize(
    ("error", "waits_there", "interval"),
    [
        (DrsThrottledError("429", retry_after=30.0), 300, 5.0),
        (DrsThrottledError("429", retry_after=50.0), 300, 5.0),
        (DrsServerError("503", retry_after=20.0), 300, 5.0),
        (DrsThrottledError("429"), 300, 5.0),
        (DrsUnreachableError("did not answer in time"), 1000, 5.0),
    ],
)
def test_trouble_of_all_is_told_to_all(
    error: DrsError, waits_there: int, interval: float, drs: Drs, clock: Hand
) -> None:
    """Each knows within its own limits, not when its turn would have come."""
    times: list[float] = []

    async def play(waits: Waits) -> None:
        for number in range(waits_there):
            waits.begin(switchover(number, interval=interval))
        await clock.move(10)
        if isinstance(error, DrsUnreachableError):
            drs.latency = 30.0
        drs.failing = {"get-switch-vip-status": error}
        for _ in range(120):
            await clock.move(10)
            times.append(sum(isinstance(end, GiveUp) for end in waits.ends))

    waits = played(drs, play, chance=0.5)
    assert times[80] == 0, "nobody gives up before 15 minutes"
    assert [type(end.error).__name__ for end in waits.ends] == ["DrsUnavailableError"] * waits_there
    assert len(drs.asked) < waits_there * 60


def test_a_busy_spell_leaves_one_timer(drs: Drs, clock: Hand) -> None:
    async def play(waits: Waits) -> None:
        for number in range(300):
            waits.begin(switchover(number))
            await clock.move(0.01)
        drs.latency = 3.0
        await clock.move(8)
        drs.latency = 0.02
        await clock.move(30)
        timers = [entry for entry in clock.later if entry[2] == waits.streams._dispatch]
        assert len(timers) == 1

    played(drs, play, chance=0.5)


def test_a_wait_that_wants_no_poll_is_not_polled_for_another_that_left(drs: Drs, clock: Hand) -> None:
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


def test_a_wait_with_a_deadline_ends_in_time_though_drs_asked_for_a_pause(drs: Drs, clock: Hand) -> None:
    async def play(waits: Waits) -> None:
        waits.begin(switchover(deadline=1000.0 + 100))
        await clock.move(7)
        drs.errors = [DrsThrottledError("429", retry_after=1800.0)]
        await clock.move(94)

    assert type(played(drs, play).ends[0]).__name__ == "Undecided"


def test_asked_too_often_the_connection_slows_down_and_finds_its_pace_again(drs: Drs, clock: Hand) -> None:
    async def play(waits: Waits) -> None:
        for number in range(100):
            waits.begin(switchover(number))
            await clock.move(0.05)
        await clock.move(10)  # 20 polls a second by now
        drs.errors = [DrsThrottledError("DRS.M01503") for _ in range(5)]
        await clock.move(300)

    played(drs, play)
    assert len(drs.between(16.5, 26.5)) < 160, "about half as many"
    assert len(drs.between(250, 300)) > 900


def test_polls_a_second_are_limited_and_every_wait_has_its_turn(clock: Hand) -> None:
    drs = Drs(clock, {"max_polls_per_second": 10})

    async def play(waits: Waits) -> None:
        for number in range(100):
            waits.begin(switchover(number, interval=0.1 if number % 2 else 5.0))
        await clock.move(100)

    played(drs, play, chance=0.5)
    assert 980 <= len(drs.asked) <= 1010
    polls = [len(drs.times(job(number))) for number in range(100)]
    assert min(polls) >= 8
    assert max(polls) <= 12, "who asks more often does not come before who has waited longer"


def test_polls_in_flight_are_limited(clock: Hand) -> None:
    drs = Drs(clock, {"max_polls_in_flight": 7}, latency=1.0)

    async def play(waits: Waits) -> None:
        for number in range(50):
            waits.begin(switchover(number))
        await clock.move(20)

    played(drs, play)
    assert drs.most_under_way == 7
    assert len(drs.between(0, 10)) >= 63


def test_pages_of_a_comparison_are_no_others_business(drs: Drs, clock: Hand) -> None:
    async def play(waits: Waits) -> None:
        for _ in range(2):
            waits.begin(CompareWait(job(), "lines", "c", Pace(5.0)))
        drs.errors = [DrsServerError("503")] * 2
        await clock.move(1)

    played(drs, play)
    assert [asked.name for asked in drs.asked] == ["query-compare-result"] * 2


def test_who_leaves_is_not_asked_for_and_nothing_is_left_behind(drs: Drs, clock: Hand) -> None:
    async def play(waits: Waits) -> None:
        for number in range(10):
            waits.begin(switchover(number % 3))
        await clock.move(0.01)  # the answers are under way
        for task in waits.tasks:
            task.cancel()
        await clock.move(60)
        assert len(drs.asked) == 3
        streams = waits.streams
        assert (streams._streams, streams._followers) == ({}, 0)
        waits.begin(switchover())
        await clock.move(1)
        assert len(drs.asked) == 4

    played(drs, play)
    assert drs.closed == 1


def test_the_queue_does_not_grow_with_time(drs: Drs, clock: Hand) -> None:
    async def play(waits: Waits) -> None:
        for number in range(20):
            waits.begin(switchover(number))
            waits.begin(switchover(number, interval=7.0))
        await clock.move(600)
        assert len(waits.streams._queue) <= 60

    played(drs, play, chance=0.3)


def test_a_wait_is_woken_only_when_there_is_something_to_say(
    drs: Drs, clock: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    tell = Follower.tell
    monkeypatch.setattr(Follower, "tell", lambda self, news: (told.append(news), tell(self, news)))

    async def play(waits: Waits) -> None:
        waits.begin(switchover())
        await clock.move(500)
        assert len(drs.asked) > 95

    played(drs, play)
    assert [len(verdict.lines) for verdict in told] == [1]


def test_closing_ends_polls_under_way(drs: Drs, clock: Hand) -> None:
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
    for call in jobs(job(1), job(2), lag=True).calls():
        assert json.loads(json.dumps(call.body))["jobs"] == [job(1), job(2)]


def test_a_fault_of_the_streams_own_ends_the_waits_it_struck(
    drs: Drs, clock: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing may leave a wait hanging."""

    async def play(waits: Waits) -> None:
        waits.begin(switchover())
        await clock.move(1)
        monkeypatch.setattr(waits.streams, "_tell", lambda *args: 1 / 0)
        await clock.move(5)
        monkeypatch.undo()
        waits.begin(switchover())
        await clock.move(1)

    waits = played(drs, play)
    assert isinstance(waits.ends[0], ZeroDivisionError)
    assert waits.told[1]


def test_who_leaves_between_dispatch_and_poll_takes_no_worker_along(drs: Drs, clock: Hand) -> None:
    async def play(waits: Waits) -> None:
        for interval in (5.0, 60.0):
            waits.begin(switchover(interval=interval))
        await clock.move(1)
        streams = waits.streams
        [stream] = streams._streams.values()
        for follower in stream.followers:
            follower.due = follower.soonest = clock.at + 50
        await streams._poll(stream)
        assert len(drs.asked) == 1

    played(drs, play)
