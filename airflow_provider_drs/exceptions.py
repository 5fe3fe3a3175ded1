"""The errors of this provider: the tree of :mod:`airflow_provider_drs.protocol.errors` and what a task ends with.

None of the errors in talking to DRS is an ``AirflowException``: Airflow skips a deferred sensor with ``soft_fail`` on
those, and a wait that could not ask DRS knows nothing that may be skipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_drs.lazy import lazy_names
from airflow_provider_drs.pages import see

if TYPE_CHECKING:
    from airflow_provider_drs.protocol.errors import *

_ERRORS = (
    "DrsArgumentError DrsAuthenticationError DrsBusyError DrsConfigError DrsError DrsGuardError "
    "DrsInvalidResponseError DrsJobMismatchError DrsJobNotFoundError DrsNoSuchCallError DrsPermissionError "
    "DrsRecordError DrsRedirectError DrsRequestError DrsServerError DrsSwitchoverRefusedError DrsThrottledError "
    "DrsTimeoutError DrsTlsError DrsTokenRefusedError DrsTransientError DrsUnavailableError DrsUnknownStatusError "
    "DrsUnreachableError DrsWitnessError DrsWrongStateError"
)
__getattr__ = lazy_names("airflow_provider_drs.protocol", {"errors": _ERRORS})
__all__ = [
    *_ERRORS.split(),
    "DrsComparisonError",
    "DrsJobFailedError",
    "DrsSwitchoverDisputedError",
    "DrsSwitchoverFailedError",
    "DrsSwitchoverUnknownError",
]


class DrsSwitchoverFailedError(AirflowFailException):
    """DRS says that the switchover failed. The task fails without retries: waiting again cannot change it.

    :param job_id: the job.
    :param error_code: the service's code, None where it gave none.
    :param error_msg: the service's text, None where it gave none.
    """

    def __init__(self, job_id: str, error_code: str | None = None, error_msg: str | None = None) -> None:
        reason = ": ".join(x for x in (error_code, error_msg) if x) or "DRS gives no reason"
        super().__init__(
            f"The switchover failed: {reason.rstrip('.。')}. "
            f"Look at the job in the DRS console before switching again [Job {job_id!r}]"
        )
        self.job_id = job_id
        self.error_code = error_code
        self.error_msg = error_msg

    def __reduce__(self) -> tuple[type[DrsSwitchoverFailedError], tuple[str, str | None, str | None]]:
        return type(self), (self.job_id, self.error_code, self.error_msg)


class DrsSwitchoverUnknownError(AirflowFailException):
    """Whether a switchover took place cannot be told. Not retried, nor switched again on its own: a person decides.

    :param job_id: the job.
    :param reason: what is known, and what stands against a decision.
    """

    def __init__(self, job_id: str, reason: str) -> None:
        super().__init__(
            f"The outcome of the switchover is not known: {reason.rstrip('.。')}. "
            "Look in the DRS console and at the databases which side holds the virtual IP address, and follow "
            f"{see('runbook')}; clearing this task reads the status again and does not switch [Job {job_id!r}]"
        )
        self.job_id = job_id
        self.reason = reason

    def __reduce__(self) -> tuple[type[DrsSwitchoverUnknownError], tuple[str, str]]:
        return type(self), (self.job_id, self.reason)


class DrsSwitchoverDisputedError(AirflowFailException):
    """DRS says one thing, who answers at the virtual IP address another. Not retried: a person decides.

    :param job_id: the job.
    :param reason: both words.
    """

    def __init__(self, job_id: str, reason: str) -> None:
        super().__init__(
            f"The switchover is disputed: {reason.rstrip('.。')}. Look in the DRS console and at both databases, and "
            f"follow the runbook ({see('runbook')}); clearing this task reads the status and asks the witness again, "
            f"and does not switch [Job {job_id!r}]"
        )
        self.job_id = job_id
        self.reason = reason

    def __reduce__(self) -> tuple[type[DrsSwitchoverDisputedError], tuple[str, str]]:
        return type(self), (self.job_id, self.reason)


class DrsJobFailedError(AirflowFailException):
    """A job has failed or was stopped. Not retried: waiting again cannot change it.

    :param jobs: ``{job_id, status, error_code, error_msg}`` of each such job.
    """

    def __init__(self, jobs: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(f"{'; '.join(map(_described, jobs))}. Look at the job in the DRS console")
        self.jobs = [dict(job) for job in jobs]
        self.job_ids = [str(job["job_id"]) for job in jobs]

    def __reduce__(self) -> tuple[type[DrsJobFailedError], tuple[list[dict[str, Any]]]]:
        return type(self), (self.jobs,)


class DrsComparisonError(AirflowFailException):
    """A comparison found differences between source and target, or could not compare all of it. Not retried.

    :param job_id: the job.
    :param compare: what was compared: objects, lines or contents.
    :param differences: ``{"name", "result"}`` of each object that is not consistent.
    """

    def __init__(self, job_id: str, compare: str, differences: Sequence[Mapping[str, Any]]) -> None:
        named = ", ".join(f"{x['name']} ({x['result']})" for x in differences[:20])
        more = f" and {len(differences) - 20} more" if len(differences) > 20 else ""
        super().__init__(
            f"Source and target are not consistent (comparison of {compare}): {named}{more}. "
            f"Look at the comparison in the DRS console before cutting over [Job {job_id!r}]"
        )
        self.job_id = job_id
        self.compare = compare
        self.differences = [dict(x) for x in differences]

    def __reduce__(self) -> tuple[type[DrsComparisonError], tuple[str, str, list[dict[str, Any]]]]:
        return type(self), (self.job_id, self.compare, self.differences)


def _described(job: Mapping[str, Any]) -> str:
    reason = ": ".join(str(x) for x in (job.get("error_code"), job.get("error_msg")) if x)
    return f"Job is {job['status']}" + (f" ({reason.rstrip('.。')})" if reason else "") + f" [Job {job['job_id']!r}]"
