"""When tasks are as they should be: a state machine fed with the status and the lag of all of them at once.

Gates and job control wait with the same machine; they differ in what they want.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from random import random
from typing import Any

from airflow_provider_drs.protocol.errors import DrsArgumentError, DrsError, DrsJobNotFoundError, one_line
from airflow_provider_drs.protocol.http.request import Call
from airflow_provider_drs.protocol.jobs.calls import describe_jobs
from airflow_provider_drs.protocol.jobs.query import JobsQuery
from airflow_provider_drs.protocol.jobs.replies import JobProgress, JobResult, JobState
from airflow_provider_drs.protocol.polling import (
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
from airflow_provider_drs.protocol.switchover.status import FAILED_JOB_STATUSES, STOPPED_JOB_STATUSES, job_status

READY, FAILED = "ready", "failed"
MAX_NAMED = 5


@dataclass(frozen=True)
class JobsCondition:
    """How tasks should be. Plain JSON apart from its tuples.

    :param job_ids: the tasks.
    :param targets: the statuses each may be in.
    :param failures: the statuses that end the wait as failed; one that is a target too does not.
    :param needs_lag: the lag must be known.
    :param max_lag: seconds it may be at most; None: any lag that is known.
    :param stable_samples: polls in a row that must find all tasks so.
    :param passing_status: a failure that is not one until ``passing_until``, seconds since the epoch: a task that is
        resumed shows for a while what it failed of before.
    :param deadline: seconds since the epoch after which to give up; None: never.
    """

    job_ids: tuple[str, ...]
    targets: tuple[str, ...]
    failures: tuple[str, ...] = ()
    needs_lag: bool = False
    max_lag: float | None = None
    stable_samples: int = 1
    passing_status: str | None = None
    passing_until: float = 0.0
    deadline: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: [str(x) for x in value] if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> JobsCondition:
        """Rebuild what :meth:`to_dict` wrote; fields of other versions are passed over."""
        known = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        tuples: dict[str, Any] = {x: tuple(value) for x, value in known.items() if isinstance(value, list)}
        return cls(**(known | tuples))

    def unmet(self, state: JobState, progress: JobProgress | None) -> str:
        """Return what keeps a task from being as it should, in words that change only with it; "" for nothing."""
        if state.status not in self.targets:
            return state.status or "no status"
        if not self.needs_lag:
            return ""
        lag = progress.lag if progress else None
        if lag is None:
            return "lag not known"
        if self.max_lag is not None and lag > self.max_lag:
            return f"lag over {duration(self.max_lag)}"
        return ""

    def is_failure(self, status: str | None, at: float) -> bool:
        """Tell whether ``status`` ends the wait as failed."""
        if status not in self.failures or status in self.targets:
            return False
        return status != self.passing_status or at >= self.passing_until


@dataclass(frozen=True)
class Ready(PollResult):
    """All tasks are as they should be; ``result`` is ``{samples, first_polled_at, done_at, polls}``."""

    result: Mapping[str, Any] = field(default_factory=dict)

    def event(self) -> dict[str, Any]:
        """Return ``{"outcome": "ready", "result": {...}}``."""
        return {"outcome": READY, "result": dict(self.result)}


@dataclass(frozen=True)
class JobsFailed(PollResult):
    """Tasks are in a status from which they will not become as they should."""

    jobs: Sequence[Mapping[str, Any]] = ()

    def event(self) -> dict[str, Any]:
        """Return ``{"outcome": "failed", "jobs": [{job_id, status, error_code, error_msg}]}``."""
        return {"outcome": FAILED, "jobs": [dict(job) for job in self.jobs]}


@dataclass
class JobsMemory(PollMemory):
    """What a wait for tasks has seen so far.

    :param samples: polls in a row that found all tasks as they should be.
    """

    samples: int = 0


class JobsWait(PollingWait):
    """The wait for tasks to be as they should.

    :param wanted: which tasks, and how they should be.
    :param pace: how often to poll while all is well.
    :param transient_error_timeout: seconds of trouble without one good answer after which to give up; None: never.
    :param memory: what was seen before; a fresh one for a new wait.
    :param error_context: what its own errors are about, such as the connection and the jobs.
    :param rng: numbers from 0 to 1, for the jitter.
    """

    memory: JobsMemory

    def __init__(
        self,
        wanted: JobsCondition,
        pace: Pace,
        *,
        transient_error_timeout: float | None = 900.0,
        memory: JobsMemory | None = None,
        error_context: str = "",
        rng: Callable[[], float] = random,
    ) -> None:
        ids = wanted.job_ids
        subject = f"Job {ids[0]}" if len(ids) == 1 else f"J{describe_jobs(ids)[1:]}"
        super().__init__(
            subject,
            pace,
            memory or JobsMemory(),
            transient_error_timeout=transient_error_timeout,
            error_context=error_context,
            rng=rng,
        )
        self.wanted = wanted

    def calls(self) -> list[Call[Any]]:
        """Return what one poll asks: the status, and where it matters the lag, of up to 100 tasks a call."""
        return self.query().calls()

    def query(self) -> JobsQuery:
        """Return what one poll asks; waits for other tasks may join in."""
        return JobsQuery(self.wanted.job_ids, self.wanted.needs_lag)

    def take(self, replies: Sequence[Any], at: float, asked_at: float) -> PollResult:
        """Take the replies to :meth:`question`, or to one that asks about other tasks too."""
        return self.answered(replies, at)

    def answered(self, replies: Sequence[Mapping[str, JobState | JobProgress]], at: float) -> PollResult:
        """Take the replies to :meth:`calls`, the last of which came at ``at`` (seconds since the epoch)."""
        said = [reply[job_id] for reply in replies for job_id in self.wanted.job_ids if job_id in reply]
        states = {item.job_id: item for item in said if isinstance(item, JobState)}
        progress = {item.job_id: item for item in said if isinstance(item, JobProgress)}
        if error := self._not_told(states):
            return self.failed(error, at)
        self._count(at)
        lines = self._recovered(at)
        failed = [states[x] for x in self.wanted.job_ids if self.wanted.is_failure(states[x].status, at)]
        if failed:
            return JobsFailed(tuple(lines), [vars(state) for state in failed])
        lacking = {x: self.wanted.unmet(states[x], progress.get(x)) for x in self.wanted.job_ids}
        lacking = {x: lack for x, lack in lacking.items() if lack}
        self.memory.samples = 0 if lacking else self.memory.samples + 1
        done = self.memory.samples >= self.wanted.stable_samples
        lines += self._changes(states, lacking, done)
        if done:
            return Ready(tuple(lines), self._result(states, progress, at))
        if self._late(at):
            return GiveUp(tuple(lines), self._too_late(_named(lacking)))
        return KeepPolling(tuple(lines), self._until_deadline(self.pace.delay(self.memory.polls), at))

    def failed(self, error: DrsError, at: float) -> PollResult:
        """Take an error met at ``at`` instead of replies; samples before and after it are not in a row."""
        self.memory.samples = 0
        verdict = super().failed(error, at)
        if not isinstance(verdict, KeepPolling):
            return verdict
        if self._late(at):
            return GiveUp(verdict.lines, self._too_late(f"no good answer at its end: {error.message}"))
        return KeepPolling(verdict.lines, self._until_deadline(verdict.delay, at))

    def _not_told(self, states: Mapping[str, JobState]) -> DrsError | None:
        """Return the error for tasks of which DRS tells no status."""
        missing = [job_id for job_id in self.wanted.job_ids if job_id not in states]
        if missing:
            return DrsJobNotFoundError(f"DRS does not list {describe_jobs(missing)}")
        for state in states.values():
            if state.status is None and state.error_code:
                refusal = JobResult(state.job_id, False, state.error_code, state.error_msg)
                return refusal.error(f"the status of {describe_jobs([state.job_id])}")
        return None

    def _changes(self, states: Mapping[str, JobState], lacking: Mapping[str, str], done: bool) -> list[LogLine]:
        key = one_line(sorted(lacking.items()), 2000) if lacking else ("done" if done else "ready")
        if self.memory.last_seen == key:
            return []
        self.memory.last_seen = key
        count = len(self.wanted.job_ids)
        if lacking:
            ready = f"{count - len(lacking)} of {count} ready, waiting for " if count > 1 else ""
            what = ready + _named(lacking) if count > 1 else next(iter(lacking.values()))
        else:
            seen = sorted({state.status or "" for state in states.values()})
            what = ", ".join(seen) + (", lag within the limit" if self.wanted.needs_lag else "")
            if not done:
                what += f"; to be seen {self.wanted.stable_samples} times in a row"
        return [LogLine(logging.INFO, f"{self.subject}: {what}")]

    def _result(self, states: Mapping[str, JobState], progress: Mapping[str, JobProgress], at: float) -> dict[str, Any]:
        lags = {job_id: said.lag for job_id, said in progress.items()}
        first = self.memory.first_polled_at
        return {
            "samples": {
                x: {"status": states[x].status, "lag": lags.get(x), "at": utc(at)} for x in self.wanted.job_ids
            },
            "first_polled_at": utc(at if first is None else first),
            "done_at": utc(at),
            "polls": self.memory.polls,
        }

    def _late(self, at: float) -> bool:
        return self.wanted.deadline is not None and at >= self.wanted.deadline

    def _until_deadline(self, delay: float, at: float) -> float:
        return delay if self.wanted.deadline is None else min(delay, max(self.wanted.deadline - at, 0.0))

    def _too_late(self, last: str) -> DrsError:
        targets = " or ".join(self.wanted.targets)
        return DrsError(
            f"{self.subject} did not become {targets} within the time-out; at last {last}",
            error_context=self.error_context,
        )


def lag_limit(value: object) -> float | None:
    """Return ``max_lag`` in seconds, as it came out of a template; None for no limit.

    :raises DrsArgumentError: it is no timedelta and no number of seconds from 0 on.
    """
    if value is None or value == "None":  # what a template makes of None
        return None
    if isinstance(value, timedelta):
        value = value.total_seconds()
    number = math.nan
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            number = float(value)
    if not math.isfinite(number) or number < 0:
        raise DrsArgumentError(f"max_lag must be seconds or a timedelta, at least 0, not {one_line(repr(value), 80)}")
    return number


def checked_statuses(name: str, value: object) -> tuple[str, ...]:
    """Return statuses in the one spelling; a string is one or, with commas, several.

    :raises DrsArgumentError: there is none, or one is no text.
    """
    given = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    listed = list(given) if isinstance(given, (list, tuple, set, frozenset)) else []
    if not listed or not all(isinstance(status, str) and status for status in listed):
        raise DrsArgumentError(f"{name} must be one or more task statuses, not {one_line(repr(value), 80)}")
    return tuple(dict.fromkeys(job_status(str(status)) for status in listed))


def usual_failures(targets: Sequence[str]) -> tuple[str, ...]:
    """Return the statuses that end a wait for ``targets``: the failed ones, and the stopped unless wanted."""
    stops = STOPPED_JOB_STATUSES.intersection(targets)
    return tuple(sorted(FAILED_JOB_STATUSES | (frozenset() if stops else STOPPED_JOB_STATUSES)))


def _named(lacking: Mapping[str, str]) -> str:
    named = [f"{job_id} ({lack})" for job_id, lack in list(lacking.items())[:MAX_NAMED]]
    return ", ".join(named) + (f" and {len(lacking) - MAX_NAMED} more" if len(lacking) > MAX_NAMED else "")
