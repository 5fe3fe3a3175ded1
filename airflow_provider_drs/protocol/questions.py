"""What one poll of a wait asks, and which waits can be told by the same answer."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_drs.protocol.calls import Call
from airflow_provider_drs.protocol.errors import DrsError, DrsPermissionError, DrsRequestError
from airflow_provider_drs.protocol.job_calls import MOST_JOBS, batch_progress, batch_status, in_batches


@dataclass(frozen=True, slots=True)
class CallQuestion:
    """One call.

    :param call: the call.
    :param shared: waits that ask the same may be told by one answer; False where the call changes from poll to poll.
    """

    call: Call[Any]
    shared: bool = True

    @property
    def key(self) -> Hashable | None:
        """What questions that share an answer have in common; None: it stands alone."""
        return (self.call.method, self.call.path) if self.shared else None

    def calls(self) -> list[Call[Any]]:
        """Return the calls of one poll."""
        return [self.call]


@dataclass(frozen=True, slots=True)
class JobsQuestion:
    """How tasks stand; up to 100 of them are asked about in one request of each kind.

    :param job_ids: the tasks.
    :param lags: those of them whose lag is asked for too.
    """

    job_ids: Sequence[str]
    lags: Sequence[str] = field(default=())

    @property
    def key(self) -> Hashable:
        """All waits for tasks share their requests."""
        return "jobs"

    def calls(self) -> list[Call[Any]]:
        """Return the calls of one poll: the status, then the lag, of up to 100 tasks a call."""
        asked, lags = list[Call[Any]](), set(self.lags)
        for jobs in in_batches(self.job_ids):
            asked.append(batch_status(jobs))
            if lagging := [job_id for job_id in jobs if job_id in lags]:
                asked.append(batch_progress(lagging))
        return asked


Question = CallQuestion | JobsQuestion


def fitting(questions: Iterable[Question]) -> int:
    """Return how many of ``questions``, all of one key, from the first on go into one poll; at least one."""
    jobs = set[str]()
    count = 0
    for question in questions:
        if isinstance(question, JobsQuestion):
            jobs.update(question.job_ids)
        if count and len(jobs) > MOST_JOBS:
            break
        count += 1
    return count


def together(questions: Sequence[Question]) -> Question:
    """Return the question whose answer tells all of ``questions``, which have one key."""
    first = questions[0]
    if len(questions) == 1 or isinstance(first, CallQuestion):
        return first
    asked = [question for question in questions if isinstance(question, JobsQuestion)]
    return JobsQuestion(
        list(dict.fromkeys(job_id for question in asked for job_id in question.job_ids)),
        list(dict.fromkeys(job_id for question in asked for job_id in question.lags)),
    )


def may_be_one_jobs_fault(question: Question, error: DrsError) -> bool:
    """Tell whether a request about tasks of several waits may be refused because of one of them."""
    return isinstance(question, JobsQuestion) and isinstance(error, (DrsRequestError, DrsPermissionError))
