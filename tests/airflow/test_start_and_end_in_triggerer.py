"""Which tasks the triggerer may end, and which it may start; ``test_standalone`` lets a real one do both."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Asset, Param

from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.protocol.switchover.phases import Phase
from airflow_provider_drs.protocol.switchover.record import END_MARK, Record
from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor
from airflow_provider_drs.triggers.drs import DrsSwitchoverTrigger
from tests.constants import COMPLETE, JOB


@pytest.mark.parametrize(
    ("options", "params", "says"),
    [
        ({"job_id": "{{ ti.xcom_pull('up') }}"}, {}, "map_indexes"),
        ({"job_id": "{{ ti.xcom_pull('up')['id'] }}"}, {}, "map_indexes"),
        ({"job_id": "{{ task_instance.xcom_pull(task_ids='up') }}"}, {}, "map_indexes"),
        ({"job_id": JOB, "project_id": "{{ prev_start_date_success }}"}, {}, "project_id"),
        ({"job_id": "{{ ti.xcom_pull ('up') }}"}, {}, "map_indexes"),
        ({"job_id": "{{ ti['xcom_pull']('up') }}"}, {}, "map_indexes"),
        ({"job_id": "{{ ti.xcom_pull('map_indexes') }}"}, {}, "map_indexes"),
        ({"job_id": "{{ ti.xcom_pull('up', map_indexes = None) }}"}, {}, "map_indexes"),
        ({"job_id": "{{ task_state_store.get('job') }}"}, {}, "job_id"),
        ({"job_id": 7}, {}, "text or a template as job_id, not int"),
        ({"job_id": JOB, "switchover": "{{ ti.xcom_pull('up', map_indexes=-1) }}"}, {}, "switchover"),
        ({"job_id": "{{ params.job }}"}, {"job": Param(type="string")}, "without a default .job."),
        ({"job_id": JOB, "params": {"own": Param(type="string")}}, {}, "without a default .own."),
    ],
)
def test_what_the_triggerer_cannot_start_is_refused(options: dict[str, Any], params: dict[str, Any], says: str) -> None:
    """Airflow's triggerer would hang, or die with all its waits."""
    with DAG("d", params=params), pytest.raises(ValueError, match=says):
        DrsSwitchoverSensor(task_id="wait", start_from_trigger=True, **options)


def test_what_the_triggerer_is_given_to_start_with() -> None:
    with DAG("d", params={"job": Param("", type="string"), "more": Param(None, type=["null", "string"])}):
        sensor = DrsSwitchoverSensor(
            task_id="wait",
            job_id="{{ ti.xcom_pull(task_ids=('up'), map_indexes=-1) or params.job }}",
            start_from_trigger=True,
            timeout=timedelta(hours=2),
            max_wait=timedelta(minutes=1),
        )
    args = sensor.start_trigger_args
    assert args is not None
    assert args.trigger_kwargs is not None
    assert sensor.start_from_trigger
    assert args.timeout == timedelta(hours=2)
    assert DrsSwitchoverTrigger(**json.loads(json.dumps(args.trigger_kwargs))).serialize()[1] == args.trigger_kwargs
    assert args.trigger_kwargs["job_id"] == sensor.job_id, "a template, for the triggerer to render"
    assert set(DrsSwitchoverSensor.template_fields) - {"switchover"} <= set(args.trigger_kwargs)
    assert DrsSwitchoverSensor.start_trigger_args is None, "mapped tasks would all be given the same"


def test_before_airflow_3_3_it_defers_from_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_drs.sensors.switchover.AIRFLOW_V_3_3_PLUS", False)
    with pytest.warns(UserWarning, match=r"needs Airflow 3\.3"):
        sensor = DrsSwitchoverSensor(task_id="wait", job_id=JOB, start_from_trigger=True)
    assert (sensor.deferrable, sensor.start_from_trigger, sensor.start_trigger_args) == (True, False, None)


def _mapped_over() -> DrsSwitchoverSensor:
    with DAG("d"):
        sensor = DrsSwitchoverSensor(task_id="wait", job_id=JOB)
        PythonOperator.partial(task_id="each", python_callable=print).expand(op_args=sensor.output)
    return sensor


def _call(*args: Any) -> None: ...


class _Checked(DrsSwitchoverSensor):
    def post_execute(self, context: Any, result: Any = None) -> None: ...


class _Shaped(DrsSwitchoverSensor):
    def execute_complete(self, context: Any, event: Any) -> Any: ...


class _Named(DrsSwitchoverSensor):
    """Changes nothing about the end."""


