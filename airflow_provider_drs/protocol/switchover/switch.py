"""How a switchover is asked for, at most once: a generator that yields what it wants done and is sent the outcome.

Read, guard, write the intent down, ask once, write down what became of it. ``wait`` is what comes after; ``record`` is
what is written down.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_drs.protocol.errors import (
    DrsError,
    DrsGuardError,
    DrsInvalidResponseError,
    DrsJobMismatchError,
    DrsRedirectError,
    DrsServerError,
    DrsSwitchoverRefusedError,
    DrsThrottledError,
    DrsUnavailableError,
    DrsUnreachableError,
)
from airflow_provider_drs.protocol.http.response import NO_RESULT
from airflow_provider_drs.protocol.jobs.calls import batch_progress, batch_status
from airflow_provider_drs.protocol.jobs.control import call_with_retry
from airflow_provider_drs.protocol.polling import GiveUp, LogLine, Pace, PollingWait, PollMemory
from airflow_provider_drs.protocol.switchover.calls import get_switchover_status, switch_vip
from airflow_provider_drs.protocol.switchover.freshness import DEFAULT_DECIDE_WITHIN, DEFAULT_SETTLE
from airflow_provider_drs.protocol.switchover.guards import guards
from airflow_provider_drs.protocol.switchover.record import Phase, Record
from airflow_provider_drs.protocol.switchover.status import SwitchoverState, switchover_state
from airflow_provider_drs.protocol.switchover.steps import Ask, Keep, Now, Pause, Say, Steps
from airflow_provider_drs.protocol.switchover.wait import utc

MAX_READ_AGE = 60.0
MAX_READ_ATTEMPTS = 4


@dataclass(frozen=True)
class Order:
    """What is to be switched, and under which conditions.

    :param mode: ``source`` or ``target``: which database's virtual IP address.
    :param max_lag: seconds the job may lag; None: any lag that is known.
    :param attach: join a switchover that is running already.
    :param may_switch: False where this may be a second try and nothing was written down by the first.
    :param max_tries: Airflow's number of tries granted so far, which grows when a person clears the task.
    :param patience: seconds of trouble to wait out before the switchover is asked for.
    :param error_context: what errors are about.
    :param who: dag_id, run_id, task_id, try_number, user.
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
    patience: float = 900.0
    error_context: str = ""
    who: dict[str, Any] = field(default_factory=dict)


def switch(order: Order, kept: Record | None) -> Steps:
    """Take up what was written down, or read, guard, write down and ask once.

    :param kept: the record of an earlier try, None without one.
    :return: the record: done, failed or unknown before; accepted; or lost (whether DRS took it is for the status to
        show).
    :raises DrsGuardError: a guard does not hold; nothing was changed.
    :raises DrsSwitchoverRefusedError: DRS refuses; nothing was changed.
    :raises DrsError: DRS cannot be asked; nothing was changed.
    """
    if kept is not None and not _is_closed(order, kept):
        return (yield from _take_up(order, kept))
    trouble = _trouble(order, limit=min(order.patience, order.decide_within))
    while True:
        record, running = yield from read(order)
        if running:  # joining changes nothing, so nothing has to hold for it
            record.phase, record.attached = Phase.ACCEPTED, True
            yield Keep(record)
            yield _say(f"{_job(order)}: a switchover is running already; waiting for its end")
            return record
        if not order.may_switch:
            # Nothing can tell whether the try before this one asked already.
            record.phase, record.posted_at = Phase.LOST, record.began_at - order.decide_within
            record.reason = "this is a further try, and nothing tells what the first one did"
            yield _say(f"{_job(order)}: {record.reason}; not switching")
            return record
        failed = [guard for guard in record.guards if not guard["ok"]]
        if failed:
            told = "; ".join(f"{g['name']} is {g['value']!r}, must be {g['limit']}" for g in failed)
            raise Refusal(record, DrsGuardError(f"not switching, {told}", error_context=order.error_context))
        if (yield from _ask_once(order, record, trouble)):
            return record


class Refusal(Exception):
    """The switchover was not asked for, or DRS refused it: carries the evidence and the error the task ends with."""

    def __init__(self, record: Record, error: DrsError) -> None:
        super().__init__(str(error))
        self.record = record
        self.error = error


def read(order: Order) -> Generator[Ask | Keep | Pause | Now | Say, Any, tuple[Record, bool]]:
    """Read the job's state and the switchover status, and judge the guards.

    :return: the record with baseline and guards, and whether a switchover to be joined is running.
    """
    began = yield Now()
    for _ in range(MAX_READ_ATTEMPTS):
        first = yield Now()
        states = yield from call_with_retry(batch_status([order.job_id]), _trouble(order, order.patience))
        progress = yield from call_with_retry(batch_progress([order.job_id]), _trouble(order, order.patience))
        reply = yield from call_with_retry(get_switchover_status(order.job_id), _trouble(order, order.patience))
        at = yield Now()
        if at - first <= MAX_READ_AGE:
            break
    else:
        text = f"the job's state could not be read within {MAX_READ_AGE:g} seconds, so that it is too old to guard by"
        raise DrsUnavailableError(text, error_context=order.error_context)
    if order.verify_job_id and reply.job_id != order.job_id and (reply.job_id is not None or reply.status):
        text = f"asked about job {order.job_id!r}, DRS answered about job {reply.job_id!r} (status {reply.status!r})"
        raise DrsJobMismatchError(text, error_context=order.error_context)
    judged = guards(
        states.get(order.job_id),
        progress.get(order.job_id),
        reply,
        max_lag=order.max_lag,
        attach=order.attach or not order.may_switch,
        at=at,
    )
    record = Record(
        order.job_id,
        order.mode,
        began_at=began,
        guards=[guard.to_dict() for guard in judged],
        guarded_at=at,
        baseline=reply.status,
        baseline_known=reply.job_id is not None,
        status=reply.status,
        observed=[{"status": reply.status, "at": utc(at)}],
        settle=order.settle,
        decide_within=order.decide_within,
        max_tries=order.max_tries,
        who=dict(order.who),
    )
    joins = order.attach or not order.may_switch
    return record, joins and switchover_state(reply.status) is SwitchoverState.RUNNING


