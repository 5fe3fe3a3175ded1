"""When a wait for a switchover is over: a state machine fed with answers and errors.

Poke loop, reschedule mode and trigger differ only in how they wait and send; what they are told is decided here.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_drs.protocol.errors import DrsError, DrsJobMismatchError, DrsUnknownStatusError
from airflow_provider_drs.protocol.jobs.query import CallQuery
from airflow_provider_drs.protocol.polling import (
    ERROR,
    GiveUp,
    KeepPolling,
    LogLine,
    Pace,
    PollingWait,
    PollMemory,
    PollResult,
    duration,
    utc,
)
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply, get_switchover_status
from airflow_provider_drs.protocol.switchover.freshness import Confidence, Freshness
from airflow_provider_drs.protocol.switchover.status import SwitchoverState, switchover_state

__all__ = [
    "DONE",
    "ERROR",
    "FAILED",
    "UNDECIDED",
    "Done",
    "GiveUp",
    "KeepPolling",
    "LogLine",
    "Memory",
    "Pace",
    "PollResult",
    "SwitchoverFailed",
    "SwitchoverWait",
    "Undecided",
    "duration",
    "utc",
]  # fmt: skip

DONE, FAILED, UNDECIDED = "done", "failed", "undecided"
FAST_POLL = 1.0
MAX_OBSERVED = 100


@dataclass(frozen=True)
class Done(PollResult):
    """The switchover is complete; ``result`` is the sensor's XCom: job_id, status, first_polled_at, done_at, polls."""

    result: Mapping[str, Any] = field(default_factory=dict)
    seen: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def event(self) -> dict[str, Any]:
        """Return ``{"outcome": "done", "result": {...}, "seen": {...}}``."""
        return {"outcome": DONE, "result": dict(self.result), "seen": dict(self.seen)}


@dataclass(frozen=True)
class SwitchoverFailed(PollResult):
    """DRS says that the switchover failed."""

    job_id: str = ""
    error_code: str | None = None
    error_msg: str | None = None
    seen: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def event(self) -> dict[str, Any]:
        """Return ``{"outcome": "failed", "switchover": {job_id, error_code, error_msg}, "seen": {...}}``."""
        switchover = {"job_id": self.job_id, "error_code": self.error_code, "error_msg": self.error_msg}
        return {"outcome": FAILED, "switchover": switchover, "seen": dict(self.seen)}


@dataclass(frozen=True)
class Undecided(PollResult):
    """Whether the switchover took place cannot be told; ``reason`` says what stands against it."""

    reason: str = ""
    seen: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def event(self) -> dict[str, Any]:
        """Return ``{"outcome": "undecided", "reason": "...", "seen": {...}}``."""
        return {"outcome": UNDECIDED, "reason": self.reason, "seen": dict(self.seen)}


@dataclass
class Memory(PollMemory):
    """What a wait for a switchover has seen so far.

    :param observed: each change of the status: ``{"status", "at"}``, the time in UTC, ISO 8601.
    :param last_good_at: when the last good answer came, seconds since the epoch.
    :param started: SWITCH_VIP_START was seen.
    """

    observed: list[dict[str, Any]] = field(default_factory=list)
    last_good_at: float | None = None
    started: bool = False


