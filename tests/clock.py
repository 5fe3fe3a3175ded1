"""The clock of the tests: it stands still, and sleeping moves it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace

from tests.constants import T0


class FakeClock:
    """A clock that passes only when someone sleeps by it; each sleep is written down.

    It stands in for the module ``time``, for Airflow's ``timezone`` and for any callable that returns the time.

    :param now: where it starts, in seconds since the epoch.
    """

    def __init__(self, now: float = T0) -> None:
        self.started = self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    time = monotonic = __call__

    def utcnow(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    def started_at(self) -> datetime:
        """Return the time at which it started."""
        return datetime.fromtimestamp(self.started, UTC)

    def sleep(self, seconds: float) -> None:
        if seconds:
            self.slept.append(seconds)
        self.now += seconds

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Stand in for the timer of a loop: what is to be done later is done next."""
        self.sleep(max(when - self.now, 0.0))
        loop = asyncio.get_running_loop()
        return loop.call_at(loop.time(), callback)

    def of_streams(self) -> SimpleNamespace:
        """Stand in for the clock of the shared polls."""
        return SimpleNamespace(now=self.time, wall=self.time, call_at=self.call_at)
