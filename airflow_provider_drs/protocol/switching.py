"""How a switchover is asked for, at most once: a generator that yields what it wants done and is sent the outcome.

Read, guard, write the intent down, ask once, write down what became of it. What comes after, the wait, is
:mod:`~airflow_provider_drs.protocol.waiting`; what is written down, :mod:`~airflow_provider_drs.protocol.record`.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_drs.protocol.answers import NO_RESULT
from airflow_provider_drs.protocol.calls import Call, about_job, get_switchover_status, switch_vip
from airflow_provider_drs.protocol.errors import (
    DrsError,
    DrsGarbledAnswerError,
    DrsGuardError,
    DrsOtherJobError,
    DrsServerError,
    DrsSwitchoverRefusedError,
    DrsThrottledError,
    DrsTransientError,
    DrsUnreachableError,
)
from airflow_provider_drs.protocol.freshness import DEFAULT_DECIDE_WITHIN, DEFAULT_SETTLE
from airflow_provider_drs.protocol.guards import guards
from airflow_provider_drs.protocol.job_calls import batch_progress, batch_status
from airflow_provider_drs.protocol.polling import GiveUp, LogLine, Pace, Polling, PollMemory
from airflow_provider_drs.protocol.record import Phase, Record
from airflow_provider_drs.protocol.statuses import Meaning, meaning
from airflow_provider_drs.protocol.steps import Ask, Keep, Now, Pause, Say, Steps
from airflow_provider_drs.protocol.waiting import SwitchoverWait, Verdict, Wait, utc


@dataclass(frozen=True)
class Order:
    """What is to be switched, and under which conditions.

    :param mode: ``source`` or ``target``: which database's virtual IP address.
    :param max_lag: seconds the job may lag; None: any lag that is known.
    :param attach: join a switchover that is running already.
    :param may_switch: False where this may be a second try and nothing was written down by the first.
    :param max_tries: Airflow's number of tries granted so far, which grows when a person clears the task.
    :param patience: seconds of trouble to wait out before the switchover is asked for.
    :param where: what errors are about.
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
    where: str = ""
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
    record, running = yield from read(order)
    if not order.may_switch and not running:
        # Nothing can tell whether the try before this one asked already.
        record.phase, record.posted_at = Phase.LOST, record.began_at - order.decide_within
        yield _say(
            f"{_job(order)}: this is a further try, and Airflow before 3.3 keeps no note of the first: not switching"
        )
        return record
    failed = [guard for guard in record.guards if not guard["ok"]]
    if failed:
        told = "; ".join(f"{g['name']} is {g['value']!r}, must be {g['limit']}" for g in failed)
        raise Refusal(record, DrsGuardError(f"not switching, {told}", where=order.where))
    if running:
        record.phase, record.attached = Phase.ACCEPTED, True
        yield Keep(record)
        yield _say(f"{_job(order)}: a switchover is running already; waiting for its end")
        return record
    return (yield from _ask_once(order, record))


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
    states = yield from _patiently(order, batch_status([order.job_id]))
    progress = yield from _patiently(order, batch_progress([order.job_id]))
    reply = yield from _patiently(order, get_switchover_status(order.job_id))
    at = yield Now()
    if order.verify_job_id and reply.job_id != order.job_id and (reply.job_id is not None or reply.status):
        text = f"asked about job {order.job_id!r}, DRS answered about job {reply.job_id!r} (status {reply.status!r})"
        raise DrsOtherJobError(text, where=order.where)
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
        status=reply.status,
        observed=[{"status": reply.status, "at": utc(at)}],
        settle=order.settle,
        decide_within=order.decide_within,
        max_tries=order.max_tries,
        who=dict(order.who),
    )
    joins = order.attach or not order.may_switch
    return record, joins and meaning(reply.status) is Meaning.RUNNING


def finish(wait: SwitchoverWait, *, taken: bool = False, polls: int | None = None) -> Steps:
    """Poll until the outcome is certain.

    :param taken: stop as soon as it is certain that DRS took it.
    :param polls: stop after so many polls.
    :return: the verdict that is an end, None where it stopped before.
    """
    while not (taken and wait.memory.started) and polls != 0:
        polls = None if polls is None else polls - 1
        asked_at = yield Now()
        verdict: Verdict
        try:
            reply = yield Ask(get_switchover_status(wait.job_id))
        except DrsError as error:
            verdict = wait.failed(error, (yield Now()))
        else:
            verdict = wait.answered(reply, (yield Now()), asked_at)
        for line in verdict.lines:
            yield Say(line)
        if not isinstance(verdict, Wait):
            return verdict
        if polls != 0:
            yield Pause(verdict.delay)
    return None


