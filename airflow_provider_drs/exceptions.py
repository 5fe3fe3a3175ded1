"""The errors of this provider: the tree of :mod:`airflow_provider_drs.protocol.errors` and what a task ends with.

None of the errors in talking to DRS is an ``AirflowException``: Airflow turns those into "skipped" for a deferred
sensor with ``soft_fail``, and a wait that could not ask DRS has not found out anything that may be skipped.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_drs.job_failures import DrsComparisonError, DrsJobFailedError
from airflow_provider_drs.protocol.errors import (
    DrsArgumentError,
    DrsAuthenticationError,
    DrsBusyError,
    DrsConfigError,
    DrsError,
    DrsGuardError,
    DrsInvalidResponseError,
    DrsJobMismatchError,
    DrsJobNotFoundError,
    DrsPermissionError,
    DrsRedirectError,
    DrsRequestError,
    DrsServerError,
    DrsSwitchoverRefusedError,
    DrsThrottledError,
    DrsTlsError,
    DrsTokenRefusedError,
    DrsTransientError,
    DrsUnavailableError,
    DrsUnknownStatusError,
    DrsUnreachableError,
    DrsWrongStateError,
)

__all__ = [
    "DrsArgumentError",
    "DrsAuthenticationError",
    "DrsBusyError",
    "DrsComparisonError",
    "DrsConfigError",
    "DrsError",
    "DrsGuardError",
    "DrsInvalidResponseError",
    "DrsJobFailedError",
    "DrsJobMismatchError",
    "DrsJobNotFoundError",
    "DrsPermissionError",
    "DrsRedirectError",
    "DrsRequestError",
    "DrsServerError",
    "DrsSwitchoverFailedError",
    "DrsSwitchoverRefusedError",
    "DrsSwitchoverUnknownError",
    "DrsThrottledError",
    "DrsTlsError",
    "DrsTokenRefusedError",
    "DrsTransientError",
    "DrsUnavailableError",
    "DrsUnknownStatusError",
    "DrsUnreachableError",
    "DrsWrongStateError",
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
            f"The switchover of job {job_id} failed: {reason.rstrip('.。')}. "
            "Look at the task in the DRS console before switching again"
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
            f"The outcome of the switchover of job {job_id} is not known: {reason.rstrip('.。')}. "
            "Look in the DRS console and at the databases which side holds the virtual IP address, and follow "
            "docs/runbook.md; clearing this task reads the status again and does not switch"
        )
        self.job_id = job_id
        self.reason = reason

    def __reduce__(self) -> tuple[type[DrsSwitchoverUnknownError], tuple[str, str]]:
        return type(self), (self.job_id, self.reason)
