"""The polls of all waits on one connection and event loop: shared, spaced, in turn.

A wait *follows* a stream. Waits that ask the same share one stream: one request an interval, however many they are.
One timer and a few workers serve all streams. The task behind a wait is woken only when there is something to say.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
import random
import time
from collections.abc import Callable, Hashable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any

from airflow_provider_drs.clients.async_client import AsyncDrsClient
from airflow_provider_drs.clients.observer import UNOBSERVED, Observer
from airflow_provider_drs.clients.polling.follower import Follower, Pollable, Stream
from airflow_provider_drs.clients.polling.throttle import Throttle
from airflow_provider_drs.protocol.errors import DrsError, DrsThrottledError, DrsTransientError, DrsUnreachableError
from airflow_provider_drs.protocol.jobs.query import Query, fit_batch, may_be_one_jobs_fault, merge
from airflow_provider_drs.protocol.polling import KeepPolling, PollResult, duration

# Seconds; the polls of waits that last are due on the beat.
POLL_TICK = 0.025
# No clock's rounding may turn trouble into a hot loop.
MIN_DELAY_AFTER_TROUBLE = 0.05
# A pause that DRS asks for is sat out in silence up to here; of a longer one, every wait is told.
MAX_SILENCE = 60.0


class Clock:
    """The times that streams go by, and the one timer."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time
        self.call_at: Callable[[float, Callable[[], None]], asyncio.TimerHandle] = loop.call_at
        self.wall = time.time


