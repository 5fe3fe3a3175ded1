"""How a job is started, paused, resumed or stopped.

A job that is already as asked is left alone, so that a repeated try changes nothing. After a lost response the status
is read first: it shows whether DRS took the request, and only a request that DRS did not take goes out again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airflow_provider_drs.protocol.errors import (
    DrsBusyError,
    DrsError,
    DrsInvalidResponseError,
    DrsJobNotFoundError,
    DrsThrottledError,
    DrsTransientError,
    DrsUnavailableError,
    DrsWrongStateError,
)
from airflow_provider_drs.protocol.http.request import Call, describe_job
from airflow_provider_drs.protocol.jobs.calls import batch_status
from airflow_provider_drs.protocol.jobs.replies import JobResult
from airflow_provider_drs.protocol.jobs.status import FAILED_JOB_STATUSES, STOPPED_JOB_STATUSES, JobStatus
from airflow_provider_drs.protocol.jobs.wanted import JobsCondition
from airflow_provider_drs.protocol.polling import DEFAULT_TRANSIENT_ERROR_TIMEOUT, Patience, info
from airflow_provider_drs.protocol.runtime import Runtime, call_with_retry, sit_out

# How long a resumed job may still report its previous failure.
OLD_FAILURE_GRACE = 60.0

_RUNNING = (JobStatus.FULL_TRANSFER_STARTED, JobStatus.FULL_TRANSFER_COMPLETE, JobStatus.INCRE_TRANSFER_STARTED)
_FAILURES = tuple(sorted(FAILED_JOB_STATUSES | STOPPED_JOB_STATUSES))


@dataclass(frozen=True)
class Action:
    """What is to become of a job.

    :param name: the action in one word, for the XCom.
    :param doing: the same for messages, such as "starting".
    :param goals: the statuses that mean it is done.
    :param under_way: the statuses in which it has been asked for already.
    :param failures: the statuses that mean it will not be done.
    """

    name: str
    doing: str
    goals: tuple[str, ...]
    under_way: tuple[str, ...] = ()
    failures: tuple[str, ...] = _FAILURES


START = Action("start", "starting", _RUNNING, (JobStatus.STARTJOBING,))
# A job that is paused is PAUSING; "PAUSED" is named nowhere, but could mean nothing else.
PAUSE = Action("pause", "pausing", (JobStatus.PAUSING, "PAUSED"))
RESUME = Action("resume", "resuming", _RUNNING, (JobStatus.STARTJOBING,))
STOP = Action(
    "stop",
    "stopping",
    (JobStatus.RELEASE_RESOURCE_COMPLETE, JobStatus.RELEASE_CHILD_TRANSFER_COMPLETE, JobStatus.DELETED),
    (JobStatus.RELEASE_RESOURCE_STARTED, JobStatus.RELEASE_CHILD_TRANSFER_STARTED),
    (JobStatus.RELEASE_RESOURCE_FAILED,),
)


@dataclass(frozen=True)
class JobActionRequest:
    """One action on one job.

    :param call: makes the call, once for each time it goes out.
    :param transient_error_timeout: seconds of trouble after which to give up.
    :param error_context: what errors are about, such as the connection and the job.
    :param leave_after: seconds of trouble, before anything is asked for, after which whoever asks leaves the wait to
        somebody else; None: never.
    """

    job_id: str
    action: Action
    call: Callable[[Sequence[str]], Call[dict[str, JobResult]]]
    transient_error_timeout: float = DEFAULT_TRANSIENT_ERROR_TIMEOUT
    error_context: str = ""
    leave_after: float | None = None

    def patience(self, leave_after: float | None = None) -> Patience:
        """Return a fresh patience for this job.

        :param leave_after: seconds of trouble after which somebody else is to wait; None: never.
        """
        limit, context = self.transient_error_timeout, self.error_context
        return Patience(f"Job {self.job_id}", limit, error_context=context, leave_after=leave_after)


@dataclass(frozen=True)
class JobActionResult:
    """What came of a request.

    :param before: the status that the job had before it; None for none.
    :param requested: a request went out.
    :param at: when DRS had taken it, seconds since the epoch.
    """

    before: str | None
    requested: bool
    at: float

    def wanted(self, request: JobActionRequest, deadline: float | None) -> JobsCondition:
        """Return how the job should be in the end."""
        action = request.action
        previous_failure = self.before if self.requested and self.before in action.failures else None
        return JobsCondition(
            (request.job_id,),
            action.goals,
            action.failures,
            passing_status=previous_failure,
            passing_until=self.at + OLD_FAILURE_GRACE,
            deadline=deadline,
        )


def control(request: JobActionRequest, runtime: Runtime) -> JobActionResult:
    """Ask for the action unless the job is there or on its way already.

    :raises TroubleLasts: DRS is in trouble, and nothing was asked for.
    :raises DrsJobNotFoundError: DRS does not list the job.
    :raises DrsRequestError: DRS refuses, in the HTTP status or inside a 2xx.
    :raises DrsError: DRS cannot be asked for as long as ``transient_error_timeout`` allows.
    """
    action, subject = request.action, describe_job(request.job_id)
    before = read_status(request, runtime, request.leave_after)
    if before in action.goals or before in action.under_way:
        runtime.log(info(f"Job {request.job_id} is {before} already: nothing to ask for"))
        return JobActionResult(before, False, runtime.now())
    runtime.log(info(f"Job {request.job_id}: {action.doing} it (it is {before or 'without a status'})"))
    patience = request.patience()
    lost = False
    while True:
        failure: DrsError
        try:
            _check_accepted(runtime.send(request.call([request.job_id])), request)
            return JobActionResult(before, True, runtime.now())
        except DrsTransientError as error:
            failure = error
            # These two say that nothing was done.
            lost = lost or not isinstance(error, (DrsThrottledError, DrsBusyError))
            try:
                sit_out(error, runtime, patience)
            except DrsUnavailableError as unavailable:
                if not lost:
                    raise
                # The usual error says that nothing was changed, which a lost response leaves open.
                text = f"whether DRS took {action.doing} {subject} is not known: {unavailable.message}"
                raise DrsError(text, error_context=request.error_context) from None
        except DrsWrongStateError as error:
            failure = error
            if not lost:
                raise failure.with_context(request.error_context) from None
        status = read_status(request, runtime)
        if status in action.goals or status in action.under_way or (lost and status != before):
            runtime.log(info(f"Job {request.job_id} is {status}: DRS has taken the request"))
            return JobActionResult(before, True, runtime.now())
        if not isinstance(failure, DrsTransientError):
            raise failure.with_context(request.error_context)


def read_status(request: JobActionRequest, runtime: Runtime, leave_after: float | None = None) -> str | None:
    """Read the status of the job, waiting trouble out, for ``leave_after`` seconds where somebody else goes on."""
    states = call_with_retry(batch_status([request.job_id]), runtime, request.patience(leave_after))
    state = states.get(request.job_id)
    if state is None:
        text = f"DRS does not list {describe_job(request.job_id)}"
        raise DrsJobNotFoundError(text, error_context=request.error_context)
    if state.status is None and state.error_code:
        refusal = JobResult(state.job_id, False, state.error_code, state.error_msg)
        raise refusal.error(f"the status of {describe_job(request.job_id)}").with_context(request.error_context)
    return state.status


def _check_accepted(results: dict[str, JobResult], request: JobActionRequest) -> None:
    result = results.get(request.job_id)
    asked = f"{request.action.doing} {describe_job(request.job_id)}"
    if result is None:
        raise DrsInvalidResponseError(f"DRS responded to {asked} without a result for it")
    if not result.ok:
        raise result.error(asked)
