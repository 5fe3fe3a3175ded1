"""What a sensor does before it defers, what it hands over, and when the end of a deferral is told."""

from __future__ import annotations

import asyncio
import json
import re
import time
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowSkipException, TaskDeferred
from airflow.triggers.base import TriggerEvent
from structlog.testing import capture_logs

from airflow_provider_drs.exceptions import DrsSwitchoverFailedError
from airflow_provider_drs.sensors.drs import DrsJobReadySensor, DrsSwitchoverSensor
from airflow_provider_drs.simulator import Job, Simulator
from airflow_provider_drs.task import deferral_hold
from airflow_provider_drs.triggers.drs import DrsSwitchoverTrigger
from airflow_provider_drs.triggers.jobs import DrsJobsTrigger
from airflow_provider_drs.versions import TIMED_OUT_IN_2, is_deferral_timeout, unguarded
from tests.constants import COMPLETE, FAILED, GET_STATUS, JOB, START

TI = SimpleNamespace(dag_id="d", run_id="r", task_id="wait", map_index=-1, try_number=1, xcom_push=lambda **_: None)


def _execute(sensor: Any) -> Any:
    return unguarded(type(sensor).execute)(sensor, {"ti": TI})


def _deferred(sensor: Any) -> Any:
    with pytest.raises(TaskDeferred) as deferred:
        _execute(sensor)
    return deferred.value


def test_a_wait_that_is_over_does_not_defer(drs: Simulator) -> None:
    drs.add_job(Job(JOB, status_script=[COMPLETE]))
    result = _execute(DrsSwitchoverSensor(task_id="wait", job_id=JOB, deferrable=True))
    assert (result["status"], result["polls"]) == (COMPLETE, 1)


@pytest.mark.parametrize(
    ("options", "ends"), [({}, DrsSwitchoverFailedError), ({"soft_fail": True}, AirflowSkipException)]
)
def test_it_fails_here_as_it_would_after_the_trigger(options: Any, ends: type[Exception], drs: Simulator) -> None:
    drs.add_job(Job(JOB, status_script=[FAILED], error_msg="in use"))
    with pytest.raises(ends, match="in use"):
        _execute(DrsSwitchoverSensor(task_id="wait", job_id=JOB, deferrable=True, **options))


