"""How fast a connection may poll."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_drs.clients.polling.throttle import MIN_PAUSE, TIMER_SLACK, Throttle


def sent(throttle: Throttle, begin: float, end: float, step: float = 0.001) -> int:
    """Return how many polls of a crowd that always has one to make go out."""
    count, now = 0, begin
    while now < end:
        while throttle.claim(now):
            count += 1
            throttle.record_success()
        now += step
    return count


@pytest.mark.parametrize("per_second", [0.5, 1, 10, 333, 2000])
def test_no_more_than_so_many_a_second(per_second: float) -> None:
    count = sent(Throttle(per_second), 100.0, 120.0)
    assert per_second * 20 * 0.98 <= count <= per_second * 20 + 1 + TIMER_SLACK * per_second


@given(st.lists(st.floats(0, 5), max_size=60), st.sampled_from([0.5, 5.0, 100.0]))
def test_no_time_of_asking_gets_more(pauses: list[float], per_second: float) -> None:
    throttle, now, times = Throttle(per_second), 100.0, list[float]()
    for pause in pauses:
        now += pause
        if throttle.claim(now):
            times.append(now)
        else:
            assert throttle.wait(now) > 0
    for first in range(len(times)):
        for last in range(first + 1, len(times)):
            assert last - first <= (times[last] - times[first] + TIMER_SLACK) * per_second + 1e-6


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans(), st.one_of(st.none(), st.floats(0, 100))), max_size=40))
def test_after_waiting_as_told_there_is_a_place(complaints: list[tuple[float, bool, float | None]]) -> None:
    throttle, now = Throttle(50.0), 100.0
    for pause, rate_limited, retry_after in complaints:
        now += pause
        throttle.claim(now)
        throttle.record_failure(now, now, retry_after, rate_limited=rate_limited)
        if rate_limited or retry_after is not None:
            assert not throttle.claim(now) or retry_after == 0
    assert throttle.claim(now + throttle.wait(now) + 1e-6)


def test_a_complaint_stops_all_and_halves_the_pace() -> None:
    throttle = Throttle(2000.0)
    for tick in range(200):  # what the waits ask: 20 a second
        assert throttle.claim(100 + tick / 20)
        throttle.record_success()
    now = 110.0
    assert throttle.claim(now)
    throttle.record_failure(now, now, None, rate_limited=True)
    assert not throttle.claim(now + MIN_PAUSE * 0.99)
    begin = now + MIN_PAUSE
    assert 8 <= sum(throttle.claim(begin + tick / 100) for tick in range(100)) <= 12


def test_one_burst_of_complaints_is_one() -> None:
    once, often = Throttle(100.0), Throttle(100.0)
    for throttle, times in ((once, 1), (often, 50)):
        for _ in range(times):
            throttle.record_failure(100.5, 100.0, None, rate_limited=True)
    assert sent(once, 102.0, 103.0) == sent(often, 102.0, 103.0)


def test_complaints_that_go_on_never_stop_it_for_good_and_good_answers_bring_it_back() -> None:
    throttle, now = Throttle(100.0), 100.0
    for _ in range(50):
        now += throttle.wait(now) + 0.001
        assert throttle.claim(now)
        throttle.record_failure(now, now, None, rate_limited=True)
    assert throttle.wait(now) <= 1.0
    assert sent(throttle, now + 1, now + 601, step=0.002) > 40_000
    assert 95 <= sent(throttle, now + 601, now + 602) <= 102


def test_other_trouble_slows_nothing_down_unless_it_says_so() -> None:
    throttle = Throttle(100.0)
    throttle.record_failure(100.0, 100.0, None, rate_limited=False)
    assert throttle.claim(100.0)
    throttle.record_failure(100.0, 100.0, 7.0, rate_limited=False)
    assert throttle.wait(100.0) == 7.0
    assert 95 <= sent(throttle, 107.0, 108.0) <= 102, "at the pace from before"
