"""What one poll of a wait asks, and which waits can share a response."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_drs.protocol.errors import (
    DrsArgumentError,
    DrsBusyError,
    DrsError,
    DrsInvalidResponseError,
    DrsNoSuchCallError,
    DrsPermissionError,
    DrsRequestError,
    DrsServerError,
)
from airflow_provider_drs.protocol.http.request import Call
from airflow_provider_drs.protocol.jobs.calls import MAX_JOBS, batch_progress, batch_status, in_batches


@dataclass(frozen=True, slots=True)
class CallQuery:
    """One call.

    :param call: the call.
    :param shared: waits that ask the same may share a response; False where the call changes from poll to poll.
    """

    call: Call[Any]
    shared: bool = True

    @property
    def key(self) -> Hashable | None:
        """What queries that share a response have in common; None: it stands alone."""
        return (self.call.method, self.call.path) if self.shared else None

    def calls(self) -> list[Call[Any]]:
        """Return the calls of one poll."""
        return [self.call]


@dataclass(frozen=True, slots=True)
class JobsQuery:
    """How jobs stand; up to 100 of them are asked about in one request of each kind.

    :param job_ids: the jobs.
    :param lag: ask for their lag too.
    """

    job_ids: Sequence[str]
    lag: bool = False

    @property
    def key(self) -> Hashable:
        """Waits for the status share requests, and so do those for the lag; neither fails for the other's sake."""
        return ("jobs", self.lag)

    def calls(self) -> list[Call[Any]]:
        """Return the calls of one poll: the status, then the lag, of up to 100 jobs a call."""
        kinds = (batch_status, batch_progress) if self.lag else (batch_status,)
        return [kind(jobs) for jobs in in_batches(self.job_ids) for kind in kinds]


Query = CallQuery | JobsQuery


def fit_batch(queries: Iterable[Query]) -> list[Query]:
    """Return those of ``queries``, all of one key, that go into one poll: from the first on, at least one."""
    jobs, taken = set[str](), list[Query]()
    for query in queries:
        if isinstance(query, JobsQuery):
            jobs.update(query.job_ids)
        if taken and len(jobs) > MAX_JOBS:
            break
        taken.append(query)
    return taken


def merge(queries: Sequence[Query]) -> Query:
    """Return the query whose response serves all of ``queries``, which have one key."""
    first = queries[0]
    if len(queries) == 1 or isinstance(first, CallQuery):
        return first
    ids = (job_id for query in queries if isinstance(query, JobsQuery) for job_id in query.job_ids)
    return JobsQuery(list(dict.fromkeys(ids)), first.lag)


def may_be_one_jobs_fault(query: Query, error: DrsError, times: int) -> bool:
    """Tell whether a request about the jobs of several waits may fail because of one of them.

    :param times: how often such a request has failed, one time after the other. What may pass is given a second chance,
        so that a DRS in trouble is not asked once for every wait.
    """
    if not isinstance(query, JobsQuery) or isinstance(error, DrsNoSuchCallError):
        return False
    if isinstance(error, (DrsBusyError, DrsInvalidResponseError)):
        return times > 1
    if isinstance(error, DrsServerError):  # one with a code is DRS's own; one without may be a gateway's
        return times > 1 and error.error_code is not None
    return isinstance(error, (DrsRequestError, DrsPermissionError, DrsArgumentError))
