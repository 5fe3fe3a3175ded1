"""When a follower's polls are due, and which followers a poll can inform."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_drs.clients.polling.follower import MANY_WAITS, POLL_TICK, Follower, Stream
from airflow_provider_drs.protocol.polling import KeepPolling
from tests.clients.helpers import on_a_loop

from .streams import switchover

STREAMS: Any = SimpleNamespace(followers=1)
CLOCK: Any = SimpleNamespace(now=lambda: 100.0, wall=lambda: 100.0)


def follower(due: float | None = 100.0, earliest: float = 100.0, alone: bool = False) -> Follower:
    made = Follower(STREAMS, switchover(), 100.0)
    made.due, made.earliest, made.alone = due, earliest, alone
    return made


def stream_of(*followers: Follower) -> Stream:
    stream = Stream("key", CLOCK, lambda: 0.5)
    stream.followers.update(dict.fromkeys(followers))
    return stream


@pytest.mark.parametrize(
    ("delay", "waits", "due"),
    [(0.3, 1, 100.311), (0.0, 1, 100.011), (5.0, 1, 105.1), (5.0, MANY_WAITS, 105.1), (5.0, MANY_WAITS + 1, 105.025)],
)
def test_the_next_poll_is_due_after_the_delay_on_a_tick_where_that_costs_little(
    delay: float, waits: int, due: float
) -> None:
    planned = Follower(SimpleNamespace(followers=waits), switchover(), 100.0)  # type: ignore[arg-type]
    planned.plan(delay, 100.011)
    assert planned.due == pytest.approx(due)
    assert planned.earliest == pytest.approx(100.011 + delay / 2)
    assert planned.due is not None
    assert planned.due - (100.011 + delay) < POLL_TICK


def test_a_poll_informs_those_whose_turn_it_can_be_the_longest_due_first() -> None:
    first, second = follower(due=99.0), follower(due=98.0)
    stream = stream_of(first, second, follower(due=None), follower(earliest=101.0))
    assert stream.ready(100.0) == [second, first]
    assert stream.next_due() == 98.0


def test_one_that_is_polled_alone_is_in_no_batch() -> None:
    apart, other = follower(due=98.0, alone=True), follower(due=99.0)
    stream = stream_of(apart, other)
    assert stream.ready(100.0) == [apart]
    apart.due = 99.5
    assert stream.ready(100.0) == [other]


def test_a_stream_without_a_follower_to_inform_has_nothing_due() -> None:
    assert stream_of().next_due() is None
    assert stream_of(follower(due=None)).ready(100.0) == []


def test_results_come_in_order_and_an_exception_is_raised() -> None:
    async def main() -> None:
        told = follower()
        waiting = asyncio.ensure_future(told.next())
        await asyncio.sleep(0)
        first = KeepPolling()
        told.tell(first)
        told.tell(ZeroDivisionError())
        assert await waiting is first
        with pytest.raises(ZeroDivisionError):
            await told.next()

    on_a_loop(main())
