"""When a wait for a switchover is over: a state machine fed with replies and errors.

Poke loop, reschedule mode and trigger differ only in how they wait and send; what they are told is decided here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_drs.protocol.errors import DrsError, DrsJobMismatchError, DrsUnknownStatusError, Json
from airflow_provider_drs.protocol.jobs.query import CallQuery
from airflow_provider_drs.protocol.polling import (
    DEFAULT_TRANSIENT_ERROR_TIMEOUT,
    GiveUp,
    Instant,
    KeepPolling,
    LogLine,
    Outcome,
    Pace,
    PollingWait,
    PollMemory,
    PollResult,
    info,
    utc,
)
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply, get_switchover_status
from airflow_provider_drs.protocol.switchover.freshness import CONFIRM_AFTER, Confidence, Freshness
from airflow_provider_drs.protocol.switchover.status import SwitchoverState, switchover_state

FAST_POLL = 1.0
MAX_OBSERVED = 100


@dataclass(frozen=True)
class Done(PollResult):
    """The switchover is complete; ``result`` is the sensor's XCom: job_id, status, first_polled_at, done_at, polls."""

    result: Json = field(default_factory=dict)
    seen: Json = field(default_factory=dict, compare=False)

    def event(self) -> Json:
        """Return ``{"outcome": "done", "result": {...}, "seen": {...}}``."""
        return {"outcome": str(Outcome.DONE), "result": dict(self.result), "seen": dict(self.seen)}


@dataclass(frozen=True)
class SwitchoverFailed(PollResult):
    """DRS says that the switchover failed."""

    job_id: str = ""
    error_code: str | None = None
    error_msg: str | None = None
    seen: Json = field(default_factory=dict, compare=False)

    def event(self) -> Json:
        """Return ``{"outcome": "failed", "switchover": {job_id, error_code, error_msg}, "seen": {...}}``."""
        switchover = {"job_id": self.job_id, "error_code": self.error_code, "error_msg": self.error_msg}
        return {"outcome": str(Outcome.FAILED), "switchover": switchover, "seen": dict(self.seen)}


@dataclass(frozen=True)
class Undecided(PollResult):
    """It cannot be told whether the switchover took place; ``reason`` says why."""

    reason: str = ""
    seen: Json = field(default_factory=dict, compare=False)

    def event(self) -> Json:
        """Return ``{"outcome": "undecided", "reason": "...", "seen": {...}}``."""
        return {"outcome": str(Outcome.UNDECIDED), "reason": self.reason, "seen": dict(self.seen)}


@dataclass
class SwitchoverMemory(PollMemory):
    """What a wait for a switchover has seen so far.

    :param observed: each change of the status: ``{"status", "at"}``, the time in UTC, ISO 8601.
    :param last_good_at: when the last good response came, seconds since the epoch.
    :param started: SWITCH_VIP_START was seen.
    :param progress: what the freshness rule has seen so far; None where any switchover counts.
    """

    observed: list[Json] = field(default_factory=list)
    last_good_at: float | None = None
    started: bool = False
    progress: Json | None = None