class SwitchoverWait(PollingWait):
    """The wait for one job's switchover.

    :param job_id: the job.
    :param pace: how often to poll while all is well.
    :param verify_job_id: fail when the answer is about another job.
    :param transient_error_timeout: seconds of trouble without one good answer after which to give up; None: never.
    :param memory: what was seen before; a fresh one for a new wait.
    :param error_context: what its own errors are about, such as the connection and the job.
    :param freshness: which switchover is meant; None: any, the first final status counts.
    :param fast: poll every second until the start of the switchover that is meant is seen.
    :param deadline: seconds since the epoch after which the outcome is undecided; None: never.
    :param rng: numbers from 0 to 1, for the jitter.
    """

    memory: Memory

    def __init__(
        self,
        job_id: str,
        pace: Pace,
        *,
        verify_job_id: bool = True,
        transient_error_timeout: float | None = 900.0,
        memory: Memory | None = None,
        error_context: str = "",
        freshness: Freshness | None = None,
        fast: bool = True,
        deadline: float | None = None,
        rng: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(
            f"Job {job_id}",
            pace,
            memory or Memory(),
            transient_error_timeout=transient_error_timeout,
            error_context=error_context,
            rng=rng,
        )
        self.job_id = job_id
        self.verify_job_id = verify_job_id
        self.freshness = freshness
        self.fast = fast
        self.deadline = deadline
        self._question: CallQuery | None = None
        if freshness is not None and self.memory.started:
            freshness.started = True

    def query(self) -> CallQuery:
        """Return what a poll asks: the same each time, and shared by all waits for this job."""
        if self._question is None:
            self._question = CallQuery(get_switchover_status(self.job_id))
        return self._question

    def take(self, replies: Sequence[Any], at: float, asked_at: float) -> PollResult:
        """Take the replies to :meth:`question`."""
        return self.answered(replies[0], at, asked_at)

    def answered(self, reply: SwitchoverReply, at: float, asked_at: float | None = None) -> PollResult:
        """Take a good answer.

        :param at: when it came, seconds since the epoch.
        :param asked_at: when the request went out; None: the same.
        """
        self._count(at)
        what = switchover_state(reply.status)
        if self.verify_job_id and reply.job_id != self.job_id and (reply.job_id is not None or reply.status):
            return self._broken(self._other_job(reply))
        if what is SwitchoverState.UNKNOWN:
            return self._broken(DrsUnknownStatusError(f"answered the status {reply.status!r}, which is not documented"))
        lines = self._recovered(at)
        trust = self._judge(reply, at if asked_at is None else asked_at)
        lines += self._changes(what, reply, at, trust)
        end = self._end(what, reply, at, trust, tuple(lines))
        self.memory.last_good_at = at
        return end or KeepPolling(tuple(lines), self._delay(at))

    def _end(
        self, what: SwitchoverState, reply: SwitchoverReply, at: float, trust: Confidence, lines: tuple[LogLine, ...]
    ) -> PollResult | None:
        if trust is Confidence.FRESH and what is SwitchoverState.DONE:
            return Done(lines, self._result(reply, at), self._seen(reply, at))
        if trust is Confidence.FRESH and what is SwitchoverState.FAILED:
            return SwitchoverFailed(lines, self.job_id, reply.error_code, reply.error_msg, self._seen(reply, at))
        if trust is Confidence.UNDECIDABLE:
            return Undecided(lines, self._nothing_seen(reply), self._seen(reply, at))
        if self.deadline is not None and at >= self.deadline:
            told = f"no end within the time-out, DRS says {reply.status or 'nothing'}"
            return Undecided(lines, told, self._seen(reply, at))
        return None

    def _judge(self, reply: SwitchoverReply, asked_at: float) -> Confidence:
        if self.freshness is None:
            return Confidence.FRESH
        return self.freshness.judge(reply.status, asked_at, names_job=reply.job_id is not None)

    def failed(self, error: DrsError, at: float) -> PollResult:
        """Take an error met at ``at`` instead of an answer; past the deadline that is an end too."""
        verdict = super().failed(error, at)
        if isinstance(verdict, GiveUp):
            return replace(verdict, observed=tuple(self.memory.observed))
        if self.deadline is None or not isinstance(verdict, KeepPolling):
            return verdict
        if at < self.deadline:
            return replace(verdict, delay=min(verdict.delay, self.deadline - at))
        reason = f"no end within the time-out, and no good answer at its end: {error.message}"
        return Undecided(
            verdict.lines, reason, self._seen(SwitchoverReply(self.job_id, self.memory.last_seen or None), at)
        )

    def _delay(self, at: float) -> float:
        delay = self.pace.delay(self.memory.polls)
        if self.freshness is not None and self.fast and not self.memory.started:
            # A short START between two polls would be missed, and with it what tells a new result from an old one.
            delay = min(delay, FAST_POLL)
        return delay if self.deadline is None else min(delay, max(self.deadline - at, 0.0))

    def _changes(self, what: SwitchoverState, reply: SwitchoverReply, at: float, trust: Confidence) -> list[LogLine]:
        memory, status = self.memory, reply.status or ""
        memory.started = memory.started or what is SwitchoverState.RUNNING
        if memory.last_seen == status:
            return []
        memory.last_seen = status
        if len(memory.observed) < MAX_OBSERVED:
            memory.observed.append({"status": reply.status, "at": utc(at)})
        if what is SwitchoverState.NOT_BEGUN:
            return [LogLine(logging.INFO, f"{self.subject}: no switchover yet; waiting for one")]
        left_over = what is not SwitchoverState.RUNNING and trust is not Confidence.FRESH
        text = "still shows the result from before" if left_over else f"switchover {what.value}"
        return [LogLine(logging.INFO, f"{self.subject}: {text} ({reply.status})")]

    def _nothing_seen(self, reply: SwitchoverReply) -> str:
        assert self.freshness is not None  # noqa: S101 - only a freshness finds a status undecidable
        accepted = "DRS accepted it" if self.freshness.accepted_at is not None else "DRS's answer to it was lost"
        return f"{accepted}, and the status has stood at {reply.status or 'nothing'} as before, with no START between"

    def _other_job(self, reply: SwitchoverReply) -> DrsJobMismatchError:
        answer = f"about job {reply.job_id!r}" if reply.job_id is not None else "without a job id"
        return DrsJobMismatchError(f"asked about job {self.job_id!r}, DRS answered {answer} (status {reply.status!r})")

    def _seen(self, reply: SwitchoverReply, at: float) -> dict[str, Any]:
        """Return what an end rests on: the last status, all changes, and the times."""
        before = self.memory.last_good_at
        return {
            "status": reply.status,
            "error_code": reply.error_code,
            "error_msg": reply.error_msg,
            "observed": list(self.memory.observed),
            "at": at,
            "detection": None if before is None else at - before,
        }

    def _result(self, reply: SwitchoverReply, at: float) -> dict[str, Any]:
        return {
            "job_id": self.job_id,
            "status": reply.status,
            "first_polled_at": utc(at if self.memory.first_polled_at is None else self.memory.first_polled_at),
            "done_at": utc(at),
            "polls": self.memory.polls,
        }
