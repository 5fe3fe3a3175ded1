"""When a wait for a switchover is over, and how long until the next poll: a state machine fed with answers and errors.

Poke loop, reschedule mode and trigger differ only in how they wait and send; what they are told is decided here.
"""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

import pendulum

from airflow_provider_drs.protocol.answers import SwitchoverReply
from airflow_provider_drs.protocol.errors import (
    DrsError,
    DrsOtherJobError,
    DrsTransientError,
    DrsUnavailableError,
    DrsUnknownStatusError,
)
from airflow_provider_drs.protocol.statuses import Meaning, meaning

SLOWEST_POLL_IN_TROUBLE = 60.0
DONE, FAILED, ERROR = "done", "failed", "error"


@dataclass(frozen=True)
class LogLine:
    """A line for the task's log; ``level`` is a number of :mod:`logging`."""

    level: int
    text: str


@dataclass(frozen=True)
class Verdict:
    """What one poll came to: wait on, or one of three ends. ``lines`` are to be logged in any case."""

    lines: tuple[LogLine, ...] = ()

    def event(self) -> dict[str, Any]:
        """Return an end as plain JSON, for the way from the triggerer to the worker."""
        raise TypeError("only the end of a wait is an event")


@dataclass(frozen=True)
class Wait(Verdict):
    """Poll again in ``delay`` seconds."""

    delay: float = 0.0


@dataclass(frozen=True)
class Done(Verdict):
    """The switchover is complete; ``result`` is the task's XCom: job_id, status, first_polled_at, done_at, polls."""

    result: Mapping[str, Any] = field(default_factory=dict)

    def event(self) -> dict[str, Any]:
        """Return ``{"outcome": "done", "result": {...}}``."""
        return {"outcome": DONE, "result": dict(self.result)}


@dataclass(frozen=True)
class SwitchoverFailed(Verdict):
    """DRS says that the switchover failed."""

    job_id: str = ""
    error_code: str | None = None
    error_msg: str | None = None

    def event(self) -> dict[str, Any]:
        """Return ``{"outcome": "failed", "switchover": {job_id, error_code, error_msg}}``."""
        switchover = {"job_id": self.job_id, "error_code": self.error_code, "error_msg": self.error_msg}
        return {"outcome": FAILED, "switchover": switchover}


@dataclass(frozen=True)
class GiveUp(Verdict):
    """The wait cannot go on; a caller who is told to carry on all the same polls again in ``delay`` seconds."""

    error: DrsError = field(default_factory=lambda: DrsError(""))
    delay: float = 0.0

    def event(self) -> dict[str, Any]:
        """Return ``{"outcome": "error", "error": {...}}``, the error as :meth:`DrsError.to_dict` writes it."""
        return {"outcome": ERROR, "error": self.error.to_dict()}


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

    def delay(self, polls: int) -> float:
        """Return the seconds from poll number ``polls`` (from 1) to the next."""
        if not self.exponential_backoff:
            return self.interval
        shortest = max(int(self.interval * 2.0 ** (min(polls, 40) - 2)), 1)
        digest = hashlib.sha1(f"{self.seed}#{polls}".encode(), usedforsecurity=False).hexdigest()
        grown = float(shortest + int(digest, 16) % shortest)
        return grown if self.max_wait is None else min(grown, self.max_wait)