class SwitchoverWait(PollingWait):
    """The wait for one job's switchover.

    :param job_id: the job.
    :param pace: how often to poll while all is well.
    :param verify_job_id: fail when the response is about another job.
    :param transient_error_timeout: seconds of trouble without one good response after which to give up; None: never.
    :param memory: what was seen before; a fresh one for a new wait.
    :param error_context: what its own errors are about, such as the connection and the job.
    :param freshness: which switchover is meant; None: any, the first final status counts.
    :param fast: poll every second until the start of the switchover that is meant is seen.
    :param deadline: seconds since the epoch after which the outcome is undecided; None: never.
    :param rng: numbers from 0 to 1, for the jitter.
    """

    memory: SwitchoverMemory

    def __init__(
        self,
        job_id: str,
        pace: Pace,
        *,
        verify_job_id: bool = True,
        transient_error_timeout: float | None = DEFAULT_TRANSIENT_ERROR_TIMEOUT,
        memory: SwitchoverMemory | None = None,
        error_context: str = "",
        freshness: Freshness | None = None,
        fast: bool = True,
        deadline: float | None = None,
        rng: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(
            f"Job {job_id}",
            pace,
            memory or SwitchoverMemory(),
            transient_error_timeout=transient_error_timeout,
            error_context=error_context,
            deadline=deadline,
            rng=rng,
        )
        self.job_id = job_id
        self.verify_job_id = verify_job_id
        self.freshness = freshness
        self.fast = fast
        self._query: CallQuery | None = None
        if self.freshness is not None and self.memory.progress:
            self.freshness = Freshness.from_dict({**self.freshness.to_dict(), **self.memory.progress})
        elif self.freshness is not None and self.memory.started:  # up to 0.2
            self.freshness.started = True

    def query(self) -> CallQuery:
        """Return what a poll asks: the same each time, and shared by all waits for this job."""
        if self._query is None:
            self._query = CallQuery(get_switchover_status(self.job_id))
        return self._query

    def take(self, replies: Sequence[Any], at: float, sent: Instant) -> PollResult:
        """Take the reply to :meth:`query`.

        :param at: when it came, seconds since the epoch.
        :param sent: when the request went out.
        """
        reply: SwitchoverReply = replies[0]
        self._count(at)
        if self.verify_job_id and is_about_another_job(reply, self.job_id):
            return self._give_up(job_mismatch(reply, self.job_id))
        state = switchover_state(reply.status)
        if state is SwitchoverState.UNKNOWN:
            text = f"responded with the status {reply.status!r}, which is not documented"
            return self._give_up(DrsUnknownStatusError(": ".join(x for x in (text, reply.error_msg) if x)))
        lines = self.patience.recovered(at)
        confidence = self._judge(reply, sent)
        lines += self._changes(state, reply, at, confidence)
        if confidence is Confidence.UNCONFIRMED:
            result: PollResult = KeepPolling(tuple(lines), CONFIRM_AFTER, stay=True)
        else:
            end = self._end(state, reply, at, confidence, tuple(lines))
            result = end or KeepPolling(tuple(lines), self._delay(at))
        self.memory.last_good_at = at
        return result

    def failed(self, error: DrsError, at: float) -> PollResult:
        """Take an error met at ``at`` instead of a reply; what was observed before is in a bad end too."""
        result = super().failed(error, at)
        if isinstance(result, GiveUp):
            return replace(result, observed=tuple(self.memory.observed))
        return result

    def _too_late(
        self, lines: Sequence[LogLine], at: float, last: str, reply: SwitchoverReply | None = None
    ) -> Undecided:
        reply = reply or SwitchoverReply(self.job_id, self.memory.last_seen or None)
        return Undecided(tuple(lines), f"no end within the timeout, {last}", self._seen(reply, at))

    def _end(
        self,
        state: SwitchoverState,
        reply: SwitchoverReply,
        at: float,
        confidence: Confidence,
        lines: tuple[LogLine, ...],
    ) -> PollResult | None:
        if confidence is Confidence.FRESH and state is SwitchoverState.DONE:
            return Done(lines, self._result(reply, at), self._seen(reply, at))
        if confidence is Confidence.FRESH and state is SwitchoverState.FAILED:
            return SwitchoverFailed(lines, self.job_id, reply.error_code, reply.error_msg, self._seen(reply, at))
        if confidence is Confidence.UNDECIDABLE and self.freshness is not None:
            return Undecided(lines, self.freshness.why, self._seen(reply, at))
        if self._late(at):
            return self._too_late(lines, at, f"DRS says {reply.status or 'nothing'}", reply)
        return None

    def _judge(self, reply: SwitchoverReply, sent: Instant) -> Confidence:
        if self.freshness is None:
            return Confidence.FRESH
        interval = self.pace.delay(self.memory.polls)
        confidence = self.freshness.judge(reply.status, sent, names_job=reply.job_id is not None, interval=interval)
        self.memory.progress = self.freshness.progress()
        return confidence

    def _delay(self, at: float) -> float:
        delay = self.pace.delay(self.memory.polls)
        if self.freshness is not None and self.fast and not self.freshness.started:
            # A START shorter than the interval would be missed, and with it what tells a new result from an old one.
            delay = min(delay, FAST_POLL)
        return self._until_deadline(delay, at)

    def _changes(
        self, state: SwitchoverState, reply: SwitchoverReply, at: float, confidence: Confidence
    ) -> list[LogLine]:
        memory, status = self.memory, reply.status or ""
        memory.started = memory.started or state is SwitchoverState.RUNNING
        if memory.last_seen == status:
            return []
        memory.last_seen = status
        if len(memory.observed) >= MAX_OBSERVED:  # the first changes tell most, and the last
            del memory.observed[MAX_OBSERVED // 2]
        memory.observed.append({"status": reply.status, "at": utc(at)})
        if state is SwitchoverState.NOT_BEGUN:
            return [info(f"{self.subject}: no switchover yet; waiting for one")]
        ours = confidence in (Confidence.FRESH, Confidence.UNCONFIRMED)
        left_over = state is not SwitchoverState.RUNNING and not ours
        text = "still shows the result from before" if left_over else f"switchover {state.value}"
        return [info(f"{self.subject}: {text} ({reply.status})")]

    def _seen(self, reply: SwitchoverReply, at: float) -> Json:
        """Return what an end rests on: the last status, all changes, and the times."""
        before = self.memory.last_good_at
        return {
            "status": reply.status,
            "error_code": reply.error_code,
            "error_msg": reply.error_msg,
            "observed": list(self.memory.observed),
            "at": at,
            "progress": self.memory.progress,
            "detection": None if before is None else at - before,
        }

    def _result(self, reply: SwitchoverReply, at: float) -> Json:
        return {
            "job_id": self.job_id,
            "status": reply.status,
            "first_polled_at": utc(at if self.memory.first_polled_at is None else self.memory.first_polled_at),
            "done_at": utc(at),
            "polls": self.memory.polls,
        }


def is_about_another_job(reply: SwitchoverReply, job_id: str) -> bool:
    """Tell whether a reply is not about ``job_id``; one that tells a status must name its job."""
    return reply.job_id != job_id and (reply.job_id is not None or bool(reply.status))


def job_mismatch(reply: SwitchoverReply, job_id: str, error_context: str = "") -> DrsJobMismatchError:
    """Return the error for a reply about another job."""
    response = f"about job {reply.job_id!r}" if reply.job_id is not None else "without a job id"
    text = f"asked about job {job_id!r}, DRS responded {response} (status {reply.status!r})"
    return DrsJobMismatchError(text, error_context=error_context)
