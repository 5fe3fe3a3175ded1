"""A wait that follows a stream of polls, and the stream: all waits that the same poll can tell."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from types import TracebackType
from typing import Any, Protocol

from airflow_provider_drs.protocol.errors import DrsError
from airflow_provider_drs.protocol.jobs.query import Query
from airflow_provider_drs.protocol.polling import Pace, PollResult


class Pollable(Protocol):
    """A wait, as a stream needs it: every kind of ``protocol.polling.Polling`` that says what it asks."""

    pace: Pace

    def query(self) -> Query:
        """Return what the next poll asks."""

    def take(self, replies: Sequence[Any], at: float, asked_at: float) -> PollResult:
        """Take the replies to it."""

    def failed(self, error: DrsError, at: float) -> PollResult:
        """Take an error in their stead."""


class Streams(Protocol):
    """Where a follower has its place."""

    def join(self, follower: Follower) -> None:
        """Let a follower in."""

    def leave(self, follower: Follower) -> None:
        """Let a follower go."""

    def rejoin(self, follower: Follower, delay: float) -> None:
        """Let a follower that had reached an end go on."""


class Follower:
    """One wait's place in a stream. A context: the wait leaves with it."""

    __slots__ = ("_news", "_streams", "_waker", "alone", "due", "fresh", "key", "soonest", "wait")

    def __init__(self, streams: Streams, wait: Pollable, now: float) -> None:
        self._streams = streams
        self._news: list[PollResult | Exception] = []
        self._waker: asyncio.Future[None] | None = None
        self.wait = wait
        self.key: Hashable | None = None
        self.due: float | None = now
        # An answer is taken if it was asked for after this: not before the wait began, not twice in short succession.
        self.soonest = now
        self.fresh = True
        self.alone = False  # asked about apart from others, whose request was refused perhaps because of it

    def __enter__(self) -> Follower:
        self._streams.join(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._streams.leave(self)

    async def next(self) -> PollResult:
        """Return the next verdict that is an end or has something to log; polls that change nothing are passed over.

        Asked again after an end, it goes on after the delay that the verdict names.

        :raises Exception: the wait itself broke.
        """
        while not self._news:
            self._waker = asyncio.get_running_loop().create_future()
            try:
                await self._waker
            finally:
                self._waker = None
        news = self._news.pop(0)
        if isinstance(news, Exception):
            raise news
        return news

    def again(self, delay: float) -> None:
        """Go on after an end, in so many seconds."""
        self._streams.rejoin(self, delay)

    def tell(self, news: PollResult | Exception) -> None:
        """Wake the task behind the wait."""
        self._news.append(news)
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)


class Stream:
    """The waits that one poll can tell."""

    __slots__ = ("at", "failures", "followers", "key")

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.followers: dict[Follower, None] = {}
        self.at: float | None = None  # when it is queued for
        self.failures = 0  # polls for several followers that failed, one after the other

    def next_due(self) -> float | None:
        """Return when the next poll is due, None while all have had theirs."""
        return min((f.due for f in self.followers if f.due is not None), default=None)

    def ready(self, asked: float) -> list[Follower]:
        """Return the followers that a poll sent now can tell, the longest due first."""
        if len(self.followers) == 1:
            return [f for f in self.followers if f.due is not None and f.soonest <= asked]
        ready = [(f.due, n, f) for n, f in enumerate(self.followers) if f.due is not None and f.soonest <= asked]
        ready.sort()
        first = ready[0][2] if ready else None
        return [first] if first and first.alone else [follower for _, _, follower in ready if not follower.alone]
