"""What one poll of a wait asks, and which waits can be told by the same answer."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_drs.protocol.calls import Call
from airflow_provider_drs.protocol.errors import (
    DrsArgumentError,
    DrsBusyError,
    DrsError,
    DrsGarbledAnswerError,
    DrsPermissionError,
    DrsRequestError,
    DrsServerError,
)
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
    :param lag: ask for their lag too.
    """

    job_ids: Sequence[str]
    lag: bool = False

    @property
    def key(self) -> Hashable:
        """Waits for the status share requests, and so do those for the lag; neither fails for the other's sake."""
        return ("jobs", self.lag)

    def calls(self) -> list[Call[Any]]:
        """Return the calls of one poll: the status, then the lag, of up to 100 tasks a call."""
        kinds = (batch_status, batch_progress) if self.lag else (batch_status,)
        return [kind(jobs) for jobs in in_batches(self.job_ids) for kind in kinds]


Question = CallQuestion | JobsQuestion


def fitting(questions: Iterable[Question]) -> list[Question]:
    """Return those of ``questions``, all of one key, that go into one poll: from the first on, at least one."""
    jobs, taken = set[str](), list[Question]()
    for question in questions:
        if isinstance(question, JobsQuestion):
            jobs.update(question.job_ids)
        if taken and len(jobs) > MOST_JOBS:
            break
        taken.append(question)
    return taken


def together(questions: Sequence[Question]) -> Question:
    """Return the question whose answer tells all of ``questions``, which have one key."""
    first = questions[0]
    if len(questions) == 1 or isinstance(first, CallQuestion):
        return first
    ids = (job_id for question in questions if isinstance(question, JobsQuestion) for job_id in question.job_ids)
    return JobsQuestion(list(dict.fromkeys(ids)), first.lag)


def may_be_one_jobs_fault(question: Question, error: DrsError, times: int) -> bool:
    """Tell whether a request about the tasks of several waits may fail because of one of them.

    :param times: how often such a request has failed, one time after the other. What may pass is given a second chance,
        so that a DRS in trouble is not asked once for every wait.
    """
    if not isinstance(question, JobsQuestion):
        return False
    if isinstance(error, (DrsBusyError, DrsGarbledAnswerError)):
        return times > 1
    if isinstance(error, DrsServerError):  # one with a code is DRS's own; one without may be a gateway's
        return times > 1 and error.error_code is not None
    return isinstance(error, (DrsRequestError, DrsPermissionError, DrsArgumentError))