@dataclass
class Memory:
    """What a wait has seen so far, as plain JSON, so that reschedule mode can carry it from one process to the next.

    :param polls: polls made.
    :param first_polled_at: seconds since the epoch; None before the first.
    :param last_seen: the status last seen ("" for none yet), None before the first good answer.
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
    def from_dict(cls, data: Mapping[str, Any]) -> Memory:
        """Rebuild what :meth:`to_dict` wrote; fields of other versions are passed over."""
        return cls(**{f.name: data[f.name] for f in fields(cls) if f.name in data})


class SwitchoverWait:
    """The wait for one job's switchover.

    :param job_id: the job.
    :param pace: how often to poll while all is well.
    :param verify_job_id: fail when the answer is about another job.
    :param transient_error_timeout: seconds of trouble without one good answer after which to give up; None: never.
    :param memory: what was seen before; a fresh one for a new wait.
    :param where: what its own errors are about, such as the connection and the job.
    :param chance: numbers from 0 to 1, for the jitter.
    """

    def __init__(
        self,
        job_id: str,
        pace: Pace,
        *,
        verify_job_id: bool = True,
        transient_error_timeout: float | None = 900.0,
        memory: Memory | None = None,
        where: str = "",
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.job_id = job_id
        self.pace = pace
        self.verify_job_id = verify_job_id
        self.transient_error_timeout = transient_error_timeout
        self.memory = memory or Memory()
        self._where = where
        self._chance = chance

    def answered(self, reply: SwitchoverReply, at: float) -> Verdict:
        """Take a good answer that came at ``at`` (seconds since the epoch)."""
        self._count(at)
        what = meaning(reply.status)
        if self.verify_job_id and reply.job_id != self.job_id and (reply.job_id is not None or reply.status):
            return self._broken(self._other_job(reply))
        if what is Meaning.UNKNOWN:
            return self._broken(DrsUnknownStatusError(f"answered the status {reply.status!r}, which is not documented"))
        lines = self._recovered(at)
        seen = reply.status or ""
        if self.memory.last_seen != seen:
            self.memory.last_seen = seen
            lines.append(LogLine(logging.INFO, self._seen(what, reply)))
        if what is Meaning.DONE:
            return Done(tuple(lines), self._result(reply, at))
        if what is Meaning.FAILED:
            return SwitchoverFailed(tuple(lines), self.job_id, reply.error_code, reply.error_msg)
        return Wait(tuple(lines), self.pace.delay(self.memory.polls))

    def failed(self, error: DrsError, at: float) -> Verdict:
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
            return Wait(lines, delay)
        if lasted >= limit:
            return GiveUp(lines, self._unavailable(error, lasted), delay)
        if error.retry_after is None:
            delay = min(delay, limit - lasted)
        return Wait(lines, delay)

    def _count(self, at: float) -> None:
        self.memory.polls += 1
        if self.memory.first_polled_at is None:
            self.memory.first_polled_at = at

    def _delay_in_trouble(self, error: DrsError) -> float:
        base = max(self.pace.interval, 1.0)
        doubled = min(base * 2.0 ** min(self.memory.trouble_polls, 16), SLOWEST_POLL_IN_TROUBLE)
        jittered = doubled * (0.75 + 0.25 * self._chance())
        return max(jittered, self.pace.delay(self.memory.polls), error.retry_after or 0.0)

    def _broken(self, error: DrsError) -> GiveUp:
        return GiveUp((), error.about(self._where), max(self.pace.delay(self.memory.polls), 1.0))

    def _recovered(self, at: float) -> list[LogLine]:
        memory = self.memory
        if memory.trouble_since is None:
            return []
        lasted, polls = at - memory.trouble_since, memory.trouble_polls
        memory.trouble_since, memory.trouble_polls = None, 0
        text = f"DRS answers again about job {self.job_id}, after {duration(lasted)} and {polls} failed poll(s)"
        return [LogLine(logging.INFO, text)]

    def _seen(self, what: Meaning, reply: SwitchoverReply) -> str:
        if what is Meaning.NOT_BEGUN:
            return f"Job {self.job_id}: no switchover yet; waiting for one"
        return f"Job {self.job_id}: switchover {what.value} ({reply.status})"

    def _trouble(self, error: DrsError) -> str:
        limit = self.transient_error_timeout
        until = f", giving up after {duration(limit)} without a good answer" if limit is not None else ""
        about = "" if error.where else f"Job {self.job_id}: "
        return f"{about}{error}. Polling more slowly while this lasts{until}"

    def _unavailable(self, error: DrsError, lasted: float) -> DrsUnavailableError:
        return DrsUnavailableError(
            f"not one good answer for {duration(lasted)} ({self.memory.trouble_polls} polls), at last: {error.message}",
            error_code=error.error_code,
            error_msg=error.error_msg,
            http_status=error.http_status,
            where=error.where or self._where,
        )

    def _other_job(self, reply: SwitchoverReply) -> DrsOtherJobError:
        answer = f"about job {reply.job_id!r}" if reply.job_id is not None else "without a job id"
        return DrsOtherJobError(f"asked about job {self.job_id!r}, DRS answered {answer} (status {reply.status!r})")

    def _result(self, reply: SwitchoverReply, at: float) -> dict[str, Any]:
        return {
            "job_id": self.job_id,
            "status": reply.status,
            "first_polled_at": utc(at if self.memory.first_polled_at is None else self.memory.first_polled_at),
            "done_at": utc(at),
            "polls": self.memory.polls,
        }


def utc(at: float) -> str:
    """Return seconds since the epoch as UTC ISO 8601."""
    return datetime.fromtimestamp(at, UTC).isoformat()


def duration(seconds: float) -> str:
    """Return seconds in words, such as "15 minutes"."""
    whole = round(seconds)
    return pendulum.duration(seconds=whole).in_words(locale="en") if whole > 0 else "0 seconds"
