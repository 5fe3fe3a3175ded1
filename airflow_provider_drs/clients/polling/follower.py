"""A follower is one wait's place in a stream; a stream is all waits that the response to one poll can inform."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Hashable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from airflow_provider_drs.protocol.errors import DrsError
from airflow_provider_drs.protocol.jobs.query import Query, fit_batch, may_be_one_jobs_fault, merge
from airflow_provider_drs.protocol.polling import Instant, KeepPolling, PollingWait, PollResult

if TYPE_CHECKING:
    from airflow_provider_drs.clients.polling.streams import Clock, PollStreams

# Seconds; polls of waits whose intervals last at least a second are due on a tick. A longer one would put off the sight
# of an end by more than a tenth of a second.
POLL_TICK = 0.1
# Of so many waits a shorter tick has polls enough, and fewer connections at once.
MANY_WAITS = 2000
SHORT_TICK = 0.025
# Seconds. No rounding of a clock may turn trouble into a hot loop.
MIN_DELAY_AFTER_TROUBLE = 0.05


class Follower:
    """One wait's place in a stream. A context: the wait joins at its beginning and leaves at its end.

    A follower accepts a response only if the request was sent after it joined, and at least half a poll interval after
    the last response it accepted. Waits on one job therefore converge on a common schedule.
    """

    __slots__ = ("_results", "_streams", "_waker", "alone", "due", "earliest", "fresh", "key", "served_at", "wait")

    def __init__(self, streams: PollStreams, wait: PollingWait, now: float) -> None:
        self._streams = streams
        self._results: list[PollResult | Exception] = []
        self._waker: asyncio.Future[None] | None = None
        self.wait = wait
        self.key: Hashable | None = None
        self.due: float | None = now  # when its next poll is due; None: while one is under way, and after an end
        self.earliest = now  # it accepts no response to a request sent before
        self.served_at = now  # when it had its last good response; before the first: when it came
        self.fresh = True  # it has not had a response yet
        self.alone = False  # polled apart from others, whose common request was refused, perhaps because of it

    def __enter__(self) -> Follower:
        self._streams.join(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._streams.leave(self)

    async def next(self) -> PollResult:
        """Return the next result that is an end or has something to log; polls that change nothing are passed over.

        :raises Exception: the wait itself broke.
        """
        while not self._results:
            self._waker = asyncio.get_running_loop().create_future()
            try:
                await self._waker
            finally:
                self._waker = None
        result = self._results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    def again(self, delay: float) -> None:
        """Resume after an end: poll again in ``delay`` seconds."""
        self._streams.rejoin(self, delay)

    def tell(self, result: PollResult | Exception) -> None:
        """Hand ``result`` to the task behind the wait and wake it."""
        self._results.append(result)
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)

    def plan(self, delay: float, now: float) -> None:
        """Let the next poll be due in ``delay`` seconds."""
        due = now + delay
        if delay >= 1.0:
            # Polls of one tick are sent, and their responses read, in the same turn of the loop, which costs less.
            tick = SHORT_TICK if self._streams.followers > MANY_WAITS else POLL_TICK
            due = math.ceil(due / tick) * tick
        self.due, self.earliest = due, now + delay / 2


class Stream:
    """The waits that one poll can inform.

    :param key: what their queries have in common.
    :param clock: the times.
    :param rng: numbers from 0 to 1, for the jitter.
    """

    __slots__ = ("_clock", "_rng", "at", "failures", "followers", "key")

    def __init__(self, key: Hashable, clock: Clock, rng: Callable[[], float]) -> None:
        self.key = key
        self._clock = clock
        self._rng = rng
        self.followers: dict[Follower, None] = {}
        self.at: float | None = None  # when it is queued for
        self.failures = 0  # polls for several followers that failed, one after the other

    def next_due(self) -> float | None:
        """Return when the next poll is due, None while there is none to plan."""
        return min((f.due for f in self.followers if f.due is not None), default=None)

    def ready(self, now: float) -> list[Follower]:
        """Return the followers that a poll sent now can inform, the longest due first."""
        if len(self.followers) == 1:
            return [f for f in self.followers if f.due is not None and f.earliest <= now]
        ready = [(f.due, n, f) for n, f in enumerate(self.followers) if f.due is not None and f.earliest <= now]
        ready.sort()
        first = ready[0][2] if ready else None
        return [first] if first and first.alone else [follower for _, _, follower in ready if not follower.alone]

    def batch(self, ready: list[Follower]) -> tuple[list[Follower], Query]:
        """Return the followers whose queries fit into one poll, and the query that informs them all.

        :raises DrsError: a wait's query cannot be sent.
        """
        if len(ready) == 1:
            return ready, ready[0].wait.query()
        queries = fit_batch(follower.wait.query() for follower in ready)
        return ready[: len(queries)], merge(queries)

    def take(self, followers: Sequence[Follower], replies: Sequence[object], sent: Instant, late: float) -> None:
        """Let the followers take the replies to a poll.

        :param sent: when it was sent.
        :param late: seconds by which it was late.
        """
        if len(followers) > 1:
            self.failures = 0
        at, now = self._clock.wall(), self._clock.now()
        for follower in self._present(followers):
            follower.alone = False
            follower.served_at = now
            self._step(follower, lambda wait: wait.take(replies, at, sent), late)

    def fail(self, followers: Sequence[Follower], error: DrsError) -> None:
        """Let the followers take an error in place of replies."""
        at = self._clock.wall()
        for follower in self._present(followers):
            self._step(follower, lambda wait: wait.failed(error, at), None)

    def poll_failed(self, followers: Sequence[Follower], query: Query | None, error: DrsError) -> None:
        """Handle a failed poll: poll each job alone where one of them may be the reason, else tell all the error."""
        together = len(followers) > 1
        self.failures += together
        if together and query is not None and may_be_one_jobs_fault(query, error, self.failures):
            now = self._clock.now()
            for follower in followers:
                follower.alone = True
                follower.due = follower.earliest = now
        else:
            self.fail(followers, error)

    def _present(self, followers: Sequence[Follower]) -> list[Follower]:
        return [follower for follower in followers if follower in self.followers]

    def _step(self, follower: Follower, take: Callable[[PollingWait], PollResult], late: float | None) -> None:
        """Let one wait take what came, and plan its next poll.

        :param late: seconds by which the poll was late; None: it failed, and those delays have their own jitter.
        """
        follower.due = None
        try:
            result = take(follower.wait)
        except Exception as error:
            follower.tell(error)
            return
        if type(result) is not KeepPolling:
            follower.tell(result)
            return
        delay = result.delay
        if late is None:
            delay = max(delay, MIN_DELAY_AFTER_TROUBLE)
        elif (follower.fresh or late > delay / 4) and follower.wait.pace.steady:
            # Waits that began together, or were held up together, drift apart; this never makes a poll later.
            delay *= 1.0 - self._rng() / 2
        follower.fresh = False
        follower.plan(delay, self._clock.now())
        if result.lines:
            follower.tell(result)
