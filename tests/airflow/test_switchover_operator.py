"""The operator in a real Airflow: guards, one SWITCH, the freshness rule, and what a second try does."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_drs import exceptions
from airflow_provider_drs.metrics import Metrics
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor
from airflow_provider_drs.simulator import Fault, Job, Simulator
from tests.airflow.waits import Ended, in_mode, run_one, run_task, run_wait
from tests.clock import FakeClock
from tests.constants import (
    COMPLETE,
    FAILED,
    GET_STATUS,
    JOB,
    OPERATOR_MODES,
    SENSOR_MODES,
    START,
    SWITCH,
)
from tests.protocol.scripted import ScriptedRuntime


def _switch(way: str, clock: FakeClock, **kwargs: Any) -> Ended:
    # ``mode`` is the direction here: an operator waits on a worker or in the triggerer.
    return run_task(
        lambda task_id, callbacks: DrsSwitchoverOperator(
            task_id=task_id, **callbacks, **in_mode(way), **{"job_id": JOB, "mode": "target", **kwargs}
        ),
        way,
        clock,
    )


def _job(before: str | None = None, after: list[str | None] | None = None, **more: Any) -> Job:
    return Job(JOB, status_script=[before], status_after_switch=after or [START, START, COMPLETE], **more)


@pytest.mark.parametrize("mode", OPERATOR_MODES)
def test_it_switches_once_and_returns_the_evidence(
    mode: str, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(_job(after=[None, START, START, COMPLETE], lag_script=["2"]))
    ended = _switch(mode, clock, max_lag=timedelta(seconds=5))
    assert ended.state == "success", ended.error
    assert drs.switched(JOB) == ["target"]
    xcom = ended.xcom
    json.dumps(xcom)
    assert (xcom["job_id"], xcom["mode"], xcom["outcome"], xcom["status"]) == (JOB, "target", "done", COMPLETE)
    assert [(g["name"], g["ok"], g["value"]) for g in xcom["guards"]] == [
        ("job_state", True, "INCRE_TRANSFER_STARTED"), ("lag_seconds", True, 2.0), ("switchover_status", True, None),
    ]  # fmt: skip
    assert [change["status"] for change in xcom["observed"]] == [None, START, COMPLETE]
    assert xcom["task_id"] == "wait"
    assert xcom["dag_id"] == f"wait_{mode}"
    assert xcom["try_number"] == 1
    assert xcom["posted_at"] <= xcom["accepted_at"] <= xcom["finished_at"]
    assert set(xcom["seconds"]) == {"guards", "switchover", "detection"}
    assert xcom["seconds"]["detection"] <= 5.1


@pytest.mark.parametrize("mode", OPERATOR_MODES)
@pytest.mark.parametrize(
    ("job", "options", "guard"),
    [
        ({"status": "FULL_TRANSFER_STARTED"}, {}, "job_state is 'FULL_TRANSFER_STARTED'"),
        ({"status": "INCRE_TRANSFER_FAILED"}, {}, "job_state"),
        ({"lag_script": ["-1"]}, {}, "lag_seconds is '-1'"),
        ({"lag_script": ["6"]}, {"max_lag": 5}, "lag_seconds is 6.0, must be known and at most 5 seconds"),
        ({"lag_script": ["6"]}, {"max_lag": "{{ 5 }}"}, "lag_seconds"),
        ({"lag_script": [None]}, {}, "lag_seconds"),
        ({"before": START}, {}, "switchover_status is 'SWITCH_VIP_START'"),
        ({"before": "ODD"}, {"on_running": "attach"}, "switchover_status is 'ODD'"),
    ],
)
def test_a_guard_that_does_not_hold_changes_nothing(
    mode: str, job: dict[str, Any], options: dict[str, Any], guard: str,
    drs: Simulator, airflow_db: None, clock: FakeClock,
) -> None:  # fmt: skip
    drs.add_job(_job(**job))
    ended = _switch(mode, clock, **options)
    assert (ended.state, type(ended.error)) == ("failed", exceptions.DrsGuardError)
    assert guard in str(ended.error)
    assert JOB in str(ended.error)
    assert drs.calls(SWITCH) == []
    assert ended.evidence["outcome"] == "read"
    assert not all(g["ok"] for g in ended.evidence["guards"])


@pytest.mark.parametrize("mode", OPERATOR_MODES)
@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault.status(400, "DRS.M00304", "not in this state"), "not in this state"),
        (Fault.status(400, "DRS.M05004", "released"), "released"),
        (Fault.no_permission(), "DRS.M00103"),
    ],
)
def test_a_refusal(mode: str, fault: Fault, says: str, drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(_job())
    drs.fault(SWITCH, fault)
    ended = _switch(mode, clock)
    assert (ended.state, type(ended.error)) == ("failed", exceptions.DrsSwitchoverRefusedError)
    assert says in str(ended.error)
    assert len(drs.calls(SWITCH)) == 1
    assert drs.switched(JOB) == []
    assert ended.evidence["outcome"] == "refused"


@pytest.mark.parametrize("mode", OPERATOR_MODES)
@pytest.mark.parametrize("fault", [Fault.too_frequent(), Fault.busy(), Fault.expired_token()])
def test_what_passes_by_itself_is_asked_again(
    mode: str, fault: Fault, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(_job())
    drs.fault(SWITCH, fault, times=2)
    ended = _switch(mode, clock)
    assert ended.state == "success", ended.error
    assert drs.switched(JOB) == ["target"]


@pytest.mark.parametrize("mode", OPERATOR_MODES)
@pytest.mark.parametrize(
    "fault",
    [
        Fault.lost(),
        Fault.status(500),
        Fault.html(),
        Fault.empty(202),
        Fault.reset(),
        # Without a code of DRS it may be anyone's word.
        Fault.too_many(retry_after=40),
        Fault.json({"id": JOB, "status": "failed"}, 202),
        Fault.html(404),
        Fault.status(403),
    ],
)
@pytest.mark.parametrize("wait_for_completion", [True, False])
def test_a_lost_answer_is_not_repeated(
    mode: str, fault: Fault, wait_for_completion: bool, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    """Taken or not, DRS is asked once; what was taken shows itself, what was not is unknown."""
    drs.add_job(_job(before=COMPLETE, after=[COMPLETE, COMPLETE, START, START, COMPLETE]))
    drs.fault(SWITCH, fault)
    ended = _switch(mode, clock, settle=None, wait_for_completion=wait_for_completion)
    assert len(drs.calls(SWITCH)) == 1
    if drs.switched(JOB):
        assert ended.state == "success", ended.error
        assert ended.xcom["outcome"] == ("done" if wait_for_completion else "accepted")
    else:
        assert (ended.state, type(ended.error)) == ("failed", exceptions.DrsSwitchoverUnknownError)
        assert "response to it was lost" in str(ended.error)
        assert ended.evidence["outcome"] == "unknown"


@pytest.mark.parametrize("mode", OPERATOR_MODES)
@pytest.mark.parametrize(
    ("before", "after", "settle", "outcome"),
    [
        (COMPLETE, [COMPLETE] * 5 + [START, COMPLETE], 30, "done"),
        (COMPLETE, [COMPLETE] * 5 + [START, FAILED], 30, "failed"),
        (FAILED, [FAILED] * 5 + [START, START, COMPLETE], None, "done"),
        (FAILED, [FAILED, COMPLETE], None, "done"),
        (None, [None, FAILED], 30, "failed"),
        (COMPLETE, [COMPLETE], 30, "done"),
        (COMPLETE, [COMPLETE], None, "unknown"),
        (FAILED, [FAILED], 30, "unknown"),  # a failure is never guessed
        (FAILED, [FAILED] * 40 + [START, COMPLETE], 30, "done"),
        (COMPLETE, [START, COMPLETE, START, FAILED], 30, "failed"),  # one stale read is not the end
        (None, [None, COMPLETE, START, FAILED], 30, "failed"),
        (None, ["EMPTY"], 30, "unknown"),
    ],
)
def test_the_freshness_rule(
    mode: str, before: str | None, after: list[str | None], settle: float | None, outcome: str,
    drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    drs.add_job(_job(before, after, error_code="DRS.M9", error_msg="in use"))
    counted: list[str] = []
    monkeypatch.setattr(Metrics, "switched", lambda _, outcome: counted.append(outcome))
    began = clock.now
    ended = _switch(mode, clock, settle=settle)
    evidence = ended.xcom if outcome == "done" else ended.evidence
    assert evidence["outcome"] == outcome, ended.error
    assert counted == [outcome], "an alarm stands on it"
    assert ended.state == ("success" if outcome == "done" else "failed")
    errors = {"failed": exceptions.DrsSwitchoverFailedError, "unknown": exceptions.DrsSwitchoverUnknownError}
    assert type(ended.error) is errors.get(outcome, type(None))
    if outcome == "done" and len(after) == 1:
        assert clock.now - began >= (settle or 0), "an unchanged result is trusted only after it has settled"


@pytest.mark.parametrize("mode", OPERATOR_MODES)
def test_the_sensor_waits_for_that_switchover_and_no_other(
    mode: str, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(_job(COMPLETE, [*[COMPLETE] * 4, START, FAILED], error_msg="in use"))
    switched = _switch(mode, clock, wait_for_completion=False)
    assert (switched.state, switched.xcom["outcome"]) == ("success", "accepted")
    for wait_mode in SENSOR_MODES:
        drs.add_job(Job(JOB, status_script=[*[COMPLETE] * 4, START, FAILED], error_msg="in use"))
        often = {"poke_interval": 1} if wait_mode == "reschedule" else {}
        told = switched.xcom | {"settle": 600}
        waited = run_one(DrsSwitchoverSensor, wait_mode, clock, switchover=told, **often)
        assert type(waited.error) is exceptions.DrsSwitchoverFailedError


def test_what_the_sensor_takes_for_a_switchover(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    for wrong in ({}, {"job_id": JOB}, {"job_id": JOB, "outcome": "refused"}, "text"):
        ended = run_one(DrsSwitchoverSensor, "poke", clock, switchover=wrong)
        assert type(ended.error) is exceptions.DrsArgumentError
    planned = {"dry_run": True, "job_id": JOB}
    assert run_one(DrsSwitchoverSensor, "poke", clock, switchover=planned).state == "skipped"
    assert drs.journal == []


@pytest.mark.parametrize("mode", OPERATOR_MODES)
def test_attach(mode: str, drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(Job(JOB, status_script=[START, START, START, COMPLETE]))
    ended = _switch(mode, clock, on_running="attach")
    assert (ended.state, ended.xcom["attached"], ended.xcom["mode"]) == ("success", True, None), ended.error
    assert drs.calls(SWITCH) == []
    assert any("DRS does not say which mode it has" in line for line in ended.levels("info"))


def test_dry_run(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(_job(lag_script=["7"]))
    for max_lag, ready in ((10, True), (5, False)):
        ended = _switch("poke", clock, dry_run=True, max_lag=max_lag)
        assert ended.state == "success"
        assert ended.xcom["ready"] is ready
        assert ended.xcom["call"]["method"] == "POST"
        assert ended.xcom["call"]["url"].endswith(f"/jobs/{JOB}/switch-vip")
        assert ended.xcom["call"]["body"] == {"mode": "target"}
    assert drs.calls(SWITCH) == []


@pytest.mark.parametrize("mode", OPERATOR_MODES)
def test_trouble_after_the_acceptance_leaves_it_open_and_a_retry_takes_it_up(
    mode: str, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(_job(after=[START, COMPLETE]))
    # The two reads of the baseline are good; then DRS is away for longer than the first try is willing to wait.
    drs.fault(GET_STATUS, Fault.json({"id": JOB, "status": None}), times=2)
    drs.fault(GET_STATUS, Fault.status(503), times=4)
    ended = _switch(mode, clock, transient_error_timeout=20, retries=1, retry_delay=timedelta(0))
    assert (ended.state, ended.tries) == ("success", 2)
    assert drs.switched(JOB) == ["target"]
    assert len(drs.calls(SWITCH)) == 1


@pytest.mark.parametrize(
    "options", [{"mode": "both"}, {"mode": ""}, {"job_id": "a/b"}, {"max_lag": "soon"}, {"max_lag": "-1"}]
)
def test_bad_arguments(options: dict[str, Any], drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    ended = _switch("poke", clock, **options)
    assert type(ended.error) is exceptions.DrsArgumentError
    assert drs.journal == []
    with pytest.raises(ValueError, match="max_lag"):
        DrsSwitchoverOperator(task_id="x", job_id=JOB, mode="source", max_lag=-1)
    with pytest.raises(ValueError, match="on_running"):
        DrsSwitchoverOperator(task_id="x", job_id=JOB, mode="source", on_running="wait")


def test_a_switchover_of_none_is_not_any_switchover(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    """It is what an operator that stopped at a guard leaves to the sensor after it."""
    drs.add_job(Job(JOB, status_script=[COMPLETE]))
    for way in SENSOR_MODES:
        ended = run_wait(way, clock, switchover="{{ none }}")
        assert type(ended.error) is exceptions.DrsArgumentError, ended
    with pytest.raises(exceptions.DrsArgumentError, match="switchover is None"):
        DrsSwitchoverSensor(task_id="wait", job_id=JOB, switchover=None)._check({})
    assert drs.journal == []


@pytest.mark.parametrize("mode", OPERATOR_MODES)
@pytest.mark.parametrize("fault", [Fault.json({}), Fault.status(422, "DRS.M00002")])
def test_an_empty_answer_is_no_baseline(
    mode: str, fault: Fault, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    """The result of last week shows again after it; it is not the outcome of this switchover."""
    drs.add_job(_job(COMPLETE, [*[COMPLETE] * 4, START, FAILED]))
    drs.fault(GET_STATUS, fault)
    ended = _switch(mode, clock, settle=None)
    assert type(ended.error) is exceptions.DrsSwitchoverFailedError


@pytest.mark.parametrize("mode", OPERATOR_MODES)
def test_before_it_is_asked_again_the_guards_are_read_again(
    mode: str, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(_job(lag_script=["0", "9"]))
    drs.fault(SWITCH, Fault.status(400, "DRS.M01503", headers={"Retry-After": "60"}))
    ended = _switch(mode, clock, max_lag=5)
    assert type(ended.error) is exceptions.DrsGuardError
    assert drs.switched(JOB) == []


def test_a_longer_retry_after_than_it_may_wait_is_a_refusal(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(_job())
    drs.fault(SWITCH, Fault.status(400, "DRS.M01503", headers={"Retry-After": "3000"}))
    ended = _switch("poke", clock)
    assert type(ended.error) is exceptions.DrsSwitchoverRefusedError
    assert sum(ended.slept) < 60


@pytest.mark.parametrize("mode", OPERATOR_MODES)
def test_no_message_says_that_nothing_was_changed_once_it_was_asked_for(
    mode: str, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(_job())
    drs.fault(GET_STATUS, Fault.json({"id": JOB, "status": None}), times=2)
    drs.fault(GET_STATUS, Fault.status(503), times=None)
    ended = _switch(mode, clock, transient_error_timeout=30)
    assert type(ended.error) is exceptions.DrsUnavailableError
    assert "may be running or done" in str(ended.error)
    assert "Nothing was changed" not in str(ended.error)
    assert ended.evidence["outcome"] == "accepted"


@pytest.mark.parametrize("mode", OPERATOR_MODES)
def test_retry_after_does_not_outlast_the_time_out(
    mode: str, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(_job(after=[START]))
    drs.fault(GET_STATUS, Fault.json({"id": JOB, "status": None}), times=2)
    drs.fault(GET_STATUS, Fault.too_many(retry_after=3000), times=None)
    ended = _switch(mode, clock, timeout=90)
    assert type(ended.error) is exceptions.DrsSwitchoverUnknownError
    assert sum(ended.slept) == pytest.approx(90, abs=2)


def test_a_redirect_of_the_post_leaves_it_open(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(_job())
    drs.fault(SWITCH, Fault.redirect("https://elsewhere.invalid/", 303))
    ended = _switch("poke", clock)
    assert type(ended.error) is exceptions.DrsSwitchoverUnknownError
    assert len(drs.calls(SWITCH)) == 1


@pytest.mark.parametrize("attach", [True, False])
@pytest.mark.parametrize("running", [True, False])
def test_a_further_try_that_finds_no_record_never_switches(running: bool, attach: bool) -> None:
    """It joins what is running only where that was asked for, whatever the guards say."""
    from airflow_provider_drs.protocol.jobs.replies import JobProgress, JobState
    from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply
    from airflow_provider_drs.protocol.switchover.phases import Phase
    from airflow_provider_drs.protocol.switchover.request import SwitchoverRequest
    from airflow_provider_drs.protocol.switchover.switch import switch

    replies = {
        "batch-status": {JOB: JobState(JOB, "INCRE_TRANSFER_FAILED")},
        "batch-progress": {JOB: JobProgress(JOB, None, "-1")},
        "get-switch-vip-status": SwitchoverReply(JOB, START if running else COMPLETE),
    }
    runtime = ScriptedRuntime(lambda call: replies[call.name])
    record = switch(SwitchoverRequest(JOB, "target", first_try=False, attach=attach), None, runtime)
    joined = running and attach
    assert record.phase is (Phase.ACCEPTED if joined else Phase.UNKNOWN)
    assert record.attached is joined


def test_what_was_written_down_for_another_job_stops_the_task() -> None:
    from airflow_provider_drs.protocol.switchover.phases import Phase
    from airflow_provider_drs.protocol.switchover.record import Record
    from airflow_provider_drs.protocol.switchover.request import SwitchoverRequest
    from airflow_provider_drs.protocol.switchover.switch import NotSwitchedError, switch

    for phase in (Phase.DONE, Phase.ACCEPTED, Phase.FAILED, Phase.UNKNOWN):
        record = Record(JOB, "target", phase=phase)
        with pytest.raises(NotSwitchedError, match="start a new DAG run") as stopped:
            switch(SwitchoverRequest(JOB, "source"), record, ScriptedRuntime(lambda call: None))
        assert isinstance(stopped.value.error, exceptions.DrsRecordError)
        assert stopped.value.record is record