class PollStreams:
    """All polls on one connection.

    :param client: makes the calls; closed with this.
    :param observer: told how many waits there are.
    :param rng: numbers from 0 to 1, for the jitter.
    """

    def __init__(
        self, client: AsyncDrsClient, observer: Observer = UNOBSERVED, rng: Callable[[], float] = random.random
    ) -> None:
        self.client = client
        self._observer = observer
        self._rng = rng
        self._clock = Clock()
        self._throttle = Throttle(client.settings.max_polls_per_second)
        self._most = client.settings.max_polls_in_flight
        self._streams: dict[Hashable, Stream] = {}
        self._followers = 0
        self._queue: list[tuple[float, int, Stream]] = []
        self._order = count()
        self._workers: set[asyncio.Task[None]] = set()
        self._idle: list[asyncio.Future[Stream]] = []
        self._all_busy = False
        self._bad_since: float | None = None  # since when there was trouble and no good answer
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    @property
    def stale(self) -> bool:
        """Whether the connection it was made from no longer works."""
        return self.client.stale

    def follow(self, wait: Pollable) -> Follower:
        """Return a place for ``wait``; its first poll is due at once."""
        return Follower(self, wait, self._clock.now())

    async def close(self) -> None:
        """End all polls and close the connections."""
        if self._timer is not None:
            self._timer.cancel()
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await self.client.close()

    # The followers

    def join(self, follower: Follower) -> None:
        """Let a follower in."""
        key: Hashable | None = None
        try:
            key = follower.wait.query().key
        except DrsError as error:  # an argument that cannot be sent
            follower.due = None
            follower.tell(follower.wait.failed(error, self._clock.wall()))
        self._followers += 1
        self._observer.waiting(+1)
        follower.key = follower if key is None else key
        stream = self._streams.get(follower.key)
        if stream is None:
            stream = self._streams[follower.key] = Stream(follower.key)
        stream.followers[follower] = None
        self._queue_up(stream)

    def leave(self, follower: Follower) -> None:
        """Let a follower go."""
        self._followers -= 1
        self._observer.waiting(-1)
        stream = self._streams.get(follower.key)
        if stream is not None and follower in stream.followers:
            del stream.followers[follower]
            if not stream.followers:
                del self._streams[stream.key]

    def rejoin(self, follower: Follower, delay: float) -> None:
        """Let a follower that had reached an end go on."""
        self._plan(follower, delay)
        if (stream := self._streams.get(follower.key)) is not None:
            self._queue_up(stream)

    def _plan(self, follower: Follower, delay: float) -> None:
        now = self._clock.now()
        due = now + delay
        if delay >= 1.0:
            # Polls of one beat are sent, and their answers read, in the same turn of the loop, which costs less.
            due = math.ceil(due / POLL_TICK) * POLL_TICK
        follower.due, follower.soonest = due, now + delay / 2

    # The queue: streams by the time at which their next poll is due

    def _queue_up(self, stream: Stream) -> None:
        due = stream.next_due()
        if due is not None and due != stream.at:
            heappush(self._queue, (due, next(self._order), stream))
            if due < self._timer_at:
                self._set_timer(due)
        stream.at = due

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._clock.call_at(at, self._dispatch)

    def _head(self) -> tuple[float, Stream] | None:
        while self._queue:
            at, _, stream = self._queue[0]
            if stream.at == at and stream.followers:
                return at, stream
            heappop(self._queue)  # overtaken: queued anew since, or left by all
        return None

    def _dispatch(self) -> None:
        """Give each poll that is due to a worker, and set the timer for the next."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at, self._all_busy = None, math.inf, False
        now = self._clock.now()
        while (head := self._head()) is not None:
            at, stream = head
            if at <= now:
                busy = not self._idle and len(self._workers) >= self._most
                if not busy and self._throttle.claim(now):
                    heappop(self._queue)
                    stream.at = None
                    self._assign(stream)
                    continue
                if why := self._overdue_error(busy, now):
                    heappop(self._queue)
                    stream.at = None
                    self._fail(stream, stream.ready(now), why)
                    self._queue_up(stream)
                    continue
                if busy:
                    self._all_busy = True
                    return  # who is done first sees to the rest
                at = now + self._throttle.wait(now)
            if at < self._timer_at:
                self._set_timer(at)
            return

    def _overdue_error(self, busy: bool, now: float) -> DrsError | None:
        """Return what to tell a wait whose poll cannot go out, None while it may just be late.

        Without it one wait after the other would find out by itself, each in its turn, long after its limits.
        """
        paused = self._throttle.paused_until - now
        long = self._bad_since is not None and now - self._bad_since > MAX_SILENCE
        if paused > MAX_SILENCE or (paused > 0 and long):
            return DrsThrottledError(
                f"DRS asked for a pause, of which {duration(paused)} are left", retry_after=max(paused, 0.0)
            )
        if busy and long:
            return DrsUnreachableError("all polls of this connection wait for answers, and there has been no good one")
        return None

    def _assign(self, stream: Stream) -> None:
        while self._idle:
            place = self._idle.pop()
            if not place.done():
                place.set_result(stream)
                return
        # In a context of its own: what it does is not done for the wait that happens to be first.
        worker = asyncio.get_running_loop().create_task(self._work(stream), context=contextvars.Context())
        self._workers.add(worker)
        worker.add_done_callback(self._workers.discard)

    # The polls

    async def _work(self, stream: Stream) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self._poll(stream)
            except Exception as error:
                # A fault of this module's own must end the waits it struck, not leave them hanging.
                self._break(list(stream.followers), error)
            self._queue_up(stream)
            self._idle.append(place := loop.create_future())
            if self._all_busy:
                self._dispatch()
            stream = await place

    async def _poll(self, stream: Stream) -> None:
        asked, asked_at = self._clock.now(), self._clock.wall()
        followers = stream.ready(asked)
        if not followers:
            return  # left since
        late = asked - (followers[0].due or asked)
        query: Query | None = None
        try:
            if len(followers) == 1:
                query = followers[0].wait.query()
            else:
                questions = fit_batch(follower.wait.query() for follower in followers)
                followers, query = followers[: len(questions)], merge(questions)
            for follower in followers:
                follower.due = None
            self._queue_up(stream)  # for those who come later, or did not fit in
            replies = await self._ask(query, asked)
        except DrsError as error:
            shared = len(followers) > 1
            stream.failures += shared
            if shared and query is not None and may_be_one_jobs_fault(query, error, stream.failures):
                self._ask_each_alone(followers)
            else:
                self._fail(stream, followers, error)
        except Exception as error:
            self._break(followers, error)
        else:
            if len(followers) > 1:
                stream.failures = 0
            at = self._clock.wall()
            self._tell(stream, followers, lambda wait: wait.take(replies, at, asked_at), late)

    async def _ask(self, query: Query, asked: float) -> list[Any]:
        try:
            replies = []
            for call in query.calls():
                replies.append(await self.client.call(call))
        except DrsError as error:
            now, too_often = self._clock.now(), isinstance(error, DrsThrottledError)
            self._throttle.complained(now, asked, error.retry_after, too_often=too_often)
            if not isinstance(error, DrsTransientError):
                self._bad_since = None
            elif self._bad_since is None:
                self._bad_since = now
            raise
        self._throttle.answered()
        self._bad_since = None
        return replies

    @staticmethod
    def _break(followers: Sequence[Follower], error: Exception) -> None:
        for follower in followers:
            follower.due = None
            follower.tell(error)

    def _ask_each_alone(self, followers: Sequence[Follower]) -> None:
        now = self._clock.now()
        for follower in followers:
            follower.alone = True
            follower.due = follower.soonest = now

    def _fail(self, stream: Stream, followers: Sequence[Follower], error: DrsError) -> None:
        at = self._clock.wall()
        self._tell(stream, followers, lambda wait: wait.failed(error, at), None)

    def _tell(
        self, stream: Stream, followers: Sequence[Follower], take: Callable[[Pollable], PollResult], late: float | None
    ) -> None:
        """Let the waits take what came, and plan their next polls.

        :param late: seconds that the poll was late; None: it brought trouble, whose delays have a jitter of their own.
        """
        for follower in followers:
            if follower not in stream.followers:
                continue
            follower.due = None
            try:
                verdict = take(follower.wait)
            except Exception as error:
                follower.tell(error)
                continue
            if late is not None:
                follower.alone = False
            if type(verdict) is not KeepPolling:
                follower.tell(verdict)
                continue
            delay = verdict.delay
            if late is None:
                delay = max(delay, MIN_DELAY_AFTER_TROUBLE)
            elif (follower.fresh or late > delay / 4) and follower.wait.pace.steady:
                # Waits that began together, or were held up together, are to drift apart; no poll comes later for it.
                delay *= 1.0 - self._rng() / 2
            follower.fresh = False
            self._plan(follower, delay)
            if verdict.lines:
                follower.tell(verdict)