def _is_closed(order: Order, kept: Record) -> bool:
    """Tell whether what was written down stands in nobody's way, so that a new switchover may begin.

    A refusal has changed nothing. A failed one is closed by the person who clears the task: a worker that dies between
    writing the failure down and telling Airflow is followed by a retry, which must not switch.
    """
    return kept.phase is Phase.REFUSED or (kept.phase is Phase.FAILED and order.max_tries > kept.max_tries)


def _take_up(order: Order, kept: Record) -> Steps:
    same = (kept.job_id, kept.mode) == (order.job_id, order.mode)
    if kept.phase is Phase.FAILED and same:
        return kept
    if kept.phase in (Phase.DONE, Phase.FAILED):
        if not same:
            return (yield from switch(order, None))
        yield _say(
            f"{_job(order)}: this run has switched it already, at {utc(kept.finished_at or 0)}; returning the record. "
            "To switch again on purpose, start a new DAG run"
        )
        return kept
    if not same:
        kept.reason = f"this run began to switch job {kept.job_id} (mode {kept.mode}), and its end is not known"
        kept.phase = Phase.UNKNOWN
        return kept
    if kept.phase is not Phase.ACCEPTED:
        kept.phase = Phase.LOST
    began = utc(kept.began_at if kept.posted_at is None else kept.posted_at)
    yield _say(
        f"{_job(order)}: an earlier try began this switchover at {began}; not switching again, reading its status"
    )
    return kept


def _ask_once(order: Order, record: Record) -> Steps:
    record.phase, record.posted_at = Phase.INTENDED, (yield Now())
    yield Keep(record)
    yield _say(f"{_job(order)}: switching the virtual IP address of the {order.mode} database")
    trouble = _trouble(order, limit=min(order.patience, order.decide_within))
    while True:
        try:
            answered_about = yield Ask(switch_vip(order.job_id, order.mode))
            break
        except DrsThrottledError as error:  # not taken: DRS was asked too often
            wait = trouble.failed(error, (yield Now()))
            for line in wait.lines:
                yield Say(line)
            if isinstance(wait, GiveUp):
                yield from _refused(record, wait.error)
            yield Pause(wait.delay)  # type: ignore[attr-defined]
        except (DrsServerError, DrsUnreachableError, DrsGarbledAnswerError) as error:
            return (yield from _lost(order, record, error.message))
        except DrsError as error:
            if error.error_code == NO_RESULT:  # says nothing either way
                return (yield from _lost(order, record, error.message))
            yield from _refused(record, error)
    if order.verify_job_id and answered_about not in (None, order.job_id):
        return (yield from _lost(order, record, f"DRS accepted a switchover of job {answered_about!r}"))
    record.phase, record.accepted_at = Phase.ACCEPTED, (yield Now())
    yield Keep(record)
    yield _say(f"{_job(order)}: DRS has accepted the switchover")
    return record


def _refused(record: Record, error: DrsError) -> Steps:
    record.phase, record.error_code, record.error_msg = Phase.REFUSED, error.error_code, error.error_msg
    record.reason, record.finished_at = error.message, (yield Now())
    yield Keep(record)
    refusal = DrsSwitchoverRefusedError(
        f"the switchover was refused: {error.message}",
        error_code=error.error_code,
        error_msg=error.error_msg,
        http_status=error.http_status,
        where=error.where,
    )
    raise Refusal(record, refusal)


def _lost(order: Order, record: Record, why: str) -> Steps:
    record.phase, record.reason = Phase.LOST, why
    yield Keep(record)
    text = f"{_job(order)}: the answer to the switchover was lost ({why}). Not asking again: the status is to tell"
    yield Say(LogLine(logging.WARNING, text))
    return record


def _patiently(order: Order, call: Call[Any]) -> Steps:
    """Ask until there is a good answer; these calls change nothing."""
    trouble = _trouble(order, order.patience)
    while True:
        try:
            return (yield Ask(call))
        except DrsTransientError as error:
            wait = trouble.failed(error, (yield Now()))
        for line in wait.lines:
            yield Say(line)
        if isinstance(wait, GiveUp):
            raise wait.error
        yield Pause(wait.delay)  # type: ignore[attr-defined]


def _trouble(order: Order, limit: float) -> Polling:
    pace = Pace(1.0)
    return Polling(_job(order), pace, PollMemory(), transient_error_timeout=limit, where=order.where)


def _job(order: Order) -> str:
    return about_job(order.job_id).replace("job '", "Job ").rstrip("'")


def _say(text: str) -> Say:
    return Say(LogLine(logging.INFO, text))
