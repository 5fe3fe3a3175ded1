"""How a switchover is asked for, at most once, and waited for.

Read, guard, save the intent, ask once, save what became of it. ``record`` is what is saved, ``wait`` when it is over.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Protocol

from airflow_provider_drs.protocol.errors import (
    DrsError,
    DrsGuardError,
    DrsInvalidResponseError,
    DrsRedirectError,
    DrsServerError,
    DrsSwitchoverRefusedError,
    DrsThrottledError,
    DrsUnavailableError,
    DrsUnreachableError,
    Json,
)
from airflow_provider_drs.protocol.http.request import describe_job
from airflow_provider_drs.protocol.http.response import NO_RESULT
from airflow_provider_drs.protocol.jobs.calls import batch_progress, batch_status
from airflow_provider_drs.protocol.polling import (
    DEFAULT_TRANSIENT_ERROR_TIMEOUT,
    GiveUp,
    LogLine,
    Patience,
    PollResult,
    info,
    utc,
)
from airflow_provider_drs.protocol.runtime import Runtime, call_with_retry, wait_until_over
from airflow_provider_drs.protocol.switchover.calls import get_switchover_status, switch_vip
from airflow_provider_drs.protocol.switchover.freshness import DEFAULT_DECIDE_WITHIN, DEFAULT_SETTLE
from airflow_provider_drs.protocol.switchover.guards import guards
from airflow_provider_drs.protocol.switchover.record import Phase, Record
from airflow_provider_drs.protocol.switchover.status import SwitchoverState, switchover_state
from airflow_provider_drs.protocol.switchover.wait import SwitchoverWait, is_about_another_job, job_mismatch

MAX_READ_AGE = 60.0
MAX_READ_ATTEMPTS = 4


class SwitchoverRuntime(Runtime, Protocol):
    """A runtime that can save the record of a switchover."""

    def save(self, record: Record) -> None:
        """Save the record where a further try finds it; return once that is certain."""


@dataclass(frozen=True)
class SwitchoverRequest:
    """What is to be switched, and under which conditions.

    :param mode: ``source`` or ``target``: which database's virtual IP address.
    :param max_lag: seconds the job may lag; None: any lag that is known.
    :param attach: join a switchover that is running already.
    :param may_switch: False where this may be a second try and the first one saved nothing.
    :param max_tries: Airflow's number of tries granted so far, which grows when a person clears the task.
    :param transient_error_timeout: seconds of trouble to wait out before DRS is asked.
    :param error_context: what errors are about.
    :param actor: dag_id, run_id, task_id, try_number, user.
    """

    job_id: str
    mode: str
    max_lag: float | None = None
    attach: bool = False
    settle: float | None = DEFAULT_SETTLE
    decide_within: float = DEFAULT_DECIDE_WITHIN
    verify_job_id: bool = True
    may_switch: bool = True
    max_tries: int = 0
    transient_error_timeout: float = DEFAULT_TRANSIENT_ERROR_TIMEOUT
    error_context: str = ""
    actor: Json = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """How log lines name the job."""
        return f"Job {self.job_id}"

    def patience(self, limit: float) -> Patience:
        """Return a patience of ``limit`` seconds for this job."""
        return Patience(self.subject, limit, error_context=self.error_context)


class NotSwitchedError(Exception):
    """The switchover was not asked for, or DRS refused it: has the record, and the error the task ends with."""

    def __init__(self, record: Record, error: DrsError) -> None:
        super().__init__(str(error))
        self.record = record
        self.error = error


def switch(request: SwitchoverRequest, saved: Record | None, runtime: SwitchoverRuntime) -> Record:
    """Resume what was saved; else read, guard, save the intent and ask once.

    :param saved: the record of an earlier try, None without one.
    :return: the record: done, failed or unknown before; accepted; or lost (the status tells whether DRS took it).
    :raises NotSwitchedError: a guard does not hold, or DRS refuses; nothing was changed.
    :raises DrsError: DRS cannot be asked; nothing was changed.
    """
    if saved is not None and not _is_closed(request, saved):
        return _resume(request, saved, runtime)
    patience = request.patience(min(request.transient_error_timeout, request.decide_within))
    while True:
        record, running = read_and_guard(request, runtime)
        if running:  # joining changes nothing, so that no guard has to hold
            record.join()
            runtime.save(record)
            runtime.log(info(f"{request.subject}: a switchover is running already; waiting for its end"))
            return record
        if not request.may_switch:
            record.doubt("this is a further try, and nothing tells what the first one did")
            runtime.log(info(f"{request.subject}: {record.reason}; not switching"))
            return record
        failed = [guard for guard in record.guards if not guard["ok"]]
        if failed:
            told = "; ".join(f"{g['name']} is {g['value']!r}, must be {g['limit']}" for g in failed)
            raise NotSwitchedError(record, DrsGuardError(f"not switching, {told}", error_context=request.error_context))
        if _ask_once(request, record, patience, runtime):
            return record


def read_and_guard(request: SwitchoverRequest, runtime: Runtime) -> tuple[Record, bool]:
    """Read the job's state and the switchover status, and judge the guards.

    :return: the record with baseline and guards, and whether a switchover to be joined is running.
    """
    began = runtime.now()
    for _ in range(MAX_READ_ATTEMPTS):
        first = runtime.now()
        limit = request.transient_error_timeout
        states = call_with_retry(batch_status([request.job_id]), runtime, request.patience(limit))
        progress = call_with_retry(batch_progress([request.job_id]), runtime, request.patience(limit))
        reply = call_with_retry(get_switchover_status(request.job_id), runtime, request.patience(limit))
        at = runtime.now()
        if at - first <= MAX_READ_AGE:
            break
    else:
        text = f"the job's state could not be read within {MAX_READ_AGE:g} seconds, so that it is too old to guard by"
        raise DrsUnavailableError(text, error_context=request.error_context)
    if request.verify_job_id and is_about_another_job(reply, request.job_id):
        raise job_mismatch(reply, request.job_id, request.error_context)
    joins = request.attach or not request.may_switch
    judged = guards(
        states.get(request.job_id), progress.get(request.job_id), reply, max_lag=request.max_lag, attach=joins, at=at
    )
    record = Record(
        request.job_id,
        request.mode,
        began_at=began,
        guards=[guard.to_dict() for guard in judged],
        guarded_at=at,
        baseline=reply.status,
        baseline_known=reply.job_id is not None,
        status=reply.status,
        observed=[{"status": reply.status, "at": utc(at)}],
        settle=request.settle,
        decide_within=request.decide_within,
        max_tries=request.max_tries,
        actor=dict(request.actor),
    )
    return record, joins and switchover_state(reply.status) is SwitchoverState.RUNNING


def wait_for_end(
    wait: SwitchoverWait,
    record: Record,
    runtime: SwitchoverRuntime,
    *,
    until_taken: bool = False,
    max_polls: int | None = None,
) -> PollResult | None:
    """Poll until the outcome is certain.

    :param record: is given what is observed, and saved as soon as the start is seen.
    :param until_taken: stop as soon as it is certain that DRS took the switchover.
    :param max_polls: stop after so many polls.
    :return: the result that is an end, None where it stopped before.
    """
    if until_taken and wait.memory.started:
        return None
    started = wait.memory.started

    def after_poll(_: PollResult) -> bool:
        nonlocal started
        record.observe(wait.memory.observed)
        if wait.memory.started and not started:
            started = True
            runtime.save(record)  # what tells a new result from an old one outlives this worker
        return until_taken and wait.memory.started

    return wait_until_over(wait, runtime, max_polls=max_polls, after_poll=after_poll)


def _is_closed(request: SwitchoverRequest, saved: Record) -> bool:
    """Tell whether what was saved is over, so that a new switchover may begin.

    A refusal has changed nothing. A failed one is closed by the person who clears the task: a worker that dies between
    saving the failure and telling Airflow is followed by a retry, which must not switch.
    """
    return saved.phase is Phase.REFUSED or (saved.phase is Phase.FAILED and request.max_tries != saved.max_tries)


def _resume(request: SwitchoverRequest, saved: Record, runtime: Runtime) -> Record:
    if (saved.job_id, saved.mode) != (request.job_id, request.mode):
        other = f"this task of this run has to do with job {saved.job_id} (mode {saved.mode}), which is {saved.phase}"
        error = DrsGuardError(f"not switching, {other}. Start a new DAG run", error_context=request.error_context)
        raise NotSwitchedError(saved, error)
    if saved.phase is Phase.FAILED:
        return saved
    if saved.phase is Phase.DONE:
        text = f"this run has switched it already, at {utc(saved.finished_at or 0)}; returning the record. To switch "
        runtime.log(info(f"{request.subject}: {text}again on purpose, start a new DAG run"))
        return saved
    saved.resume(request.max_tries)
    began = utc(saved.began_at if saved.posted_at is None else saved.posted_at)
    text = f"an earlier try began this switchover at {began}; not switching again, reading its status"
    runtime.log(info(f"{request.subject}: {text}"))
    return saved


def _ask_once(request: SwitchoverRequest, record: Record, patience: Patience, runtime: SwitchoverRuntime) -> bool:
    """Ask DRS once.

    :return: whether DRS took the switchover or may have; False: DRS was asked too often, and everything is to be read
        again before it is asked anew.
    """
    record.intend(runtime.now())
    runtime.save(record)
    runtime.log(info(f"{request.subject}: switching the virtual IP address of the {request.mode} database"))
    try:
        accepted_job_id = runtime.send(switch_vip(request.job_id, request.mode))
    except DrsThrottledError as error:
        now = runtime.now()
        result = patience.failed(error, now)
        for line in result.lines:
            runtime.log(line)
        if isinstance(result, GiveUp) or now + (error.retry_after or 0.0) > patience.ends_at(now):
            raise _refused(record, error, runtime) from None
        record.refuse(error, now)
        runtime.save(record)
        runtime.sleep(result.delay)
        return False
    except DrsError as error:
        if _surely_not_taken(error):
            raise _refused(record, error, runtime) from None
        return _lost(request, record, error.message, runtime)
    if request.verify_job_id and accepted_job_id not in (None, request.job_id):
        return _lost(request, record, f"DRS accepted a switchover of {describe_job(accepted_job_id or '')}", runtime)
    record.accept(runtime.now())
    runtime.save(record)
    runtime.log(info(f"{request.subject}: DRS has accepted the switchover"))
    return True


def _surely_not_taken(error: DrsError) -> bool:
    """Tell whether an error means that DRS has not switched; in doubt it may have, and the status tells.

    Certain: an error with a DRS code, or a request that never left this machine. A gateway's 4xx without a code is one
    of those that are only ever sent instead of a response of the service.
    """
    if isinstance(error, (DrsServerError, DrsUnreachableError, DrsInvalidResponseError, DrsRedirectError)):
        return False
    if error.error_code == NO_RESULT:  # says nothing either way
        return False
    if error.http_status is None or (error.error_code or "").startswith("DRS."):
        return True
    return error.http_status in (400, 401, 403, 404, 405) or 200 <= error.http_status < 300


def _refused(record: Record, error: DrsError, runtime: SwitchoverRuntime) -> NotSwitchedError:
    record.refuse(error, runtime.now())
    runtime.save(record)
    refusal = DrsSwitchoverRefusedError(
        f"the switchover was refused: {error.message}",
        error_code=error.error_code,
        error_msg=error.error_msg,
        http_status=error.http_status,
        error_context=error.error_context,
    )
    return NotSwitchedError(record, refusal)


def _lost(request: SwitchoverRequest, record: Record, reason: str, runtime: SwitchoverRuntime) -> bool:
    record.lose(reason)
    runtime.save(record)
    text = f"the answer to the switchover was lost ({reason}). Not asking again: the status is to tell"
    runtime.log(LogLine(logging.WARNING, f"{request.subject}: {text}"))
    return True
