"""A limit that comes out of a template, of another task or of ``expand`` as nothing is an error, never "no limit"."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_drs.exceptions import DrsArgumentError
from airflow_provider_drs.operators.drs import (
    DrsCompareOperator,
    DrsPauseJobOperator,
    DrsStopJobOperator,
    DrsSwitchoverOperator,
)
from airflow_provider_drs.sensors.drs import DrsJobReadySensor, DrsJobStatusSensor, DrsSwitchoverSensor
from airflow_provider_drs.simulator import Job, Simulator
from tests.clock import FakeClock
from tests.constants import JOB, numbered_job

SWITCH: dict[str, Any] = {"job_id": JOB, "mode": "target"}
READY: dict[str, Any] = {"job_id": JOB}

# The task, its arguments, and the field that the error names.
REFUSED: dict[str, tuple[type[Any], dict[str, Any], str]] = {
    "max_lag": (DrsSwitchoverOperator, {**SWITCH, "max_lag": "{{ none }}"}, "max_lag is "),
    "max_lag_empty": (DrsSwitchoverOperator, {**SWITCH, "max_lag": "{{ '' }}"}, "max_lag is empty"),
    "settle": (DrsSwitchoverOperator, {**SWITCH, "settle": "{{ none }}"}, "settle is None"),
    "timeout": (DrsSwitchoverOperator, {**SWITCH, "timeout": "{{ none }}"}, "timeout is None"),
    "mode": (DrsSwitchoverOperator, {**SWITCH, "mode": "{{ none }}"}, "mode "),
    "conn": (DrsSwitchoverOperator, {**SWITCH, "drs_conn_id": "{{ none }}"}, "drs_conn_id is None"),
    "pause_timeout": (DrsPauseJobOperator, {**READY, "timeout": "{{ none }}"}, "timeout is None"),
    "ready": (DrsJobReadySensor, {**READY, "max_lag": "{{ none }}"}, "max_lag is None"),
    "samples": (DrsJobReadySensor, {**READY, "stable_samples": "{{ none }}"}, "stable_samples is None"),
    "samples_zero": (DrsJobReadySensor, {**READY, "stable_samples": "{{ 0 }}"}, "stable_samples must be"),
    "ids": (DrsJobReadySensor, {"job_ids": "{{ none }}"}, "job_ids is None"),
    "one_id": (DrsJobReadySensor, {"job_id": "{{ none }}"}, "job_id is None"),
    "dry_run": (DrsSwitchoverOperator, {**SWITCH, "dry_run": "{{ none }}"}, "dry_run is None"),
    "dry_run_word": (DrsSwitchoverOperator, {**SWITCH, "dry_run": "{{ 'maybe' }}"}, "dry_run must be true or false"),
    "on_running": (DrsSwitchoverOperator, {**SWITCH, "on_running": "{{ 'wait' }}"}, "on_running must be"),
    "force": (DrsStopJobOperator, {**READY, "force": "{{ 'no' }}"}, "force must be true or false"),
    "misspelt": (DrsJobStatusSensor, {**READY, "target_statuses": "{{ 'PAUSED' }}"}, "did you mean PAUSING"),
    "no_target": (DrsJobStatusSensor, {**READY, "target_statuses": "{{ none }}"}, "target_statuses is None"),
    "own_failure": (
        DrsJobStatusSensor,
        {**READY, "target_statuses": "PAUSING", "failure_statuses": "{{ ['INCRE_FAILED'] }}"},
        "failure_statuses has",
    ),
    "tables": (DrsCompareOperator, {**READY, "compare": "lines", "tables": "{{ {'db': 'orders'} }}"}, "tables must be"),
    "switchover": (DrsSwitchoverSensor, {"switchover": "{{ none }}"}, "switchover is None"),
}


Errors = dict[str, BaseException]


def _note_in(errors: Errors) -> dict[str, Any]:
    """Return the default arguments by which a task notes its error."""

    def note(context: Any) -> None:
        ti = context["ti"]
        errors[f"{ti.task_id}[{ti.map_index}]"] = context["exception"]

    return {"on_failure_callback": note}


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
def test_what_rendered_to_nothing(native: bool, drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    errors: Errors = {}
    with DAG("wait_poke", schedule=None, default_args=_note_in(errors), render_template_as_native_obj=native) as dag:
        for task_id, (kind, arguments, _) in REFUSED.items():
            kind(task_id=task_id, **arguments)
    dag.test()

    assert sorted(errors) == sorted(f"{task_id}[-1]" for task_id in REFUSED)
    for task_id, (_, _, says) in REFUSED.items():
        error = errors[f"{task_id}[-1]"]
        assert type(error) is DrsArgumentError, error
        assert says in str(error)
    assert not drs.journal


def test_no_limit_is_none_in_the_dag_file(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    """Of a mapped task, what ``partial`` is given stands there; what ``expand`` gives may come from anywhere."""
    drs.add_job(Job(JOB, lag_script=["86400"]))
    errors: Errors = {}
    with DAG("wait_poke", schedule=None, default_args=_note_in(errors)) as dag:
        plan: dict[str, Any] = {**SWITCH, "dry_run": True}
        DrsSwitchoverOperator(task_id="written", max_lag=None, settle=None, **plan)
        DrsSwitchoverOperator(task_id="default", **plan)
        DrsSwitchoverOperator.partial(task_id="partial", max_lag=None, mode="target", dry_run=True).expand(job_id=[JOB])
        DrsSwitchoverOperator.partial(task_id="mapped_default", mode="target", dry_run=True).expand_kwargs(
            [{"job_id": JOB}, {"job_id": JOB, "max_lag": None}]
        )
        DrsSwitchoverOperator.partial(task_id="expanded", **plan).expand(max_lag=[5, None])
    run = dag.test()

    states = {f"{ti.task_id}[{ti.map_index}]": str(ti.state) for ti in run.get_task_instances()}
    assert states == {
        "written[-1]": "success",
        "default[-1]": "success",
        "partial[0]": "success",
        "mapped_default[0]": "success",
        "mapped_default[1]": "failed",
        "expanded[0]": "success",
        "expanded[1]": "failed",
    }
    for name in ("mapped_default[1]", "expanded[1]"):
        assert "max_lag is None" in str(errors[name])


def test_a_flag_out_of_expand_kwargs_means_what_it_says(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    given: list[Any] = ["false", "True", True, "no", None, 1]
    for number in range(len(given)):
        drs.add_job(Job(numbered_job(number), transition_seconds=0))
    errors: Errors = {}
    with DAG("wait_poke", schedule=None, default_args=_note_in(errors)) as dag:
        DrsStopJobOperator.partial(task_id="stop", poll_interval=0.01).expand_kwargs(
            [{"job_id": numbered_job(number), "force": force} for number, force in enumerate(given)]
        )
        DrsStopJobOperator.partial(task_id="fixed").expand_kwargs([{"job_id": JOB, "deferrable": "false"}])
    dag.test()

    asked = [drs.controlled(numbered_job(number)) for number in range(len(given))]
    assert asked == [["terminate"], ["force_terminate"], ["force_terminate"], [], [], []]
    says = {
        "stop[3]": "force must be",
        "stop[4]": "force is None",
        "stop[5]": "force must be",
        "fixed[0]": "deferrable",
    }
    assert {name: says[name] in str(error) for name, error in errors.items()} == dict.fromkeys(says, True)


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
def test_what_a_run_chooses(native: bool, drs: Simulator, airflow_db: None) -> None:
    """Flags, lists, tables and choices out of params mean what they say, as text and native."""
    drs.add_job(Job(JOB, compare_seconds=0.0, compare_results={"shop.orders": "CONSISTENT"}, transition_seconds=0.0))
    chosen = {
        "dry_run": True,
        "force": False,
        "on_running": "fail",
        "statuses": ["INCRE_TRANSFER_STARTED"],
        "tables": {"shop": ["orders"]},
        "nothing": None,
        "ids": [JOB],
    }
    errors: Errors = {}
    with DAG(
        "wait_poke", schedule=None, params=chosen, render_template_as_native_obj=native, default_args=_note_in(errors)
    ) as dag:
        planned = DrsSwitchoverOperator(
            task_id="planned",
            dry_run="{{ params.dry_run }}",
            on_running="{{ params.on_running }}",
            project_id="{{ params.nothing }}",
            **SWITCH,
        )
        found = DrsJobStatusSensor(
            task_id="found",
            target_statuses="{{ params.statuses }}",
            failure_statuses="{{ params.nothing }}",
            **READY,
        )
        ready = DrsJobReadySensor(
            task_id="ready", job_ids="{{ params.ids }}", max_lag="{{ 5 }}", stable_samples="{{ 1 }}"
        )
        same = DrsCompareOperator(
            task_id="same", compare="lines", tables="{{ params.tables }}", poll_interval=0.01, **READY
        )
        stopped = DrsStopJobOperator(task_id="stopped", force="{{ params.force }}", poll_interval=0.01, **READY)
        planned >> found >> ready >> same >> stopped
    run = dag.test()

    assert not errors
    assert str(run.state) == "success"
    assert drs.switched(JOB) == [], "a dry run switches nothing"
    assert drs.controlled(JOB) == ["terminate"], "force was False"
