"""Polls until the outcome of a switchover is certain: a generator that yields what it wants done."""

from __future__ import annotations

from airflow_provider_drs.protocol.errors import DrsError
from airflow_provider_drs.protocol.switchover.calls import get_switchover_status
from airflow_provider_drs.protocol.switchover.record import Record
from airflow_provider_drs.protocol.switchover.steps import Ask, Keep, Now, Pause, Say, Steps
from airflow_provider_drs.protocol.switchover.wait import KeepPolling, PollResult, SwitchoverWait


def finish(wait: SwitchoverWait, record: Record, *, taken: bool = False, polls: int | None = None) -> Steps:
    """Poll until the outcome is certain.

    :param record: is given what is observed, and written down as soon as the start is seen.
    :param taken: stop as soon as it is certain that DRS took it.
    :param polls: stop after so many polls.
    :return: the verdict that is an end, None where it stopped before.
    """
    while not (taken and wait.memory.started) and polls != 0:
        polls = None if polls is None else polls - 1
        started, asked_at = wait.memory.started, (yield Now())
        verdict: PollResult
        try:
            reply = yield Ask(get_switchover_status(wait.job_id))
        except DrsError as error:
            verdict = wait.failed(error, (yield Now()))
        else:
            verdict = wait.answered(reply, (yield Now()), asked_at)
        for line in verdict.lines:
            yield Say(line)
        record.observe(wait.memory.observed)
        if wait.memory.started and not started:
            yield Keep(record)  # what tells a new result from an old one outlives this worker
        if not isinstance(verdict, KeepPolling):
            return verdict
        if polls != 0:
            yield Pause(verdict.delay)
    return None
