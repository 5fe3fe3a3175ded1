"""How a task is started, paused, resumed or stopped: a generator that yields what it wants done, as ``switching`` does.

A task that is already as asked is left alone, so that a repeated try changes nothing. After a lost answer the status is
read first: it shows whether DRS took the request, and only one that it did not take goes out again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_drs.protocol.errors import (
    DrsBusyError,
    DrsError,
    DrsInvalidResponseError,
    DrsJobNotFoundError,
    DrsThrottledError,
    DrsTransientError,
    DrsWrongStateError,
)
from airflow_provider_drs.protocol.http.request import Call, describe_job
from airflow_provider_drs.protocol.jobs.calls import batch_status
from airflow_provider_drs.protocol.jobs.replies import JobResult
from airflow_provider_drs.protocol.jobs.wait import JobsCondition
from airflow_provider_drs.protocol.polling import GiveUp, LogLine, Pace, PollingWait, PollMemory
from airflow_provider_drs.protocol.switchover.status import FAILED_JOB_STATUSES, STOPPED_JOB_STATUSES, JobStatus
from airflow_provider_drs.protocol.switchover.steps import Ask, Now, Pause, Say

# How long a failed task that is resumed may go on showing what it failed of before.
OLD_FAILURE_GRACE = 60.0

_RUNNING = (JobStatus.FULL_TRANSFER_STARTED, JobStatus.FULL_TRANSFER_COMPLETE, JobStatus.INCRE_TRANSFER_STARTED)
_FAILURES = tuple(sorted(FAILED_JOB_STATUSES | STOPPED_JOB_STATUSES))

Steps = Generator[Ask | Now | Pause | Say, Any, Any]


@dataclass(frozen=True)
class Action:
    """What is to become of a task.

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
# The documentation knows a task that is pausing, and none that is paused.
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
class Order:
    """One action on one task.

    :param call: makes the request, once for each time it goes out.
    :param patience: seconds of trouble after which to give up.
    :param error_context: what errors are about, such as the connection and the job.
    """

    job_id: str
    action: Action
    call: Callable[[Sequence[str]], Call[dict[str, JobResult]]]
    patience: float = 900.0
    error_context: str = ""


@dataclass(frozen=True)
class Taken:
    """What came of an order.

    :param before: the status that the task had before it; None for none.
    :param requested: a request went out.
    :param at: when DRS had taken it, seconds since the epoch.
    """

    before: str | None
    requested: bool
    at: float

    def wanted(self, order: Order, deadline: float | None) -> JobsCondition:
        """Return how the task should be in the end."""
        action = order.action
        stands = self.before if self.requested and self.before in action.failures else None
        return JobsCondition(
            (order.job_id,),
            action.goals,
            action.failures,
            passing_status=stands,
            passing_until=self.at + OLD_FAILURE_GRACE,
            deadline=deadline,
        )


def control(order: Order) -> Generator[Ask | Now | Pause | Say, Any, Taken]:
    """Ask for the action unless the task is there or on its way already.

    :raises DrsJobNotFoundError: DRS does not list the task.
    :raises DrsRequestError: DRS refuses, in the HTTP status or inside a 2xx.
    :raises DrsError: DRS cannot be asked for as long as ``patience`` allows.
    """
    action, subject = order.action, describe_job(order.job_id)
    before = yield from status(order)
    if before in action.goals or before in action.under_way:
        yield _say(f"Job {order.job_id} is {before} already: nothing to ask for")
        return Taken(before, False, (yield Now()))
    yield _say(f"Job {order.job_id}: {action.doing} it (it is {before or 'without a status'})")
    trouble = polling(order)
    lost = False
    while True:
        failure: DrsError
        try:
            _accepted((yield Ask(order.call([order.job_id]))), order)
            return Taken(before, True, (yield Now()))
        except DrsTransientError as error:
            failure = error
            # These two say that nothing was done.
            lost = lost or not isinstance(error, (DrsThrottledError, DrsBusyError))
            yield from _pause(trouble, error, lost and f"whether DRS took {action.doing} {subject} is not known")
        except DrsWrongStateError as error:
            failure = error
            if not lost:
                raise failure.with_context(order.error_context) from None
        now = yield from status(order)
        if now in action.goals or now in action.under_way or (lost and now != before):
            yield _say(f"Job {order.job_id} is {now}: DRS has taken the request")
            return Taken(before, True, (yield Now()))
        if not isinstance(failure, DrsTransientError):
            raise failure.with_context(order.error_context)


def status(order: Order) -> Generator[Ask | Now | Pause | Say, Any, str | None]:
    """Read the status of the task, waiting trouble out."""
    states = yield from call_with_retry(batch_status([order.job_id]), polling(order))
    state = states.get(order.job_id)
    if state is None:
        raise DrsJobNotFoundError(f"DRS does not list {describe_job(order.job_id)}", error_context=order.error_context)
    if state.status is None and state.error_code:
        refusal = JobResult(state.job_id, False, state.error_code, state.error_msg)
        raise refusal.error(f"the status of {describe_job(order.job_id)}").with_context(order.error_context)
    return state.status  # type: ignore[no-any-return]


def call_with_retry(call: Call[Any], trouble: PollingWait) -> Steps:
    """Make a call that may go out more than once until there is a good answer; return its reply.

    :param trouble: counts the trouble, and says when to give up.
    """
    while True:
        try:
            return (yield Ask(call))
        except DrsTransientError as error:
            failure = error
        yield from _pause(trouble, failure)


def polling(order: Order) -> PollingWait:
    """Return what counts trouble with an order."""
    return PollingWait(
        f"Job {order.job_id}",
        Pace(1.0),
        PollMemory(),
        transient_error_timeout=order.patience,
        error_context=order.error_context,
    )


def _accepted(results: dict[str, JobResult], order: Order) -> None:
    result = results.get(order.job_id)
    asked = f"{order.action.doing} {describe_job(order.job_id)}"
    if result is None:
        raise DrsInvalidResponseError(f"DRS answered {asked} without a result for it")
    if not result.ok:
        raise result.error(asked)


def _pause(trouble: PollingWait, error: DrsTransientError, unknown: str | bool = False) -> Steps:
    verdict = trouble.failed(error, (yield Now()))
    for line in verdict.lines:
        yield Say(line)
    if isinstance(verdict, GiveUp):
        # The usual error says that nothing was changed, which a lost answer leaves open.
        raise (
            DrsError(f"{unknown}: {verdict.error.message}", error_context=trouble.error_context)
            if unknown
            else verdict.error
        )
    yield Pause(verdict.delay)  # type: ignore[attr-defined]


def _say(text: str) -> Say:
    return Say(LogLine(logging.INFO, text))
