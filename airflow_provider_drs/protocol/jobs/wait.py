"""When jobs are as they should be: a state machine fed with the status and the lag of all of them at once.

Gates and job control wait with the same machine; they differ in the condition.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_drs.protocol.errors import DrsError, DrsJobNotFoundError, DrsTimeoutError, Json, one_line
from airflow_provider_drs.protocol.jobs.calls import describe_jobs
from airflow_provider_drs.protocol.jobs.query import JobsQuery
from airflow_provider_drs.protocol.jobs.replies import JobProgress, JobResult, JobState
from airflow_provider_drs.protocol.jobs.wanted import JobsCondition
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
    duration,
    info,
    utc,
)

MAX_NAMED = 5
TELL_EVERY = 60.0


@dataclass(frozen=True)
class Ready(PollResult):
    """All jobs are as they should be; ``result`` is ``{samples, first_polled_at, done_at, polls}``."""

    result: Json = field(default_factory=dict)

    def event(self) -> Json:
        """Return ``{"outcome": "ready", "result": {...}}``."""
        return {"outcome": str(Outcome.READY), "result": dict(self.result)}


@dataclass(frozen=True)
class JobsFailed(PollResult):
    """Jobs are in a status from which they will not become as they should."""

    jobs: Sequence[Json] = ()

    def event(self) -> Json:
        """Return ``{"outcome": "failed", "jobs": [{job_id, status, error_code, error_msg}]}``."""
        return {"outcome": str(Outcome.FAILED), "jobs": [dict(job) for job in self.jobs]}


@dataclass
class JobsMemory(PollMemory):
    """What a wait for jobs has seen so far.

    :param samples: polls in a row that found all jobs as they should be.
    :param failing: since when a job has had a failed status that may pass, by job and status.
    :param told_at: when a line last told how far the jobs are, seconds since the epoch; None before the first.
    :param told_lag: the largest lag by then, in seconds; None where it was not known.
    """

    samples: int = 0
    failing: dict[str, float] = field(default_factory=dict)
    told_at: float | None = None
    told_lag: float | None = None


class JobsWait(PollingWait):
    """The wait for jobs to be as they should.

    :param wanted: which jobs, and how they should be.
    :param pace: how often to poll while all is well.
    :param transient_error_timeout: seconds of trouble without one good response after which to give up; None: never.
    :param memory: what was seen before; a fresh one for a new wait.
    :param error_context: what its own errors are about, such as the connection and the jobs.
    :param tell_every: seconds between two lines that tell how the lag goes; 0: none.
    :param rng: numbers from 0 to 1, for the jitter.
    """

    memory: JobsMemory

    def __init__(
        self,
        wanted: JobsCondition,
        pace: Pace,
        *,
        transient_error_timeout: float | None = DEFAULT_TRANSIENT_ERROR_TIMEOUT,
        memory: JobsMemory | None = None,
        error_context: str = "",
        tell_every: float = TELL_EVERY,
        rng: Callable[[], float] = random.random,
    ) -> None:
        ids = wanted.job_ids
        subject = f"Job {ids[0]}" if len(ids) == 1 else f"J{describe_jobs(ids)[1:]}"
        super().__init__(
            subject,
            pace,
            memory or JobsMemory(),
            transient_error_timeout=transient_error_timeout,
            error_context=error_context,
            deadline=wanted.deadline,
            rng=rng,
        )
        self.wanted = wanted
        self.tell_every = tell_every
        self.at_last = ""  # what was still missing, for the message of a time-out

    def query(self) -> JobsQuery:
        """Return what one poll asks; waits for other jobs may join in."""
        return JobsQuery(self.wanted.job_ids, self.wanted.needs_lag)

    def take(self, replies: Sequence[Any], at: float, sent: Instant) -> PollResult:
        """Take the replies to :meth:`query`, or to one that asks about other jobs too."""
        said = [reply[job_id] for reply in replies for job_id in self.wanted.job_ids if job_id in reply]
        states = {item.job_id: item for item in said if isinstance(item, JobState)}
        progress = {item.job_id: item for item in said if isinstance(item, JobProgress)}
        if error := self._status_error(states):
            return self.failed(error, at)
        self._count(at)
        lines = self.patience.recovered(at)
        if failed := self._failed(states, at):
            return JobsFailed(tuple(lines), [vars(state) for state in failed])
        lacking = {x: self.wanted.unmet(states[x], progress.get(x)) for x in self.wanted.job_ids}
        lacking = {x: lack for x, lack in lacking.items() if lack}
        self.at_last = _named(lacking)
        self.memory.samples = 0 if lacking else self.memory.samples + 1
        done = self.memory.samples >= self.wanted.stable_samples
        changed = self._changes(states, progress, lacking, done)
        lines += changed or self._progress(progress, lacking, at)
        if changed:
            self.memory.told_at, self.memory.told_lag = at, _largest(progress)[1]
        if done:
            return Ready(tuple(lines), self._result(states, progress, at))
        if self._late(at):
            return self._too_late(lines, at, self.at_last)
        return KeepPolling(tuple(lines), self._until_deadline(self.pace.delay(self.memory.polls), at))

    def failed(self, error: DrsError, at: float) -> PollResult:
        """Take an error met at ``at`` instead of replies; samples before and after it are not in a row."""
        self.memory.samples = 0
        return super().failed(error, at)

    def _status_error(self, states: Mapping[str, JobState]) -> DrsError | None:
        """Return the error for jobs of which DRS tells no status."""
        missing = [job_id for job_id in self.wanted.job_ids if job_id not in states]
        if missing:
            return DrsJobNotFoundError(f"DRS does not list {describe_jobs(missing) if self._several else 'it'}")
        for state in states.values():
            if state.status is None and state.error_code:
                refusal = JobResult(state.job_id, False, state.error_code, state.error_msg)
                return refusal.error(
                    f"the status of {describe_jobs([state.job_id])}" if self._several else "its status"
                )
        return None

    @property
    def _several(self) -> bool:
        """Whether a message names the job: the context of an error names the only one."""
        return len(self.wanted.job_ids) > 1

    def _failed(self, states: Mapping[str, JobState], at: float) -> list[JobState]:
        """Return the jobs that have failed; a failure that may pass is none before it has stood for the grace."""
        failing = {f"{x} {states[x].status}": states[x] for x in self.wanted.job_ids}
        failing = {key: state for key, state in failing.items() if self.wanted.is_failure(state.status, at)}
        known = self.memory.failing
        self.memory.failing = {
            key: known.get(key, at) for key, state in failing.items() if self.wanted.may_recover(state.status)
        }
        since = self.memory.failing
        return [x for key, x in failing.items() if key not in since or at - since[key] >= self.wanted.failure_grace]

    def _changes(
        self,
        states: Mapping[str, JobState],
        progress: Mapping[str, JobProgress],
        lacking: Mapping[str, str],
        done: bool,
    ) -> list[LogLine]:
        key = one_line(sorted(lacking.items()), 2000) if lacking else ("done" if done else "ready")
        if self.memory.last_seen == key:
            return []
        self.memory.last_seen = key
        count = len(self.wanted.job_ids)
        if lacking:
            ready = f"{count - len(lacking)} of {count} ready, waiting for " if count > 1 else ""
            what = ready + _named(lacking) if count > 1 else next(iter(lacking.values()))
            _, lag = _largest(progress)
            if self.wanted.needs_lag and lag is not None:
                what += f"; {'largest lag' if count > 1 else 'lag'} {duration(lag)}"
        else:
            seen = sorted({state.status or "" for state in states.values()})
            what = ", ".join(seen) + (", lag within the limit" if self.wanted.needs_lag else "")
            if not done:
                what += f"; to be seen {self.wanted.stable_samples} times in a row"
        if self.memory.failing:
            what += f"; DRS may resume it by itself, which is waited for up to {duration(self.wanted.failure_grace)}"
            return [LogLine(logging.WARNING, f"{self.subject}: {what}")]
        return [info(f"{self.subject}: {what}")]

    def _progress(self, progress: Mapping[str, JobProgress], lacking: Mapping[str, str], at: float) -> list[LogLine]:
        """Return the line that tells how the lag goes, where it is time for one: not at every poll."""
        memory = self.memory
        due = memory.told_at is not None and 0 < self.tell_every <= at - memory.told_at
        if not due or not lacking or not self.wanted.needs_lag:
            return []
        job_id, lag = _largest(progress)
        count = len(self.wanted.job_ids)
        ready = f"{count - len(lacking)} of {count} ready, " if count > 1 else ""
        if lag is None:
            what = _named(lacking) if count > 1 else next(iter(lacking.values()))
        else:
            where = f" ({job_id})" if count > 1 else ""
            limit = "" if self.wanted.max_lag is None else f", limit {duration(self.wanted.max_lag)}"
            what = f"{'largest ' if count > 1 else ''}lag {duration(lag)}{where}{limit}{_trend(memory, lag, at)}"
        memory.told_at, memory.told_lag = at, lag
        return [info(f"{self.subject}: still waiting, {ready}{what}")]

    def _result(self, states: Mapping[str, JobState], progress: Mapping[str, JobProgress], at: float) -> Json:
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

    def _too_late(self, lines: Sequence[LogLine], at: float, last: str) -> GiveUp:
        targets = " or ".join(self.wanted.targets)
        text = f"{self.subject} did not become {targets} within the timeout; at last: {last}"
        return self._give_up(DrsTimeoutError(text, error_msg=last), lines)


def _largest(progress: Mapping[str, JobProgress]) -> tuple[str | None, float | None]:
    """Return the job that lags behind most, and its lag in seconds; None where no lag is known."""
    known = [(said.lag, job_id) for job_id, said in progress.items() if said.lag is not None]
    if not known:
        return None, None
    lag, job_id = max(known)
    return job_id, lag


def _trend(memory: JobsMemory, lag: float, at: float) -> str:
    before = memory.told_lag
    if before is None or memory.told_at is None:
        return ""
    way = "falling" if lag < before else "rising" if lag > before else "not changing"
    return f", {way} ({duration(before)} {duration(at - memory.told_at)} ago)"


def _named(lacking: Mapping[str, str]) -> str:
    named = [f"{job_id} ({lack})" for job_id, lack in list(lacking.items())[:MAX_NAMED]]
    return ", ".join(named) + (f" and {len(lacking) - MAX_NAMED} more" if len(lacking) > MAX_NAMED else "")
