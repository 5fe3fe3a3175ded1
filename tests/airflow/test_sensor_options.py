"""What users set on the sensor means the same in all three modes."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_drs import exceptions, protocol
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor
from airflow_provider_drs.simulator import Fault, Job, Simulator
from tests.airflow.waits import A_TICK, run_task, run_wait
from tests.clock import FakeClock
from tests.constants import COMPLETE, FAILED, GET_STATUS, JOB, SENSOR_MODES, START


@pytest.mark.parametrize("mode", SENSOR_MODES)
@pytest.mark.parametrize(
    ("options", "statuses", "fault", "state"),
    [
        ({}, [FAILED], None, "failed"),
        ({"soft_fail": True}, [FAILED], None, "skipped"),
        ({"never_fail": True}, [FAILED], None, "skipped"),
        ({}, [COMPLETE], Fault.no_permission(), "failed"),
        ({"soft_fail": True}, [COMPLETE], Fault.no_permission(), "failed"),
        ({"never_fail": True}, [COMPLETE], Fault.no_permission(), "skipped"),
        ({"soft_fail": True}, ["ODD"], None, "failed"),
        ({"silent_fail": True}, [COMPLETE], Fault.no_permission(), "success"),
        ({"silent_fail": True}, ["ODD", COMPLETE], None, "success"),
        ({"silent_fail": True}, [FAILED, COMPLETE], None, "failed"),
    ],
)
def test_failing_softly(
    mode: str, options: dict[str, Any], statuses: list[str | None], fault: Fault | None, state: str,
    drs: Simulator, airflow_db: None, clock: FakeClock,
) -> None:  # fmt: skip
    drs.add_job(Job(JOB, status_script=statuses))
    if fault:
        drs.fault(GET_STATUS, fault)
    assert run_wait(mode, clock, **options).state == state


@pytest.mark.parametrize("mode", SENSOR_MODES)
def test_after_a_dry_run_there_is_nothing_to_wait_for(
    mode: str, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(Job(JOB, status_script=[COMPLETE]))
    plan = {"dry_run": True, "job_id": JOB, "mode": "target", "ready": True, "guards": [], "call": None}
    ended = run_wait(mode, clock, switchover=plan)
    assert (ended.state, drs.calls(GET_STATUS)) == ("skipped", [])


@pytest.mark.parametrize("mode", SENSOR_MODES)
@pytest.mark.parametrize("status", [None, COMPLETE])
def test_where_traffic_was_there_already_the_wait_is_over_at_once(
    mode: str, status: str | None, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(Job(JOB, no_switchover="null", status_script=[status]))
    switched = run_task(
        lambda task_id, calls: DrsSwitchoverOperator(
            task_id=task_id, **calls, job_id=JOB, mode="target", witness=lambda: "after", on_already="succeed",
            wait_for_completion=False,
        ),
        "poke", clock,
    )  # fmt: skip
    assert switched.xcom["outcome"] == "already", switched.error
    polls = drs.calls(GET_STATUS)
    ended = run_wait(mode, clock, switchover=switched.xcom, soft_fail=True)
    at = switched.xcom["finished_at"]
    assert ended.xcom == {"job_id": JOB, "status": status, "first_polled_at": at, "done_at": at, "polls": 0}
    assert (ended.state, drs.calls(GET_STATUS)) == ("success", polls)


@pytest.mark.parametrize("mode", SENSOR_MODES)
@pytest.mark.parametrize(
    ("statuses", "fault", "tries", "state"),
    [([FAILED], None, 1, "failed"), ([COMPLETE], Fault.no_permission(), 2, "success")],
)
def test_retries(
    mode: str, statuses: list[str | None], fault: Fault | None, tries: int, state: str,
    drs: Simulator, airflow_db: None, clock: FakeClock,
) -> None:  # fmt: skip
    """A failed switchover is not retried; an error in talking to DRS is, if the user wants it."""
    drs.add_job(Job(JOB, status_script=statuses))
    if fault:
        drs.fault(GET_STATUS, fault)
    ended = run_wait(mode, clock, retries=1, retry_delay=timedelta(0))
    assert (ended.state, ended.tries) == (state, tries)


def test_the_usual_interval_goes_by_the_mode_wherever_that_was_set() -> None:
    with DAG("d", default_args={"mode": "reschedule"}):
        assert DrsSwitchoverSensor(task_id="a", job_id=JOB).poke_interval == 60
        assert DrsSwitchoverSensor(task_id="b", job_id=JOB, deferrable=True).poke_interval == 5
        assert DrsSwitchoverSensor(task_id="c", job_id=JOB, poke_interval=7).poke_interval == 7
    assert DrsSwitchoverSensor(task_id="d", job_id=JOB).poke_interval == 5


@pytest.mark.parametrize(("soft_fail", "state"), [(False, "failed"), (True, "skipped")])
@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_timeout(mode: str, soft_fail: bool, state: str, drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(Job(JOB, status_script=[START]))
    ended = run_wait(mode, clock, timeout=timedelta(seconds=42), soft_fail=soft_fail, poke_interval=5)
    assert ended.state == state
    assert ended.error is None or type(ended.error).__name__ == "AirflowSensorTimeout"
    assert sum(ended.slept) == pytest.approx(42, abs=0.1), "neither before the timeout nor long after it"


@pytest.mark.parametrize(
    ("options", "raised"),
    [
        ({}, "AirflowSensorTimeout"),
        ({"soft_fail": True}, "AirflowSkipException"),
        ({"never_fail": True}, "AirflowSkipException"),
    ],
)
def test_timeout_when_deferred(options: dict[str, Any], raised: str) -> None:
    """Airflow resumes a task whose trigger timed out in this way; the real triggerer has a test of its own."""
    sensor = DrsSwitchoverSensor(task_id="wait", job_id=JOB, deferrable=True, **options)
    with pytest.raises(Exception, match=JOB) as caught:
        sensor.resume_execution("__fail__", {"error": "Trigger timeout"}, {})
    assert type(caught.value).__name__ == raised


@pytest.mark.parametrize("options", [{}, {"soft_fail": True}])
def test_a_trigger_that_broke_is_an_error_not_a_skip(options: dict[str, Any]) -> None:
    sensor = DrsSwitchoverSensor(task_id="wait", job_id=JOB, deferrable=True, **options)
    with pytest.raises(exceptions.DrsError, match="the trigger that waited for the switchover of job"):
        sensor.resume_execution("__fail__", {"error": "Trigger failure", "traceback": ["boom"]}, {})


@pytest.mark.parametrize("mode", SENSOR_MODES)
def test_exponential_backoff_and_max_wait(mode: str, drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(Job(JOB, status_script=[*[START] * 8, COMPLETE]))
    ended = run_wait(mode, clock, poke_interval=4, exponential_backoff=True, max_wait=timedelta(seconds=50))
    shortest = [2, 4, 8, 16, 32, 50, 50, 50]
    assert len(ended.slept) == 8
    for slept, least in zip(ended.slept, shortest, strict=True):
        assert least <= slept <= min(2 * least, 50) + A_TICK
    assert len(ended.news) == 2, "no line for a poll that changes nothing"


@pytest.mark.parametrize("mode", SENSOR_MODES)
@pytest.mark.parametrize(
    "job_id", ["", "None", "{{ none }}", "../x", "a/b", "a b", "a\nb", "a\x00b", "..", ".", "{{ params.missing }}"]
)
def test_bad_job_ids_end_the_task_before_any_request(
    mode: str, job_id: str, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    ended = run_wait(mode, clock, job_id=job_id)
    assert ended.state == "failed"
    if "missing" not in job_id:
        assert isinstance(ended.error, exceptions.DrsArgumentError)
        assert "job_id" in str(ended.error)
    assert drs.journal == []


def test_an_id_is_quoted_into_the_path(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    for mode in SENSOR_MODES:
        ended = run_wait(mode, clock, job_id="a?b#c%2f&d")
        assert isinstance(ended.error, exceptions.DrsJobNotFoundError)
    assert {entry.job_id for entry in drs.calls(GET_STATUS)} == {"a?b#c%2f&d"}


@pytest.mark.parametrize("mode", SENSOR_MODES)
def test_templates_are_rendered(
    mode: str, drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    drs.add_job(Job(JOB, status_script=[COMPLETE]))
    monkeypatch.setitem(os.environ, "AIRFLOW_CONN_DRS_TWO", os.environ["AIRFLOW_CONN_DRS_DEFAULT"])
    monkeypatch.delitem(os.environ, "AIRFLOW_CONN_DRS_DEFAULT")
    ended = run_wait(
        mode, clock,
        job_id=f"{{{{ '{JOB}' }}}}", drs_conn_id="drs_{{ 'two' }}", project_id=f"{{{{ '{drs.project_id}' }}}}",
    )  # fmt: skip
    assert ended.state == "success", ended.error
    assert all(f"/v3/{drs.project_id}/" in entry.path for entry in drs.calls(GET_STATUS))


@pytest.mark.parametrize("mode", SENSOR_MODES)
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"password": None}, "IAM password (password) is required with IAM user name (login)"),
        ({"extra": {"domain_name": ""}}, "Domain name (domain_name) is required with IAM user name (login)"),
        ({"host": "http://drs.example.com"}, "DRS endpoint (host) must be https"),
        ({"extra": {"verify": "/nowhere/ca.pem"}}, "Verify TLS (verify) names a CA file that cannot be used"),
    ],
)
def test_a_connection_that_cannot_work_sends_nothing(
    mode: str, change: dict[str, Any], says: str,
    drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    connection = drs.connection()
    connection = {**connection, **change, "extra": {**connection["extra"], **change.get("extra", {})}}
    monkeypatch.setitem(os.environ, "AIRFLOW_CONN_DRS_DEFAULT", json.dumps(connection))
    ended = run_wait(mode, clock, soft_fail=True)
    assert (ended.state, type(ended.error)) == ("failed", exceptions.DrsConfigError)
    assert says in str(ended.error)
    assert "[Connection 'drs_default'" in str(ended.error)
    assert drs.journal == []


@pytest.mark.parametrize("mode", SENSOR_MODES)
def test_a_connection_that_does_not_exist(
    mode: str, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_DRS_DEFAULT", raising=False)
    ended = run_wait(mode, clock, soft_fail=True, drs_conn_id="drs_missing")
    assert (ended.state, type(ended.error)) == ("failed", exceptions.DrsConfigError)
    assert "The connection is not defined" in str(ended.error)


def test_defaults() -> None:
    make = lambda **kwargs: DrsSwitchoverSensor(task_id="wait", job_id=JOB, **kwargs)  # noqa: E731
    assert (make().poke_interval, make(mode="reschedule").poke_interval) == (5, 60)
    assert make(mode="reschedule", poke_interval=7).poke_interval == 7
    assert make(poke_interval=timedelta(seconds=9)).poke_interval == 9
    assert make().timeout == timedelta(hours=24).total_seconds()
    # The task has the number once more: a DAG file must not load the module of the constant.
    assert make().transient_error_timeout == protocol.DEFAULT_TRANSIENT_ERROR_TIMEOUT
    assert make(transient_error_timeout=5).transient_error_timeout == 5
    assert make().deferrable is False
    assert make().verify_job_id is True
    for bad in (-1, "5", None, float("nan"), True):
        with pytest.raises(ValueError, match="transient_error_timeout"):
            make(transient_error_timeout=bad)


def test_the_memory_of_an_earlier_try_is_not_taken_up(drs: Simulator) -> None:
    """A task that a person clears begins a new wait, although the store still holds what the old one saw."""
    from airflow_provider_drs.sensors.base import MEMORY_KEY

    kept = {MEMORY_KEY: {"try_number": 1, "polls": 9, "first_polled_at": 5.0, "last_seen": START}}
    sensor = DrsSwitchoverSensor(task_id="wait", job_id=JOB, mode="reschedule")
    for try_number, polls in ((1, 9), (2, 0)):
        ti = SimpleNamespace(try_number=try_number, get_first_reschedule_date=lambda context: None)
        context: Any = {"ti": ti, "task_state_store": SimpleNamespace(get=kept.get)}
        assert sensor._recall(context)["polls"] == polls
