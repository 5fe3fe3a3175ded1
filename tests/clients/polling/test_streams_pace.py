"""When the polls of a connection go out: limits, pauses, jitter, turns, and trouble of all."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from airflow_provider_drs.clients.polling.follower import POLL_TICK
from airflow_provider_drs.protocol.errors import (
    DrsError,
    DrsServerError,
    DrsThrottledError,
    DrsUnreachableError,
)
from airflow_provider_drs.protocol.polling import GiveUp, Pace
from airflow_provider_drs.protocol.switchover.wait import SwitchoverWait
from tests.clock import FakeClock

from .streams import (
    Drs,
    Waits,
    an_interval,
    job,
    jobs,
    played,
    switchover,
)


def test_a_drs_in_trouble_is_not_asked_once_for_every_wait(drs: Drs, clock: FakeClock) -> None:
    async def play(waits: Waits) -> None:
        for number in range(50):
            waits.begin(jobs(job(number)))
        drs.failing = {"batch-status": DrsServerError("503")}
        await clock.move(300)

    played(drs, play)
    assert len(drs.asked) < 20


def test_waits_that_began_together_drift_apart(drs: Drs, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    chances = itertools.cycle([n / 500 for n in range(500)])

    async def play(waits: Waits) -> None:
        monkeypatch.setattr(waits.streams, "_rng", lambda: next(chances))
        for number in range(500):
            waits.begin(switchover(number))
        await clock.move(21)

    played(drs, play)
    per_tenth = Counter(int((asked.at - 1000) * 10) for asked in drs.between(7, 20))
    assert max(per_tenth.values()) <= 25, "500 polls over 2.5 seconds, not at once"
    for number in range(500):
        gaps = [b - a for a, b in itertools.pairwise(drs.times(job(number)))]
        assert 2.4 <= gaps[0] <= 5.02 + POLL_TICK
        assert max(gaps[1:]) <= 5.02 + POLL_TICK, "brought forward once, never put off"


def test_exponential_backoff_is_left_as_it_is(drs: Drs, clock: FakeClock) -> None:
    pace = Pace(4.0, exponential_backoff=True, max_wait=20.0, seed="x")

    async def play(waits: Waits) -> None:
        waits.begin(SwitchoverWait(job(), pace))
        await clock.move(60)

    played(drs, play, rng=1.0)
    gaps = [b - a for a, b in itertools.pairwise(drs.times(job()))]
    assert len(gaps) >= 4
    assert all(an_interval(gap, pace.delay(poll)) for poll, gap in enumerate(gaps, start=1))


@pytest.mark.parametrize("error", [DrsThrottledError("429", retry_after=30.0), DrsServerError("503", retry_after=30.0)])
def test_retry_after_stops_the_whole_connection(error: DrsError, drs: Drs, clock: FakeClock) -> None:
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


def test_of_a_pause_too_long_for_silence_every_wait_is_told(drs: Drs, clock: FakeClock) -> None:
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
        assert "DRS responds again" in text


@pytest.mark.parametrize(
    ("error", "waits_there", "interval"),
    [
        (DrsThrottledError("429", retry_after=30.0), 300, 5.0),
        (DrsThrottledError("429", retry_after=50.0), 300, 5.0),
        (DrsServerError("503", retry_after=20.0), 300, 5.0),
        (DrsThrottledError("429"), 300, 5.0),
        (DrsUnreachableError("did not respond in time"), 1000, 5.0),
    ],
)
def test_trouble_of_all_is_told_to_all(
    error: DrsError, waits_there: int, interval: float, drs: Drs, clock: FakeClock
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

    waits = played(drs, play, rng=0.5)
    assert times[80] == 0, "nobody gives up before 15 minutes"
    assert [type(end.error).__name__ for end in waits.ends] == ["DrsUnavailableError"] * waits_there
    assert len(drs.asked) < waits_there * 60


def test_a_busy_spell_leaves_one_timer(drs: Drs, clock: FakeClock) -> None:
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

    played(drs, play, rng=0.5)


def test_a_wait_with_a_deadline_ends_in_time_though_drs_asked_for_a_pause(drs: Drs, clock: FakeClock) -> None:
    async def play(waits: Waits) -> None:
        waits.begin(switchover(deadline=1000.0 + 100))
        await clock.move(7)
        drs.errors = [DrsThrottledError("429", retry_after=1800.0)]
        await clock.move(94)

    assert type(played(drs, play).ends[0]).__name__ == "Undecided"


def test_asked_rate_limited_the_connection_slows_down_and_finds_its_pace_again(drs: Drs, clock: FakeClock) -> None:
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


def test_polls_a_second_are_limited_and_every_wait_has_its_turn(clock: FakeClock) -> None:
    drs = Drs(clock, {"max_polls_per_second": 10})

    async def play(waits: Waits) -> None:
        for number in range(100):
            waits.begin(switchover(number, interval=0.1 if number % 2 else 5.0))
        await clock.move(100)

    played(drs, play, rng=0.5)
    assert 980 <= len(drs.asked) <= 1010
    polls = [len(drs.times(job(number))) for number in range(100)]
    assert min(polls) >= 8
    assert max(polls) <= 12, "who asks more often does not come before who has waited longer"


def test_polls_in_flight_are_limited(clock: FakeClock) -> None:
    drs = Drs(clock, {"max_polls_in_flight": 7}, latency=1.0)

    async def play(waits: Waits) -> None:
        for number in range(50):
            waits.begin(switchover(number))
        await clock.move(20)

    played(drs, play)
    assert drs.most_under_way == 7
    assert len(drs.between(0, 10)) >= 63


def test_the_queue_does_not_grow_with_time(drs: Drs, clock: FakeClock) -> None:
    async def play(waits: Waits) -> None:
        for number in range(20):
            waits.begin(switchover(number))
            waits.begin(switchover(number, interval=7.0))
        await clock.move(600)
        assert len(waits.streams._queue) <= 60

    played(drs, play, rng=0.3)
