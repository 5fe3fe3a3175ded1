"""How jobs should be: the statuses and the lag that a wait is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches

from airflow_provider_drs.protocol.arguments import given, items
from airflow_provider_drs.protocol.errors import DrsArgumentError, Json, one_line
from airflow_provider_drs.protocol.jobs.replies import JobProgress, JobState
from airflow_provider_drs.protocol.jobs.status import (
    FAILED_JOB_STATUSES,
    HEALTHY,
    STOPPED_JOB_STATUSES,
    JobStatus,
    job_status,
)
from airflow_provider_drs.protocol.polling import duration


@dataclass(frozen=True)
class JobsCondition:
    """How jobs should be. Plain JSON apart from its tuples.

    :param job_ids: the jobs.
    :param targets: the statuses each may be in.
    :param failures: the statuses that end the wait as failed; one that is a target too does not.
    :param needs_lag: the lag must be known.
    :param max_lag: seconds it may be at most; None: any lag that is known.
    :param stable_samples: polls in a row that must find all jobs so.
    :param failure_grace: seconds for which a failed job may recover by itself (see :meth:`may_recover`).
    :param no_error: a healthy job must have no error beside its status (:func:`job_problem`); ``needs_lag`` implies it.
    :param passing_status: a failure that is not one until ``passing_until``, seconds since the epoch: a resumed job may
        still report its previous failure for a while.
    :param deadline: seconds since the epoch after which to give up; None: never.
    """

    job_ids: tuple[str, ...]
    targets: tuple[str, ...]
    failures: tuple[str, ...] = ()
    needs_lag: bool = False
    max_lag: float | None = None
    stable_samples: int = 1
    failure_grace: float = 0.0
    no_error: bool = False
    passing_status: str | None = None
    passing_until: float = 0.0
    deadline: float | None = None

    def to_dict(self) -> Json:
        """Return it as plain JSON."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: [str(x) for x in value] if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, data: Json) -> JobsCondition:
        """Rebuild what :meth:`to_dict` wrote; fields of other versions are ignored."""
        known = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        tuples: Json = {x: tuple(value) for x, value in known.items() if isinstance(value, list)}
        return cls(**(known | tuples))

    def unmet(self, state: JobState, progress: JobProgress | None) -> str:
        """Return what a job still lacks, in words that change only with it; "" for nothing."""
        if state.status not in self.targets:
            why = ": ".join(x for x in (state.error_code, state.error_msg) if x)
            told = f" ({why})" if why and state.status in self.failures else ""
            return f"{state.status or 'no status'}{told}"
        problem = job_problem(state, progress) if state.status == HEALTHY and (self.needs_lag or self.no_error) else ""
        if problem or not self.needs_lag:
            return problem
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

    def may_recover(self, status: str | None) -> bool:
        """Tell whether DRS may resume a job in this status by itself, so that the grace is for it."""
        return self.failure_grace > 0 and status in FAILED_JOB_STATUSES


def job_problem(state: JobState | None, progress: JobProgress | None) -> str:
    """Return what speaks against a job that reports the healthy status; "" for nothing.

    An error code beside the status or beside the lag, or a ``transfer_status`` that contradicts the status. A
    ``transfer_status`` that is not documented says nothing.

    :param state: what batch-status says; None where it says nothing.
    :param progress: what batch-progress says; None where it was not asked or says nothing.
    :return: words that change only with the problem.
    """
    if state is not None and state.error_code:
        return f"error {state.error_code} beside status {state.status}"
    if progress is not None and progress.error_code:
        return f"error {progress.error_code} beside the lag"
    moved = progress.transfer_status if progress is not None else None
    if moved is not None and moved != HEALTHY and moved in set(JobStatus):
        return f"transfer_status {moved}"
    return ""


def checked_statuses(name: str, value: object, *, allow_unknown: bool = False) -> tuple[str, ...]:
    """Return statuses in the one spelling.

    :param value: a list in any form, see :func:`~airflow_provider_drs.protocol.arguments.items`.
    :param allow_unknown: take a status that this version does not know: a wait for one that is misspelt has no end.
    :raises DrsArgumentError: there is none, or one is no text, or not known.
    """
    listed = items(name, given(name, value)) or []
    if not listed or not all(isinstance(status, str) and status for status in listed):
        raise DrsArgumentError(f"{name} must be one or more job statuses, not {one_line(repr(value), 80)}")
    statuses = tuple(dict.fromkeys(job_status(str(status)) for status in listed))
    for status in statuses:
        if status not in set(JobStatus) and not allow_unknown:
            close = get_close_matches(status.upper(), list(JobStatus), n=2)
            meant = f"did you mean {' or '.join(close)}? " if close else ""
            raise DrsArgumentError(
                f"{name} has {one_line(repr(status), 40)}, no job status: {meant}"
                "allow_unknown_statuses=True takes a newer one"
            )
    return statuses


def usual_failures(targets: Sequence[str]) -> tuple[str, ...]:
    """Return the statuses that end a wait for ``targets``: the failed ones, and the stopped unless wanted."""
    stops = STOPPED_JOB_STATUSES.intersection(targets)
    return tuple(sorted(FAILED_JOB_STATUSES | (frozenset() if stops else STOPPED_JOB_STATUSES)))
