"""What all waits have in common: how long until the next poll, and what to do about trouble.

Fed with errors and times; a kind of wait adds what its answers mean (``waiting`` for switchovers).
"""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Self

import pendulum

from airflow_provider_drs.protocol.errors import DrsError, DrsTransientError, DrsUnavailableError

MAX_DELAY_IN_TROUBLE = 60.0
ERROR = "error"


@dataclass(frozen=True)
class LogLine:
    """A line for the task's log; ``level`` is a number of :mod:`logging`."""

    level: int
    text: str


@dataclass(frozen=True)
class PollResult:
    """What one poll came to: wait on, or an end. ``lines`` are to be logged in any case."""

    lines: tuple[LogLine, ...] = ()

    def event(self) -> dict[str, Any]:
        """Return an end as plain JSON, for the way from the triggerer to the worker."""
        raise TypeError("only the end of a wait is an event")


@dataclass(frozen=True)
class KeepPolling(PollResult):
    """Poll again in ``delay`` seconds."""

    delay: float = 0.0


@dataclass(frozen=True)
class GiveUp(PollResult):
    """The wait cannot go on; a caller who is told to carry on all the same polls again in ``delay`` seconds."""

    error: DrsError = field(default_factory=lambda: DrsError(""))
    delay: float = 0.0
    observed: tuple[dict[str, Any], ...] = field(default=(), compare=False)

    def event(self) -> dict[str, Any]:
        """Return ``{"outcome": "error", "error": {...}}``, the error as :meth:`DrsError.to_dict` writes it.

        With what was observed before, where there is anything: ``"observed": [...]``.
        """
        seen = {"observed": list(self.observed)} if self.observed else {}
        return {"outcome": ERROR, "error": self.error.to_dict(), **seen}


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


@dataclass
class PollMemory:
    """What a wait has seen so far, as plain JSON, so that reschedule mode can carry it from one process to the next.

    :param polls: polls made.
    :param first_polled_at: seconds since the epoch; None before the first.
    :param last_seen: what was last seen ("" for nothing yet), None before the first good answer.
    :param trouble_since: when the present trouble began, None while there is none.
    :param trouble_polls: polls in trouble, one after the other.
    """

    polls: int = 0
    first_polled_at: float | None = None
    last_seen: str | None = None
    trouble_since: float | None = None
    trouble_polls: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the memory as plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild what :meth:`to_dict` wrote; fields of other versions are passed over."""
        return cls(**{f.name: data[f.name] for f in fields(cls) if f.name in data})


class PollingWait:
    """What every kind of wait does alike: count, and wait trouble out.

    :param subject: what is waited for, for log lines, such as ``Job 260e27fd-...``.
    :param pace: how often to poll while all is well.
    :param memory: what was seen before.
    :param transient_error_timeout: seconds of trouble without one good answer after which to give up; None: never.
    :param error_context: what its own errors are about, such as the connection and the job.
    :param rng: numbers from 0 to 1, for the jitter.
    """

    def __init__(
        self,
        subject: str,
        pace: Pace,
        memory: PollMemory,
        *,
        transient_error_timeout: float | None = 900.0,
        error_context: str = "",
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.subject = subject
        self.pace = pace
        self.memory = memory
        self.transient_error_timeout = transient_error_timeout
        self.error_context = error_context
        self._rng = rng

    def failed(self, error: DrsError, at: float) -> PollResult:
        """Take an error met at ``at`` (seconds since the epoch) instead of an answer."""
        self._count(at)
        if not isinstance(error, DrsTransientError):
            return self._broken(error)
        memory, limit = self.memory, self.transient_error_timeout
        lines: tuple[LogLine, ...] = ()
        if memory.trouble_since is None:
            memory.trouble_since, memory.trouble_polls = at, 0
            lines = (LogLine(logging.WARNING, self._trouble(error)),)
        memory.trouble_polls += 1
        delay = self._delay_in_trouble(error)
        lasted = at - memory.trouble_since
        if limit is None:
            return KeepPolling(lines, delay)
        if lasted >= limit:
            return GiveUp(lines, self._unavailable(error, lasted), delay)
        if not error.retry_after:
            delay = min(delay, limit - lasted)
        return KeepPolling(lines, delay)

    def _count(self, at: float) -> None:
        self.memory.polls += 1
        if self.memory.first_polled_at is None:
            self.memory.first_polled_at = at

    def _recovered(self, at: float) -> list[LogLine]:
        """Note that a good answer has come; return the line to log if that ends trouble."""
        memory = self.memory
        if memory.trouble_since is None:
            return []
        lasted, polls = at - memory.trouble_since, memory.trouble_polls
        memory.trouble_since, memory.trouble_polls = None, 0
        subject = self.subject[:1].lower() + self.subject[1:]
        return [
            LogLine(
                logging.INFO, f"DRS answers again about {subject}, after {duration(lasted)} and {polls} failed poll(s)"
            )
        ]

    def _broken(self, error: DrsError) -> GiveUp:
        return GiveUp((), error.with_context(self.error_context), max(self.pace.delay(self.memory.polls), 1.0))

    def _delay_in_trouble(self, error: DrsError) -> float:
        base = max(self.pace.interval, 1.0)
        doubled = min(base * 2.0 ** min(self.memory.trouble_polls, 16), MAX_DELAY_IN_TROUBLE)
        jittered = doubled * (0.75 + 0.25 * self._rng())
        return max(jittered, self.pace.delay(self.memory.polls), error.retry_after or 0.0)

    def _trouble(self, error: DrsError) -> str:
        limit = self.transient_error_timeout
        until = f", giving up after {duration(limit)} without a good answer" if limit is not None else ""
        subject = "" if error.error_context else f"{self.subject}: "
        return f"{subject}{error}. Polling more slowly while this lasts{until}"

    def _unavailable(self, error: DrsError, lasted: float) -> DrsUnavailableError:
        return DrsUnavailableError(
            f"not one good answer for {duration(lasted)} ({self.memory.trouble_polls} polls), at last: {error.message}",
            error_code=error.error_code,
            error_msg=error.error_msg,
            http_status=error.http_status,
            error_context=error.error_context or self.error_context,
        )


def utc(at: float) -> str:
    """Return seconds since the epoch as UTC ISO 8601."""
    return datetime.fromtimestamp(at, UTC).isoformat()


def duration(seconds: float) -> str:
    """Return seconds in words, such as "15 minutes"."""
    whole = round(seconds)
    return pendulum.duration(seconds=whole).in_words(locale="en") if whole > 0 else "0 seconds"
