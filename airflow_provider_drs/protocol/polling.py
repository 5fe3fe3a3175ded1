"""What all waits have in common: how long until the next poll, and how long trouble is waited out.

A kind of wait adds what its replies mean: ``switchover.wait``, ``jobs.wait``, ``compare.wait``.
"""

from __future__ import annotations

import hashlib
import logging
import math
import random
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

import pendulum

from airflow_provider_drs.protocol.errors import DrsError, DrsTransientError, DrsUnavailableError, Json
from airflow_provider_drs.protocol.jobs.query import Query

MAX_DELAY_IN_TROUBLE = 60.0
DEFAULT_TRANSIENT_ERROR_TIMEOUT = 900.0


class Outcome(StrEnum):
    """What the event of an end says under ``outcome``."""

    DONE = "done"
    FAILED = "failed"
    UNDECIDED = "undecided"
    READY = "ready"
    COMPARED = "compared"
    ERROR = "error"


@dataclass(frozen=True)
class LogLine:
    """A line for the task's log; ``level`` is a number of :mod:`logging`."""

    level: int
    text: str


def info(text: str) -> LogLine:
    """Return a line of level INFO."""
    return LogLine(logging.INFO, text)


@dataclass(frozen=True)
class PollResult:
    """What one poll came to: keep polling, or an end. ``lines`` are logged in any case."""

    lines: tuple[LogLine, ...] = ()

    def event(self) -> Json:
        """Return an end as plain JSON, for the way from the triggerer to the worker."""
        raise TypeError("only the end of a wait is an event")


@dataclass(frozen=True)
class KeepPolling(PollResult):
    """Poll again in ``delay`` seconds.

    ``stay``: the next poll settles an end, so that it is worth waiting for in this process.
    """

    delay: float = 0.0
    stay: bool = False


@dataclass(frozen=True)
class GiveUp(PollResult):
    """The wait cannot go on; a caller who goes on all the same polls again in ``delay`` seconds."""

    error: DrsError = field(default_factory=lambda: DrsError(""))
    delay: float = 0.0
    observed: tuple[Json, ...] = field(default=(), compare=False)

    def event(self) -> Json:
        """Return ``{"outcome": "error", "error": {...}}``, the error as :meth:`DrsError.to_dict` writes it.

        Changes that were observed before are in it too: ``"observed": [...]``.
        """
        seen = {"observed": list(self.observed)} if self.observed else {}
        return {"outcome": str(Outcome.ERROR), "error": self.error.to_dict(), **seen}


@dataclass(frozen=True)
class Pace:
    """How often to poll while all is well; the meaning of the three is Airflow's.

    :param interval: seconds between polls.
    :param exponential_backoff: let the interval grow, doubling from poll to poll, with jitter.
    :param max_wait: seconds it may grow to; None: without limit.
    :param seed: what the jitter is made from, so that waits started together drift apart.
    """

    interval: float = 5.0
    exponential_backoff: bool = False
    max_wait: float | None = None
    seed: str = ""

    @property
    def steady(self) -> bool:
        """Whether the interval stays the same and has no jitter of its own."""
        return not self.exponential_backoff

    def delay(self, polls: int) -> float:
        """Return the seconds from poll number ``polls`` (from 1) to the next."""
        if not self.exponential_backoff:
            return self.interval
        shortest = max(int(self.interval * 2.0 ** (min(polls, 40) - 2)), 1)
        digest = hashlib.sha1(f"{self.seed}#{polls}".encode(), usedforsecurity=False).hexdigest()
        grown = float(shortest + int(digest, 16) % shortest)
        return grown if self.max_wait is None else min(grown, self.max_wait)


@dataclass(frozen=True)
class Instant:
    """A moment on three clocks, none of which is to be trusted alone.

    :param wall: seconds since the epoch, on this machine.
    :param steady: seconds on the monotonic clock of this process; None for a moment in another process.
    :param server: seconds since the epoch, by the ``Date`` of the service's response; None where it sent none.
    """

    wall: float
    steady: float | None = None
    server: float | None = None

    def least_since(self, earlier: Instant) -> float:
        """Return the seconds that have passed for certain: the smaller difference where processes differ."""
        return max(min(self._since(earlier)), 0.0)

    def most_since(self, earlier: Instant) -> float:
        """Return the seconds that may have passed: the larger difference where processes differ.

        Infinity where the wall clock has gone back between two processes and the service's time is not known.
        """
        differences = self._since(earlier)
        by_wall_alone = len(differences) == 1 and None in (self.steady, earlier.steady)
        went_back = by_wall_alone and differences[0] < -1.0
        return math.inf if went_back else max(*differences, 0.0)

    def _since(self, earlier: Instant) -> list[float]:
        if self.steady is not None and earlier.steady is not None:
            return [self.steady - earlier.steady]
        server = [] if self.server is None or earlier.server is None else [self.server - earlier.server]
        return [self.wall - earlier.wall, *server]

    def to_list(self) -> list[float | None]:
        """Return it as plain JSON, for another process."""
        return [self.wall, self.server]

    @classmethod
    def from_list(cls, data: Any) -> Instant | None:
        """Rebuild what :meth:`to_list` wrote, None for None."""
        return None if data is None else cls(float(data[0]), server=data[1])


