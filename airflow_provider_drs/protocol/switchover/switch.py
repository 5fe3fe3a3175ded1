"""How a switchover is asked for, at most once, and waited for.

Read, guard, save the intent, ask once, save what became of it. ``record`` is what is saved, ``wait`` when it is over.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Protocol, TypeVar

from airflow_provider_drs.protocol.errors import (
    DrsError,
    DrsGuardError,
    DrsRecordError,
    DrsSwitchoverRefusedError,
    DrsTransientError,
    DrsUnavailableError,
    Json,
)
from airflow_provider_drs.protocol.http.request import Call, describe_job
from airflow_provider_drs.protocol.jobs.calls import batch_progress, batch_status
from airflow_provider_drs.protocol.jobs.replies import JobProgress, JobState
from airflow_provider_drs.protocol.polling import (
    KeepPolling,
    LogLine,
    Patience,
    PollResult,
    info,
    utc,
)
from airflow_provider_drs.protocol.runtime import Runtime, call_with_retry, sit_out, wait_until_over
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply, get_switchover_status, switch_vip
from airflow_provider_drs.protocol.switchover.freshness import CONFIRM_AFTER
from airflow_provider_drs.protocol.switchover.guards import QUIET, Guard, guards
from airflow_provider_drs.protocol.switchover.phases import Phase
from airflow_provider_drs.protocol.switchover.record import Record
from airflow_provider_drs.protocol.switchover.refusal import asked_again, is_refusal, needs_reads_for
from airflow_provider_drs.protocol.switchover.request import SwitchoverRequest
from airflow_provider_drs.protocol.switchover.status import SwitchoverState, switchover_state
from airflow_provider_drs.protocol.switchover.wait import SwitchoverWait, is_about_another_job, job_mismatch
from airflow_provider_drs.protocol.switchover.witness import ENDS_AT_START, Look, Side, WitnessRuntime, ask_witness

_R = TypeVar("_R")

MAX_READ_AGE = 60.0
MAX_READ_ATTEMPTS = 4
MAX_SAVE_TIME = 5.0


class SwitchoverRuntime(Runtime, WitnessRuntime, Protocol):
    """A runtime that can save the record of a switchover, and ask a witness where the request says so."""

    def save(self, record: Record) -> None:
        """Save the record where a further try finds it; return once that is certain.

        :raises DrsError: it cannot be saved for as long as trouble is waited out.
        """

    def try_save(self, record: Record) -> None:
        """Save the record if that goes well; a failure ends nothing, the next save makes up for it."""


class NotSwitchedError(Exception):
    """This try does not switch: has the record, and the error the task ends with."""

    def __init__(self, record: Record, error: DrsError) -> None:
        super().__init__(str(error))
        self.record = record
        self.error = error


def switch(request: SwitchoverRequest, saved: Record | None, runtime: SwitchoverRuntime) -> Record:
    """Resume what was saved; else read, guard, save the intent and ask once.

    :param saved: the record of an earlier try, None without one.
    :return: the record: done, already, failed or unknown; accepted; or lost (the status tells whether DRS took it).
    :raises NotSwitchedError: a guard does not hold, DRS refuses, or another switchover of this run rules.
    :raises TroubleLasts: DRS is in trouble, and nothing was asked: begin again with what is saved once it responds.
    :raises DrsError: DRS cannot be asked, or the record not be saved; nothing was changed.
    """
    earlier: list[Json] = []
    if saved is not None and saved.phase not in (Phase.BEGUN, Phase.READ, Phase.ALREADY):
        if not _is_closed(request, saved):
            return _resume(request, saved, runtime)
        earlier = [*saved.earlier, {**saved.evidence(), "earlier": []}]
    elif saved is not None:
        earlier = saved.earlier
    record = request.new_record(runtime.now(), earlier)
    if saved is None and not request.first_try:
        return _doubt(request, record, runtime)
    runtime.save(record)
    patience = request.patience()
    while True:
        running = read_and_guard(request, record, runtime)
        if running:  # joining changes nothing, so that no guard has to hold
            return _join(request, record, runtime)
        if request.open_elsewhere:
            text = f"not switching: the switchover of the job by task {request.open_elsewhere!r} of this run is open"
            raise NotSwitchedError(record, DrsRecordError(text, error_context=request.error_context))
        failed = [guard for guard in record.guards if not guard["ok"]]
        if request.already_is_success and _is_there(record):
            record.find(runtime.now())
            runtime.try_save(record)
            runtime.log(info(f"{request.subject}: traffic is where it is to go already; DRS is not asked"))
            return record
        if failed:
            runtime.try_save(record)
            found = "; ".join(str(Guard(**guard)) for guard in failed)
            error = DrsGuardError(f"not switching, {found}", error_context=request.error_context)
            raise NotSwitchedError(record, error)
        if _ask_once(request, record, patience, runtime):
            return record
        request = replace(request, leave_after=None)  # the intent was saved: this try sees it through


def read_and_guard(request: SwitchoverRequest, record: Record, runtime: SwitchoverRuntime) -> bool:
    """Read the job's state and the switchover status into the record, ask the witness, and judge the guards.

    :return: whether a switchover that is to be joined is running.
    """

    def read(call: Call[_R]) -> _R:
        return call_with_retry(call, runtime, request.patience(request.leave_after))

    get_status, get_state, get_progress = reads(request.job_id)
    for _ in range(MAX_READ_ATTEMPTS):
        first = read(get_status)
        began = runtime.monotonic()
        states = read(get_state)
        progress = read(get_progress)
        is_running = switchover_state(first.status) is SwitchoverState.RUNNING
        # While traffic moves, nobody's word stands; what runs already is joined whatever a witness says.
        look = None if is_running and request.attach else _look_at_start(request, runtime)
        if is_running:
            reply = first
        else:
            # The baseline is what a later status is compared with, so that it must not be a stale one.
            runtime.sleep(max(began + CONFIRM_AFTER - runtime.monotonic(), 0.0))
            reply = read(get_status)
        alike = (first.job_id, first.status or None) == (reply.job_id, reply.status or None)
        running = switchover_state(reply.status) is SwitchoverState.RUNNING
        stops = look is not None and look.side is not Side.BEFORE  # however old what was read is
        if (alike or running) and (stops or runtime.monotonic() - began <= MAX_READ_AGE):
            break
    else:
        text = f"job and status could not be read within {MAX_READ_AGE:g} seconds, the status twice alike"
        raise DrsUnavailableError(text, error_context=request.error_context)
    if request.verify_job_id and is_about_another_job(reply, request.job_id):
        raise job_mismatch(reply, request.job_id, request.error_context)
    state, at = states.get(request.job_id), runtime.now()
    moved = progress.get(request.job_id)
    judged = guards(state, moved, reply, max_lag=request.max_lag, attach=request.attach, at=at, look=look)
    if look is not None:
        record.tell("at_start", look.to_dict())
    record.read(reply, [guard.to_dict() for guard in judged], at)
    return request.attach and switchover_state(reply.status) is SwitchoverState.RUNNING


def reads(
    job_id: str,
) -> tuple[Call[SwitchoverReply], Call[dict[str, JobState]], Call[dict[str, JobProgress]]]:
    """Return the calls that :func:`read_and_guard` makes."""
    return get_switchover_status(job_id), batch_status([job_id]), batch_progress([job_id])


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
    if until_taken and _was_taken(wait):
        return None
    started = _was_taken(wait)

    def after_poll(_: PollResult) -> bool:
        nonlocal started
        record.observe(wait.memory.observed)
        record.take_progress(wait.memory.progress)
        if _was_taken(wait) and not started:
            started = True
            runtime.try_save(record)  # what tells a new result from an old one outlives this worker
        return until_taken and started

    result = wait_until_over(wait, runtime, max_polls=max_polls, after_poll=after_poll)
    return None if isinstance(result, KeepPolling) else result


def _look_at_start(request: SwitchoverRequest, runtime: SwitchoverRuntime) -> Look | None:
    within = request.witness_timeout
    return None if within is None else ask_witness(runtime, ENDS_AT_START, within)


def _is_there(record: Record) -> bool:
    """Tell whether traffic is where it is to go, and no switchover is running that may move it."""
    look = (record.witness or {}).get("at_start") or {}
    return look.get("side") == Side.AFTER and all(guard["ok"] for guard in record.guards if guard["name"] == QUIET)


def _was_taken(wait: SwitchoverWait) -> bool:
    return wait.freshness is not None and wait.freshness.started


def _is_closed(request: SwitchoverRequest, saved: Record) -> bool:
    """Tell whether what was saved is over, so that a new switchover may begin.

    A refusal has changed nothing. What failed, or what another task of this run has switched again since, is closed by
    the person who clears the task: a worker that dies between saving the end and telling Airflow is followed by a
    retry, which must not switch.
    """
    cleared = request.max_tries != saved.max_tries
    over = saved.phase is Phase.FAILED or (saved.phase is Phase.DONE and bool(request.superseded_by))
    return saved.phase is Phase.REFUSED or (over and cleared)


def _resume(request: SwitchoverRequest, saved: Record, runtime: SwitchoverRuntime) -> Record:
    if (saved.job_id, saved.mode) != (request.job_id, request.mode):
        text = (
            f"this task of this run has a switchover of job {saved.job_id} (mode {saved.mode}), which is {saved.phase}"
        )
        error = DrsRecordError(f"not switching: {text}", error_context=request.error_context)
        raise NotSwitchedError(saved, error)
    if saved.phase is Phase.DONE and request.superseded_by:
        other = request.superseded_by
        text = f"this switchover is done, but task {other!r} of this run has switched the job since, or may have"
        raise NotSwitchedError(saved, DrsRecordError(text, error_context=request.error_context))
    if saved.phase is Phase.FAILED:
        return saved
    if saved.phase is Phase.DONE:
        text = f"this run has switched it already, at {utc(saved.finished_at or 0)}; returning the record. To switch "
        runtime.log(info(f"{request.subject}: {text}again on purpose, start a new DAG run"))
        return saved
    saved.resume(request.max_tries)
    runtime.try_save(saved)
    began = utc(saved.began_at if saved.posted_at is None else saved.posted_at)
    text = f"an earlier try began this switchover at {began}; not switching again, reading its status"
    runtime.log(info(f"{request.subject}: {text}"))
    return saved


def _doubt(request: SwitchoverRequest, record: Record, runtime: SwitchoverRuntime) -> Record:
    """Handle a further try that finds nothing saved: it never switches, and joins only where that was asked for."""
    # Whoever resumes would find nothing saved either, and no longer what tells that it is a further try.
    request = replace(request, leave_after=None)
    if request.attach and read_and_guard(request, record, runtime):
        return _join(request, record, runtime)
    record.doubt("this is a further try, and nothing tells what an earlier one did. Start a new DAG run to switch")
    if look := _look_at_start(request, runtime):
        record.tell("at_end", look.to_dict())
        record.reason = f"{record.reason}. At the virtual IP address now: {look}"
    runtime.log(LogLine(logging.WARNING, f"{request.subject}: {record.reason}"))
    return record


def _join(request: SwitchoverRequest, record: Record, runtime: SwitchoverRuntime) -> Record:
    record.join()
    record.watched = [runtime.now(), runtime.server_time()]
    runtime.save(record)
    text = "a switchover is running already; waiting for its end. DRS does not say which mode it has"
    runtime.log(info(f"{request.subject}: {text}"))
    return record


def _ask_once(request: SwitchoverRequest, record: Record, patience: Patience, runtime: SwitchoverRuntime) -> bool:
    """Ask DRS once.

    :return: whether DRS took the switchover or may have; False: it has not for certain, and everything is to be read
        again before it is asked once more.
    """
    began = runtime.monotonic()
    record.intend(runtime.now(), runtime.server_time())
    try:
        runtime.save(record)
    except BaseException:  # also Airflow's, when the time of the task is up
        record.unsend("the intent could not be saved, so that DRS was not asked")
        raise
    if runtime.monotonic() - began > MAX_SAVE_TIME:
        # Somebody else may have switched the job meanwhile: the baseline would take that for ours.
        record.unsend("saving the intent took too long, so that job and status are read again")
        runtime.try_save(record)
        return False
    runtime.log(info(f"{request.subject}: switching the virtual IP address of the {request.mode} database"))
    try:
        accepted_job_id = runtime.send(switch_vip(request.job_id, request.mode))
    except DrsError as error:
        if error.never_sent:
            return _never_sent(record, error, patience, runtime)
        if is_refusal(error):
            return _refused(request, record, error, patience, runtime)
        return _lost(request, record, error.message, runtime)
    if request.verify_job_id and accepted_job_id not in (None, request.job_id):
        return _lost(request, record, f"DRS accepted a switchover of {describe_job(accepted_job_id or '')}", runtime)
    record.accept(runtime.now(), runtime.server_time())
    runtime.try_save(record)
    runtime.log(info(f"{request.subject}: DRS has accepted the switchover"))
    return True


def _never_sent(record: Record, error: DrsError, patience: Patience, runtime: SwitchoverRuntime) -> bool:
    record.unsend(f"the request never left this machine: {error.message}")
    runtime.try_save(record)
    if not isinstance(error, DrsTransientError):
        raise NotSwitchedError(record, error)
    sit_out(error, runtime, patience)
    return False


def _refused(
    request: SwitchoverRequest, record: Record, error: DrsError, patience: Patience, runtime: SwitchoverRuntime
) -> bool:
    """Take a refusal with a code of DRS; it is certain once the status shows that nothing has begun since."""
    reply = _read_after_refusal(request, record, error, runtime)
    if reply is None or _has_moved(reply, record):
        status = "cannot be read" if reply is None else f"shows {reply.status or 'nothing'}"
        if reply is not None and reply.status and (record.baseline or record.baseline_known):
            record.observe([{"status": reply.status, "at": utc(runtime.now())}])
            record.watched = [runtime.now(), runtime.server_time()]
        return _lost(request, record, f"{error.message}, but the status {status}", runtime)
    record.refuse(error, runtime.now())
    runtime.try_save(record)
    refusal = DrsSwitchoverRefusedError(
        f"the switchover was refused: {error.message}",
        error_code=error.error_code,
        error_msg=error.error_msg,
        http_status=error.http_status,
        error_context=error.error_context,
    )
    if not asked_again(error):
        raise NotSwitchedError(record, refusal)
    now = runtime.now()
    if now + (error.retry_after or 0.0) > patience.ends_at(now):
        raise NotSwitchedError(record, refusal)
    try:
        sit_out(error, runtime, patience)
    except DrsUnavailableError:
        raise NotSwitchedError(record, refusal) from None
    return False


def _read_after_refusal(
    request: SwitchoverRequest, record: Record, error: DrsError, runtime: SwitchoverRuntime
) -> SwitchoverReply | None:
    """Read the status after a refusal, for as long as it takes to be sure of it; None where it cannot be read."""
    until = runtime.monotonic() + needs_reads_for(error)
    while True:
        began = runtime.monotonic()
        try:
            reply = call_with_retry(get_switchover_status(request.job_id), runtime, request.patience())
        except DrsError:
            return None
        if request.verify_job_id and is_about_another_job(reply, request.job_id):
            return None
        if _has_moved(reply, record) or began >= until:
            return reply
        runtime.sleep(1.0)


def _has_moved(reply: SwitchoverReply, record: Record) -> bool:
    """Tell whether the status may show a switchover that began after the baseline was read."""
    return switchover_state(reply.status) is SwitchoverState.RUNNING or reply.status != record.baseline


def _lost(request: SwitchoverRequest, record: Record, reason: str, runtime: SwitchoverRuntime) -> bool:
    record.lose(reason)
    runtime.try_save(record)
    text = f"the response to the switchover was lost ({reason}). Not asking again: the status is to tell"
    runtime.log(LogLine(logging.WARNING, f"{request.subject}: {text}"))
    return True