@pytest.mark.parametrize(
    ("sensor", "ends"),
    [
        (lambda: DrsSwitchoverSensor(task_id="wait", job_id=JOB), True),
        (lambda: DrsSwitchoverSensor(task_id="wait", job_id=JOB, end_from_trigger=False), False),
        (lambda: DrsSwitchoverSensor(task_id="wait", job_id=JOB, do_xcom_push=False), False),
        (lambda: DrsSwitchoverSensor(task_id="wait", job_id=JOB, do_xcom_push=False, end_from_trigger=True), False),
        (lambda: DrsSwitchoverSensor(task_id="wait", job_id=JOB, on_success_callback=_call), False),
        (
            lambda: DrsSwitchoverSensor(task_id="wait", job_id=JOB, on_success_callback=_call, end_from_trigger=True),
            True,
        ),
        (lambda: DrsSwitchoverSensor(task_id="wait", job_id=JOB, on_failure_callback=_call), True),
        (lambda: DrsSwitchoverSensor(task_id="wait", job_id=JOB, outlets=[Asset("switched")]), False),
        (lambda: DrsSwitchoverSensor(task_id="wait", job_id=JOB, post_execute=_call), False),
        (lambda: _Checked(task_id="wait", job_id=JOB), False),
        (lambda: _Shaped(task_id="wait", job_id=JOB), False),
        (lambda: _Named(task_id="wait", job_id=JOB), True),
        (lambda: DrsSwitchoverSensor(task_id="wait", job_id=JOB, multiple_outputs=True), False),
        (_mapped_over, False),
    ],
)
def test_the_triggerer_ends_what_needs_no_worker(sensor: Any, ends: bool) -> None:
    assert sensor()._trigger().end_from_trigger is ends


class _Ended(DrsSwitchoverOperator):
    def execute_complete(self, context: Any, event: Any) -> Any: ...


def _switchover_mapped_over() -> DrsSwitchoverOperator:
    with DAG("d"):
        operator = DrsSwitchoverOperator(task_id="switch", job_id=JOB, mode="target")
        PythonOperator.partial(task_id="each", python_callable=print).expand(op_args=operator.output)
    return operator


@pytest.mark.parametrize(
    ("options", "ends"),
    [
        ({}, True),
        ({"end_from_trigger": False}, False),
        ({"end_from_trigger": True}, True),
        ({"do_xcom_push": False}, False),
        ({"do_xcom_push": False, "end_from_trigger": True}, False),
        ({"on_success_callback": _call}, False),
        ({"on_success_callback": _call, "end_from_trigger": True}, True),
        ({"on_failure_callback": _call}, True),
        ({"outlets": [Asset("switched")]}, False),
        ({"post_execute": _call}, False),
    ],
)
def test_the_triggerer_ends_a_switchover_that_needs_no_worker(options: dict[str, Any], ends: bool) -> None:
    operator = DrsSwitchoverOperator(task_id="switch", job_id=JOB, mode="target", **options)
    assert operator._ends_from_trigger() is ends


def test_the_triggerer_ends_no_switchover_with_an_end_of_its_own_or_what_is_mapped_over_it() -> None:
    assert not _Ended(task_id="switch", job_id=JOB, mode="target")._ends_from_trigger()
    assert not _switchover_mapped_over()._ends_from_trigger()


def test_a_triggerer_of_an_earlier_version_resumes_a_switchover() -> None:
    """It would leave a sensor's XCom: what it knows of a trigger with a record does not let it end the task."""
    record = Record(JOB, "target", phase=Phase.ACCEPTED, posted_at=1.0)
    trigger = DrsSwitchoverTrigger(JOB, record=record.to_dict(), handover={"hold_until": 0.0, "ends_task": True})
    kwargs = trigger.serialize()[1]
    assert "end_from_trigger" not in kwargs
    assert kwargs["handover"]["ends_task"]


def test_what_a_triggerer_leaves_tells_a_later_try_of_the_end() -> None:
    seen: dict[str, Any] = {
        "status": COMPLETE,
        "error_code": None,
        "error_msg": None,
        "at": 12.5,
        "detection": 0.25,
        "observed": [],
    }
    event = {"outcome": "done", "result": {}, "seen": {**seen, "detection": 0.25, "observed": []}}
    record = Record(JOB, "target", phase=Phase.LOST, posted_at=1.0, began_at=0.5, reason="lost")
    left = DrsSwitchoverTrigger(JOB, record=record.to_dict()).left_behind(event)
    mark = next(name for name in left if name.startswith(END_MARK))
    assert list(left) == ["switchover", mark, "return_value"], "the evidence first, the return value last"
    assert left["switchover"] == left["return_value"]
    assert not set(mark) - set("abcdefghijklmnopqrstuvwxyz_.0123456789"), "it is a part of an address"

    assert record.end_by_mark(["x", f"{END_MARK}2.000000_12.5", mark])
    assert (record.phase, record.finished_at, record.detection) == (Phase.DONE, 12.5, 0.25)
    assert (record.status, record.reason, record.observed[-1]["status"]) == (COMPLETE, None, COMPLETE)
    assert not record.end_by_mark([mark]), "what is over is not ended again"
    other = Record(JOB, "target", phase=Phase.ACCEPTED, posted_at=1.5)
    assert not other.end_by_mark([mark]), "the mark is of another switchover of this task"