@dataclass
class Trouble:
    """The present trouble: errors since the last good response.

    :param trouble_since: when it began, seconds since the epoch; None while there is none.
    :param trouble_polls: requests that failed, one after the other.
    """

    trouble_since: float | None = None
    trouble_polls: int = 0


@dataclass
class PollMemory(Trouble):
    """What a wait has seen so far, as plain JSON, so that reschedule mode can carry it from one process to the next.

    :param polls: polls made.
    :param first_polled_at: seconds since the epoch; None before the first.
    :param last_seen: what was last seen ("" for nothing yet), None before the first good response.
    """

    polls: int = 0
    first_polled_at: float | None = None
    last_seen: str | None = None

    def to_dict(self) -> Json:
        """Return the memory as plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Json) -> Self:
        """Rebuild what :meth:`to_dict` wrote; fields of other versions are ignored."""
        return cls(**{f.name: data[f.name] for f in fields(cls) if f.name in data})


class Patience:
    """How long trouble is waited out, and how slowly requests go out meanwhile. The only place that decides it.

    :param subject: what is asked about, for log lines, such as ``Job 260e27fd-...``.
    :param limit: seconds of trouble without one good response after which to give up; None: never.
    :param interval: seconds between requests while all is well.
    :param error_context: what its own errors are about, such as the connection and the job.
    :param trouble: the trouble so far.
    :param leave_after: seconds of trouble after which somebody else is to wait; None: nobody else can.
    :param rng: numbers from 0 to 1, for the jitter.
    """

    def __init__(
        self,
        subject: str,
        limit: float | None,
        *,
        interval: float = 1.0,
        error_context: str = "",
        trouble: Trouble | None = None,
        leave_after: float | None = None,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.subject = subject
        self.limit = limit
        self.error_context = error_context
        self.trouble = trouble or Trouble()
        self.leave_after = leave_after
        self._interval = interval
        self._rng = rng

    def failed(self, error: DrsError, at: float, usual_delay: float = 0.0) -> KeepPolling | GiveUp:
        """Take an error that may pass.

        :param at: when it was met, seconds since the epoch.
        :param usual_delay: seconds to the next request, were all well; it never comes sooner.
        """
        trouble, limit = self.trouble, self.limit
        lines: tuple[LogLine, ...] = ()
        if trouble.trouble_since is None:
            trouble.trouble_since, trouble.trouble_polls = at, 0
            lines = (LogLine(logging.WARNING, self._warning(error)),)
        trouble.trouble_polls += 1
        delay = self._delay(error, usual_delay)
        lasted = at - trouble.trouble_since
        if limit is None:
            return KeepPolling(lines, delay)
        if lasted >= limit:
            return GiveUp(lines, self._unavailable(error, lasted), delay)
        if not error.retry_after:
            delay = min(delay, limit - lasted)
        return KeepPolling(lines, delay)

    def recovered(self, at: float) -> list[LogLine]:
        """Note a good response; return the line to log if that ends trouble."""
        trouble = self.trouble
        if trouble.trouble_since is None:
            return []
        lasted, polls = at - trouble.trouble_since, trouble.trouble_polls
        trouble.trouble_since, trouble.trouble_polls = None, 0
        subject = self.subject[:1].lower() + self.subject[1:]
        return [info(f"DRS responds again about {subject}, after {duration(lasted)} and {polls} failed poll(s)")]

    def leaves(self, at: float) -> bool:
        """Tell whether whoever waits leaves the rest to somebody else, rather than wait until ``at``."""
        since = self.trouble.trouble_since
        return self.leave_after is not None and since is not None and at - since > self.leave_after

    def ends_at(self, at: float) -> float:
        """Return when the patience ends, seconds since the epoch; infinity for one without a limit.

        :param at: the time now, from which the limit counts while there is no trouble.
        """
        since = at if self.trouble.trouble_since is None else self.trouble.trouble_since
        return since + (float("inf") if self.limit is None else self.limit)

    def _delay(self, error: DrsError, usual_delay: float) -> float:
        base = max(self._interval, 1.0)
        doubled = min(base * 2.0 ** min(self.trouble.trouble_polls, 16), MAX_DELAY_IN_TROUBLE)
        jittered = doubled * (0.75 + 0.25 * self._rng())
        return max(jittered, usual_delay, error.retry_after or 0.0)

    def _warning(self, error: DrsError) -> str:
        until = f", giving up after {duration(self.limit)} without a good response" if self.limit is not None else ""
        subject = "" if error.error_context else f"{self.subject}: "
        return f"{subject}{error}. Polling more slowly while this lasts{until}"

    def _unavailable(self, error: DrsError, lasted: float) -> DrsUnavailableError:
        polls = self.trouble.trouble_polls
        return DrsUnavailableError(
            f"no good response for {duration(lasted)} ({polls} polls), at last: {error.message}",
            error_code=error.error_code,
            error_msg=error.error_msg,
            http_status=error.http_status,
            error_context=error.error_context or self.error_context,
        )


class PollingWait:
    """Base of the waits: counts polls and waits trouble out; a kind of wait says what to ask and what replies mean.

    :param subject: what is waited for, for log lines, such as ``Job 260e27fd-...``.
    :param pace: how often to poll while all is well.
    :param memory: what was seen before.
    :param transient_error_timeout: seconds of trouble without one good response after which to give up; None: never.
    :param error_context: what its own errors are about, such as the connection and the job.
    :param deadline: seconds since the epoch after which to stop waiting; None: never.
    :param rng: numbers from 0 to 1, for the jitter.
    """

    def __init__(
        self,
        subject: str,
        pace: Pace,
        memory: PollMemory,
        *,
        transient_error_timeout: float | None = DEFAULT_TRANSIENT_ERROR_TIMEOUT,
        error_context: str = "",
        deadline: float | None = None,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.subject = subject
        self.pace = pace
        self.memory = memory
        self.error_context = error_context
        self.deadline = deadline
        self.patience = Patience(
            subject,
            transient_error_timeout,
            interval=pace.interval,
            error_context=error_context,
            trouble=memory,
            rng=rng,
        )

    @abstractmethod
    def query(self) -> Query:
        """Return what the next poll asks."""

    @abstractmethod
    def take(self, replies: Sequence[Any], at: float, sent: Instant) -> PollResult:
        """Take the replies to :meth:`query`.

        :param at: when they came, seconds since the epoch.
        :param sent: when the request went out.
        """

    def failed(self, error: DrsError, at: float) -> PollResult:
        """Take an error met at ``at`` (seconds since the epoch) instead of replies; past the deadline it is an end."""
        self._count(at)
        if not isinstance(error, DrsTransientError):
            return self._give_up(error)
        result = self.patience.failed(error, at, self.pace.delay(self.memory.polls))
        if not isinstance(result, KeepPolling):
            return result
        if self._late(at):
            return self._too_late(result.lines, at, f"no good response then: {error.message}")
        return replace(result, delay=self._until_deadline(result.delay, at))

    def _too_late(self, lines: Sequence[LogLine], at: float, last: str) -> PollResult:
        """Return the end of a wait whose deadline has passed; ``last`` says what was seen at last."""
        return self._give_up(DrsError(f"no end within the timeout, {last}"), lines)

    def _give_up(self, error: DrsError, lines: Sequence[LogLine] = ()) -> GiveUp:
        delay = max(self.pace.delay(self.memory.polls), 1.0)
        return GiveUp(tuple(lines), error.with_context(self.error_context), delay)

    def _count(self, at: float) -> None:
        self.memory.polls += 1
        if self.memory.first_polled_at is None:
            self.memory.first_polled_at = at

    def _late(self, at: float) -> bool:
        return self.deadline is not None and at >= self.deadline

    def _until_deadline(self, delay: float, at: float) -> float:
        return delay if self.deadline is None else min(delay, max(self.deadline - at, 0.0))


def utc(at: float) -> str:
    """Return seconds since the epoch as UTC ISO 8601."""
    return datetime.fromtimestamp(at, UTC).isoformat()


def duration(seconds: float) -> str:
    """Return seconds in words, such as "15 minutes"."""
    whole = round(seconds)
    return pendulum.duration(seconds=whole).in_words(locale="en") if whole > 0 else "0 seconds"