def _is_closed(order: Order, kept: Record) -> bool:
    """Tell whether what was written down stands in nobody's way, so that a new switchover may begin.

    A refusal has changed nothing. A failed one is closed by the person who clears the task: a worker that dies between
    writing the failure down and telling Airflow is followed by a retry, which must not switch.
    """
    return kept.phase is Phase.REFUSED or (kept.phase is Phase.FAILED and order.max_tries != kept.max_tries)


def _take_up(order: Order, kept: Record) -> Steps:
    if (kept.job_id, kept.mode) != (order.job_id, order.mode):
        other = f"this task of this run has to do with job {kept.job_id} (mode {kept.mode}), which is {kept.phase}"
        raise Refusal(
            kept, DrsGuardError(f"not switching, {other}. Start a new DAG run", error_context=order.error_context)
        )
    if kept.phase is Phase.FAILED:
        return kept
    if kept.phase is Phase.DONE:
        yield _say(
            f"{_job(order)}: this run has switched it already, at {utc(kept.finished_at or 0)}; returning the record. "
            "To switch again on purpose, start a new DAG run"
        )
        return kept
    if kept.phase is not Phase.ACCEPTED:
        kept.phase = Phase.LOST
    kept.max_tries, kept.finished_at, kept.reason = order.max_tries, None, None
    began = utc(kept.began_at if kept.posted_at is None else kept.posted_at)
    yield _say(
        f"{_job(order)}: an earlier try began this switchover at {began}; not switching again, reading its status"
    )
    return kept


def _ask_once(order: Order, record: Record, trouble: PollingWait) -> Steps:
    """Ask DRS once.

    :return: whether it took the switchover or may have; False: it was asked too often, and everything is to be read
        again before it is asked anew.
    """
    record.phase, record.posted_at = Phase.INTENDED, (yield Now())
    yield Keep(record)
    yield _say(f"{_job(order)}: switching the virtual IP address of the {order.mode} database")
    try:
        accepted_job_id = yield Ask(switch_vip(order.job_id, order.mode))
    except DrsThrottledError as error:
        now = yield Now()
        wait = trouble.failed(error, now)
        for line in wait.lines:
            yield Say(line)
        begun = now if trouble.memory.trouble_since is None else trouble.memory.trouble_since
        patience = begun + (trouble.transient_error_timeout or 0.0) - now
        if isinstance(wait, GiveUp) or (error.retry_after or 0.0) > patience:
            yield from _refused(record, error)
        record.phase, record.reason = Phase.REFUSED, error.message
        yield Keep(record)
        yield Pause(wait.delay)  # type: ignore[attr-defined]
        return False
    except DrsError as error:
        if _surely_not_taken(error):
            yield from _refused(record, error)
        return (yield from _lost(order, record, error.message))
    if order.verify_job_id and accepted_job_id not in (None, order.job_id):
        return (yield from _lost(order, record, f"DRS accepted a switchover of job {accepted_job_id!r}"))
    record.phase, record.accepted_at = Phase.ACCEPTED, (yield Now())
    yield Keep(record)
    yield _say(f"{_job(order)}: DRS has accepted the switchover")
    return True


def _surely_not_taken(error: DrsError) -> bool:
    """Tell whether an error means that DRS has not switched; in doubt it may have, and the status is to tell.

    Sure is what DRS says with a code of its own or what never came to it; a gateway's 4xx without a code is one of
    those that are only ever given instead of an answer.
    """
    if isinstance(error, (DrsServerError, DrsUnreachableError, DrsInvalidResponseError, DrsRedirectError)):
        return False
    if error.error_code == NO_RESULT:  # says nothing either way
        return False
    if error.http_status is None or (error.error_code or "").startswith("DRS."):
        return True
    return error.http_status in (400, 401, 403, 404, 405) or 200 <= error.http_status < 300


def _refused(record: Record, error: DrsError) -> Steps:
    record.phase, record.error_code, record.error_msg = Phase.REFUSED, error.error_code, error.error_msg
    record.reason, record.finished_at = error.message, (yield Now())
    yield Keep(record)
    refusal = DrsSwitchoverRefusedError(
        f"the switchover was refused: {error.message}",
        error_code=error.error_code,
        error_msg=error.error_msg,
        http_status=error.http_status,
        error_context=error.error_context,
    )
    raise Refusal(record, refusal)


def _lost(order: Order, record: Record, why: str) -> Steps:
    record.phase, record.reason = Phase.LOST, why
    yield Keep(record)
    text = f"{_job(order)}: the answer to the switchover was lost ({why}). Not asking again: the status is to tell"
    yield Say(LogLine(logging.WARNING, text))
    return True


def _trouble(order: Order, limit: float) -> PollingWait:
    pace = Pace(1.0)
    return PollingWait(
        _job(order), pace, PollMemory(), transient_error_timeout=limit, error_context=order.error_context
    )


def _job(order: Order) -> str:
    return f"Job {order.job_id}"


def _say(text: str) -> Say:
    return Say(LogLine(logging.INFO, text))