def test_what_was_seen_is_handed_over(drs: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DRS__DEFERRAL_HOLD", "10")
    drs.add_job(Job(JOB, lag_script=[0]))
    before = time.time()
    ready = DrsJobReadySensor(task_id="wait", job_id=JOB, deferrable=True, poke_interval=7)
    trigger = _deferred(ready).trigger
    assert trigger.handover["memory"]["samples"] == 1
    assert before + 7 <= trigger.handover["poll_at"] <= time.time() + 7
    assert before + 10 <= trigger.handover["hold_until"] <= time.time() + 10
    stored = json.loads(json.dumps(trigger.serialize()[1]))
    wait = DrsJobsTrigger(**stored).new_wait()
    assert (wait.memory.samples, wait.memory.polls) == (1, 1), "samples in a row go on where the worker stopped"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "5 seconds until {} (1 day)"),
        ({"poke_interval": 0.5, "timeout": 120}, "0.5 seconds until {} (2 minutes)"),
        ({"exponential_backoff": True}, "5 seconds at first until {} (1 day)"),
    ],
)
def test_it_tells_what_it_waits_for_before_it_defers(options: dict[str, Any], said: str, drs: Simulator) -> None:
    drs.add_job(Job(JOB, status_script=[START]))
    with capture_logs() as captured:
        _deferred(DrsSwitchoverSensor(task_id="wait", job_id=JOB, deferrable=True, **options))
    last = captured[-1]["event"] % tuple(captured[-1].get("positional_args", ()))
    told = re.sub(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", "{}", last)
    # Of the whole time, the first poll has taken a little.
    told = told.replace("(1 minute 59 seconds)", "(2 minutes)")
    told = re.sub(r"\(23 hours 59 minutes \d+ seconds\)", "(1 day)", told)
    assert told == f"Deferring: polled every {said}: the switchover of job {JOB}"


def test_an_error_that_silent_fail_passes_over_is_no_end(drs: Simulator) -> None:
    sensor = DrsSwitchoverSensor(task_id="wait", job_id=JOB, deferrable=True, silent_fail=True)  # no such job
    assert _deferred(sensor).trigger.handover["memory"]["polls"] == 1


def _fired(trigger: DrsSwitchoverTrigger) -> Any:
    async def fired() -> Any:
        return [event async for event in trigger.run()]

    return asyncio.run(fired())[0]


@pytest.mark.parametrize("status", [COMPLETE, FAILED])
def test_an_end_is_held_and_not_polled_again(status: str, drs: Simulator) -> None:
    drs.add_job(Job(JOB, status_script=[status]))
    held = time.time() + 1.2
    fired = _fired(DrsSwitchoverTrigger(JOB, poke_interval=0.1, handover={"hold_until": held}))
    assert time.time() >= held
    assert isinstance(fired, TriggerEvent)
    assert len(drs.calls(GET_STATUS)) == 1


def test_the_next_poll_comes_when_it_is_due(drs: Simulator) -> None:
    drs.add_job(Job(JOB, status_script=[COMPLETE]))
    due = time.time() + 1.2
    _fired(DrsSwitchoverTrigger(JOB, poke_interval=0.1, handover={"poll_at": due}))
    assert drs.calls(GET_STATUS)[0].at >= due


def test_an_end_that_resumes_nothing_is_not_held(drs: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The triggerer ends the task itself: there is no worker that Airflow could take for lost."""

    async def pushed(*_: object) -> bool:
        return True

    monkeypatch.setattr(DrsSwitchoverTrigger, "_push", pushed)
    drs.add_job(Job(JOB, status_script=[COMPLETE]))
    far = {"hold_until": time.time() + 3600}
    _fired(DrsSwitchoverTrigger(JOB, poke_interval=0.1, handover=far, end_from_trigger=True))


def test_a_wait_that_begins_in_the_triggerer_is_not_held(drs: Simulator) -> None:
    args = DrsSwitchoverSensor(task_id="wait", job_id=JOB, start_from_trigger=True).start_trigger_args
    assert args is not None
    assert "handover" not in (args.trigger_kwargs or {})


@pytest.mark.parametrize(("setting", "timeout", "hold"), [("10", 3600, 10), ("10", 8, 4), ("0", 3600, 0), ("3", 60, 3)])
def test_how_long_an_end_is_held(setting: str, timeout: float, hold: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never past the time-out, which would turn an end that was seen into one that was not."""
    monkeypatch.setenv("AIRFLOW__DRS__DEFERRAL_HOLD", setting)
    assert deferral_hold(timeout) == hold


def test_it_is_ten_seconds_where_nobody_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__DRS__DEFERRAL_HOLD")
    assert deferral_hold(3600) == 10


class TaskDeferralTimeout(AirflowException):
    """As Airflow 3 raises it."""


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (TaskDeferralTimeout("Trigger timeout"), True),
        (AirflowException(TIMED_OUT_IN_2), True),
        (AirflowException("Trigger failure"), False),
        (ValueError("x"), False),
    ],
)
def test_whether_a_deferral_timed_out(error: Exception, is_one: bool) -> None:
    assert is_deferral_timeout(error) is is_one


def test_status_start_is_remembered_over_the_deferral(drs: Simulator) -> None:
    drs.add_job(Job(JOB, status_script=[START, COMPLETE]))
    trigger = _deferred(DrsSwitchoverSensor(task_id="wait", job_id=JOB, deferrable=True, poke_interval=1)).trigger
    event = _fired(DrsSwitchoverTrigger(**trigger.serialize()[1] | {"end_from_trigger": False})).payload
    assert [change["status"] for change in event["seen"]["observed"]] == [START, COMPLETE]
    assert event["result"]["polls"] == 2
