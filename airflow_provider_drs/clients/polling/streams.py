"""The polls of all waits on one connection and event loop: shared, rate limited, in turn.

A wait *follows* a stream. Waits whose queries have one key share a stream: one request per interval, however many they
are. One timer and a few workers serve all streams. The task behind a wait is woken only when there is something to log.
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

from airflow_provider_drs.clients.async_client import AsyncDrsClient
from airflow_provider_drs.clients.observer import UNOBSERVED, Observer
from airflow_provider_drs.clients.polling.follower import Follower, Stream
from airflow_provider_drs.clients.polling.throttle import Throttle
from airflow_provider_drs.protocol.errors import DrsError, DrsThrottledError, DrsTransientError, DrsUnreachableError
from airflow_provider_drs.protocol.jobs.query import Query
from airflow_provider_drs.protocol.polling import Instant, PollingWait, duration

# Seconds. Waits are not told of a shorter pause that DRS asks for; of a longer one, all are.
MAX_SILENCE = 60.0
# Seconds between two reports of who is worst off: all waits are looked at.
TELL_EVERY = 10.0


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
        self._max_workers = client.settings.max_polls_in_flight
        self._streams: dict[Hashable, Stream] = {}
        #: How many waits there are.
        self.followers = 0
        self._queue: list[tuple[float, int, Stream]] = []
        self._order = count()
        self._workers: set[asyncio.Task[None]] = set()
        self._idle: list[asyncio.Future[Stream]] = []
        self._all_busy = False
        self._failing_since: float | None = None  # since when polls fail and none has succeeded
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._told_at = -math.inf  # when it was told who is worst off

    @property
    def stale(self) -> bool:
        """Whether the connection it was made from no longer works."""
        return self.client.stale

    def follow(self, wait: PollingWait) -> Follower:
        """Return a place for ``wait``; its first poll is due at once."""
        return Follower(self, wait, self._clock.now())

    async def close(self) -> None:
        """End all polls and close the connections."""
        if self._timer is not None:
            self._timer.cancel()
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        try:
            await asyncio.gather(*workers, return_exceptions=True)
        finally:  # also where whoever closes is cancelled: a loop that ends cancels all
            await self.client.close()

    # The followers

    def join(self, follower: Follower) -> None:
        """Add a follower to the stream that its query belongs to."""
        key: Hashable | None = None
        try:
            key = follower.wait.query().key
        except DrsError as error:  # an argument that cannot be sent
            follower.due = None
            follower.tell(follower.wait.failed(error, self._clock.wall()))
        self.followers += 1
        self._observer.waiting(+1)
        follower.key = follower if key is None else key
        stream = self._streams.get(follower.key)
        if stream is None:
            stream = self._streams[follower.key] = Stream(follower.key, self._clock, self._rng)
        stream.followers[follower] = None
        self._queue_up(stream)

    def leave(self, follower: Follower) -> None:
        """Remove a follower."""
        self.followers -= 1
        self._observer.waiting(-1)
        stream = self._streams.get(follower.key)
        if stream is not None and follower in stream.followers:
            del stream.followers[follower]
            if not stream.followers:
                del self._streams[stream.key]
        if not self.followers:
            self._tell_who_is_worst_off()

    def rejoin(self, follower: Follower, delay: float) -> None:
        """Let a follower that had reached an end poll again in ``delay`` seconds."""
        follower.plan(delay, self._clock.now())
        if (stream := self._streams.get(follower.key)) is not None:
            self._queue_up(stream)

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
            heappop(self._queue)  # outdated: queued again since, or without followers
        return None

    def _dispatch(self) -> None:
        """Assign each poll that is due to a worker, and set the timer for the next."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at, self._all_busy = None, math.inf, False
        now = self._clock.now()
        while (head := self._head()) is not None:
            at, stream = head
            if at <= now:
                busy = not self._idle and len(self._workers) >= self._max_workers
                if not busy and self._throttle.claim(now):
                    heappop(self._queue)
                    stream.at = None
                    self._assign(stream)
                    continue
                if error := self._overdue_error(busy, now):
                    heappop(self._queue)
                    stream.at = None
                    stream.fail(stream.ready(now), error)
                    self._queue_up(stream)
                    continue
                if busy:
                    self._all_busy = True
                    return  # the first worker that is done dispatches the rest
                at = now + self._throttle.wait(now)
            if at < self._timer_at:
                self._set_timer(at)
            return

    def _overdue_error(self, busy: bool, now: float) -> DrsError | None:
        """Return what to tell a wait whose poll cannot be sent, None while it may just be late.

        Otherwise each wait would learn of the outage only when its own turn came, long after its timeout.
        """
        paused = self._throttle.paused_until - now
        long = self._failing_since is not None and now - self._failing_since > MAX_SILENCE
        if paused > MAX_SILENCE or (paused > 0 and long):
            return DrsThrottledError(
                f"DRS asked for a pause, of which {duration(paused)} are left", retry_after=max(paused, 0.0)
            )
        if busy and long:
            return DrsUnreachableError("all polls of this connection wait for a response, and none was good yet")
        return None

    def _assign(self, stream: Stream) -> None:
        while self._idle:
            place = self._idle.pop()
            if not place.done():
                place.set_result(stream)
                return
        # In a context of its own: the work is not done on behalf of the wait that happens to be first.
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
                # A bug in this module must end the waits it affects, not leave them hanging.
                self._break(list(stream.followers), error)
            self._queue_up(stream)
            self._idle.append(place := loop.create_future())
            if self._all_busy:
                self._dispatch()
            stream = await place

    async def _poll(self, stream: Stream) -> None:
        sent, asked_at = self._clock.now(), self._clock.wall()
        followers = stream.ready(sent)
        if not followers:
            return  # they have left
        late = sent - (followers[0].due or sent)
        query: Query | None = None
        try:
            followers, query = stream.batch(followers)
            for follower in followers:
                follower.due = None
            self._queue_up(stream)  # for those who come later, or did not fit in
            replies = await self._ask(query, sent)
        except DrsError as error:
            stream.poll_failed(followers, query, error)
        except Exception as error:
            self._break(followers, error)
        else:
            server = getattr(self.client, "last_server_time", None)
            stream.take(followers, replies, Instant(asked_at, sent, server), late)
        if sent - self._told_at >= TELL_EVERY:
            self._tell_who_is_worst_off()

    def _tell_who_is_worst_off(self) -> None:
        self._told_at = now = self._clock.now()
        served = min((one.served_at for stream in self._streams.values() for one in stream.followers), default=now)
        self._observer.worst_off(now - served, self.client.settings.conn_id)

    async def _ask(self, query: Query, sent: float) -> list[object]:
        try:
            replies = [await self.client.call(call) for call in query.calls()]
        except DrsError as error:
            now, rate_limited = self._clock.now(), isinstance(error, DrsThrottledError)
            self._throttle.record_failure(now, sent, error.retry_after, rate_limited=rate_limited)
            if not isinstance(error, DrsTransientError):
                self._failing_since = None
            elif self._failing_since is None:
                self._failing_since = now
            raise
        self._throttle.record_success()
        self._failing_since = None
        return replies

    @staticmethod
    def _break(followers: Sequence[Follower], error: Exception) -> None:
        for follower in followers:
            follower.due = None
            follower.tell(error)
