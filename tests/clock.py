"""The clock of the tests: it stands still, and sleeping moves it."""

from __future__ import annotations

import asyncio
import itertools
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
        self.later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

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

    # By hand: what is to be done later is done when a test has moved the clock there.

    def of_streams_by_hand(self) -> SimpleNamespace:
        """Stand in for the clock of the shared polls, whose timers wait for :meth:`move`."""
        return SimpleNamespace(now=self.time, wall=self.time, call_at=self.call_when_moved)

    def call_when_moved(self, when: float, callback: Callable[[], None]) -> SimpleNamespace:
        """Stand in for the timer of a loop."""
        entry = (when, next(self._order), callback)
        self.later.append(entry)

        def cancel() -> None:
            if entry in self.later:
                self.later.remove(entry)

        return SimpleNamespace(cancel=cancel)

    async def until_moved(self, seconds: float) -> None:
        """Stand in for ``asyncio.sleep``."""
        over = asyncio.get_running_loop().create_future()
        self.call_when_moved(self.now + seconds, lambda: None if over.done() else over.set_result(None))
        await over

    async def move(self, seconds: float) -> None:
        """Let time pass, and let everything on the loop that is due meanwhile have its turn."""
        end = self.now + seconds
        await turns()
        while (entry := min(self.later, default=None)) is not None and entry[0] <= end:
            self.later.remove(entry)
            self.now = max(self.now, entry[0])
            entry[2]()
            await turns()
        self.now = end


async def turns(count: int = 12) -> None:
    """Let everything on the loop that can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)
