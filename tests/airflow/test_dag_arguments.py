"""What is wrong in a DAG file is told when it is read: flags that are text, intervals of 0, a job id left open."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from airflow_provider_drs.operators.drs import (
    DrsCompareOperator,
    DrsPauseJobOperator,
    DrsResumeJobOperator,
    DrsStartJobOperator,
    DrsStopJobOperator,
    DrsSwitchoverOperator,
)
from airflow_provider_drs.sensors.drs import DrsJobReadySensor, DrsJobStatusSensor, DrsSwitchoverSensor
from airflow_provider_drs.triggers.drs import DrsSwitchoverTrigger
from airflow_provider_drs.triggers.events import DrsSwitchoverEventTrigger
from tests.constants import JOB

SENSORS: list[Any] = [
    partial(DrsSwitchoverSensor, task_id="x", job_id=JOB),
    partial(DrsJobReadySensor, task_id="x", job_id=JOB),
    partial(DrsJobStatusSensor, task_id="x", job_id=JOB, target_statuses="PAUSING"),
]
SWITCHOVER: Any = partial(DrsSwitchoverOperator, task_id="x", job_id=JOB, mode="source")
STOP: Any = partial(DrsStopJobOperator, task_id="x", job_id=JOB)
RESUME: Any = partial(DrsResumeJobOperator, task_id="x", job_id=JOB)
OPERATORS: list[Any] = [
    SWITCHOVER,
    STOP,
    RESUME,
    partial(DrsStartJobOperator, task_id="x", job_id=JOB),
    partial(DrsPauseJobOperator, task_id="x", job_id=JOB),
    partial(DrsCompareOperator, task_id="x", job_id=JOB),
]
EVENTS: Any = partial(DrsSwitchoverEventTrigger, JOB)

FLAGS: list[tuple[Any, str]] = [
    *((make, name) for make in SENSORS for name in ("deferrable", "soft_fail", "never_fail", "silent_fail")),
    *((make, "exponential_backoff") for make in SENSORS),
    *((SENSORS[0], name) for name in ("verify_job_id", "end_from_trigger", "start_from_trigger")),
    (SENSORS[2], "allow_unknown_statuses"),
    *((make, "deferrable") for make in OPERATORS),
    *((make, "wait_for_completion") for make in OPERATORS[:-1]),
    (SWITCHOVER, "verify_job_id"),
    (SWITCHOVER, "end_from_trigger"),
    (RESUME, "is_sync_re_edit"),
    (EVENTS, "verify_job_id"),
    (EVENTS, "fire_for_leftover"),
]


@pytest.mark.parametrize("wrong", ["false", "true", "", 0, 1, "{{ params.flag }}"])
@pytest.mark.parametrize(("make", "name"), FLAGS)
def test_a_flag_is_true_or_false(make: Any, name: str, wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be True or False"):
        make(**{name: wrong})


@pytest.mark.parametrize("wrong", ["maybe", "", None, 0, 1, [True]])
@pytest.mark.parametrize(("make", "name"), [(SWITCHOVER, "dry_run"), (STOP, "force")])
def test_a_flag_that_a_run_chooses_is_checked_as_far_as_it_is_written(make: Any, name: str, wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} (must be|is)"):
        make(**{name: wrong})
    for right in (True, False, "true", "False", "{{ params.flag }}", "{% if params.flag %}true{% endif %}"):
        make(**{name: right})


@pytest.mark.parametrize("wrong", ["wait", "", None, True])
def test_a_choice_is_checked_as_far_as_it_is_written(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"^on_running (must be|is)"):
        SWITCHOVER(on_running=wrong)
    SWITCHOVER(on_running="{{ params.on_running }}")


INTERVALS: list[tuple[Any, str]] = [
    *((make, "poke_interval") for make in (*SENSORS, EVENTS)),
    *((make, "poll_interval") for make in OPERATORS),
]


@pytest.mark.parametrize("wrong", [0, -1, timedelta(0), timedelta(seconds=-1), "1", "{{ 1 }}", True, float("nan"), []])
@pytest.mark.parametrize(("make", "name"), INTERVALS)
def test_an_interval_is_more_than_nothing(make: Any, name: str, wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be"):
        make(**{name: wrong})


@pytest.mark.parametrize(
    ("given", "seconds"), [(timedelta(minutes=1), 60.0), (2, 2.0), (0.5, 0.5), (0.01, 0.01), (1e-6, 0.01)]
)
@pytest.mark.parametrize(("make", "name"), INTERVALS)
def test_any_other_interval_is_taken(make: Any, name: str, given: Any, seconds: float) -> None:
    assert getattr(make(**{name: given}), name) == seconds


@pytest.mark.parametrize("make", [*SENSORS, EVENTS])
def test_none_is_the_default_interval(make: Any) -> None:
    assert make(poke_interval=None).poke_interval == 5.0


@pytest.mark.parametrize("make", SENSORS)
def test_none_is_the_documented_time_out_not_airflows(make: Any) -> None:
    assert make(timeout=None).timeout == make().timeout == 24 * 3600
    assert make(timeout=timedelta(hours=1)).timeout == 3600


@pytest.mark.parametrize("wrong", [-1, "1", True])
@pytest.mark.parametrize("make", SENSORS)
def test_a_time_out_is_checked(make: Any, wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"^timeout must be"):
        make(timeout=wrong)


@pytest.mark.parametrize("wrong", ["", " ", None, "None", "{{ params.job_id }}", "a b", "a/b", 7])
def test_the_event_trigger_wants_a_job_id_that_can_be_one(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"^job_id "):
        DrsSwitchoverEventTrigger(wrong)


def test_an_event_trigger_is_stored_as_plain_json() -> None:
    _, kwargs = DrsSwitchoverEventTrigger(JOB, poke_interval=timedelta(seconds=30)).serialize()
    assert kwargs["poke_interval"] == 30.0
    assert DrsSwitchoverEventTrigger(**kwargs).poke_interval == 30.0


def test_what_earlier_versions_have_stored_still_loads() -> None:
    assert DrsSwitchoverTrigger(JOB, poke_interval=0).poke_interval == 0.01
