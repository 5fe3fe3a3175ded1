"""Trouble before anything is asked for, left to the triggerer: it ends, and soon after DRS responds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_drs.exceptions import DrsUnavailableError
from airflow_provider_drs.operators.compare import DrsCompareOperator
from airflow_provider_drs.operators.drs import DrsStartJobOperator, DrsSwitchoverOperator
from airflow_provider_drs.protocol import DrsUnreachableError
from airflow_provider_drs.simulator import Fault, Job, Simulator
from tests.airflow.waits import Ended, run_one
from tests.clock import FakeClock
from tests.constants import (
    BATCH_PROGRESS,
    BATCH_STATUS,
    COMPLETE,
    CREATE_COMPARISON,
    GET_STATUS,
    JOB,
    OPERATOR_MODES,
    RUNNING,
    START,
    SWITCH,
    TOKENS,
)

DOWN = Fault.status(503)


class CutOver(DrsSwitchoverOperator):
    """Switches the target; ``run_one`` has a ``mode`` of its own."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(mode="target", **kwargs)


class CutOff(CutOver):
    """Has no way to DRS from its worker, while the triggerer has one."""

    def _connect(self, context: Any, runtime: Any) -> None:
        def send(call: Any) -> Any:
            raise DrsUnreachableError("no route to host")

        runtime.send = send


class Verified(DrsStartJobOperator):
    """Does something of its own with the result."""

    def execute(self, context: Any) -> Any:
        return {**super().execute(context), "verified": True}


def _deferrals(ended: Ended) -> int:
    return sum("Deferring until DRS responds" in line for line in ended.levels("info"))


def test_a_worker_that_alone_cannot_reach_drs_ends(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(Job(JOB))
    began = clock.now
    ended = run_one(CutOff, "deferrable", clock, job_id=JOB)
    assert (type(ended.error), _deferrals(ended)) == (DrsUnavailableError, 1)
    assert clock.now - began < 1000.0
    assert ended.evidence["outcome"] == "begun"
    assert drs.calls(SWITCH) == []


def test_a_call_that_fails_while_others_are_well_ends(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    """Another comparison runs on and on; DRS responds to all that the triggerer asks."""
    drs.add_job(Job(JOB))
    drs.fault(CREATE_COMPARISON, Fault.busy(), times=1000)
    began = clock.now
    ended = run_one(DrsCompareOperator, "deferrable", clock, job_id=JOB, conflict_policy="keep")
    assert (type(ended.error), _deferrals(ended)) == (DrsUnavailableError, 1)
    assert clock.now - began < 1000.0


def test_a_long_interval_does_not_count_in_trouble(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(Job(JOB, status=RUNNING))
    drs.fault(BATCH_STATUS, DOWN, times=6)
    began = clock.now
    ended = run_one(DrsStartJobOperator, "deferrable", clock, job_id=JOB, poll_interval=600)
    assert (ended.state, _deferrals(ended)) == ("success", 1), ended.error
    assert clock.now - began < 200.0


def test_the_execution_timeout_ends_it_too(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    """Airflow does not watch a deferred task: it would switch later than it may."""
    drs.add_job(Job(JOB))
    drs.fault(GET_STATUS, DOWN, times=1000)
    began, limit = clock.now, timedelta(minutes=5)
    ended = run_one(CutOver, "deferrable", clock, job_id=JOB, execution_timeout=limit)
    assert (type(ended.error), _deferrals(ended)) == (DrsUnavailableError, 1)
    assert clock.now - began < 400.0
    assert ended.evidence["outcome"] == "begun"


def test_a_pause_that_drs_asks_for_is_shorter_than_the_deferral(drs: Simulator, clock: FakeClock) -> None:
    drs.add_job(Job(JOB))
    drs.fault(BATCH_STATUS, Fault.too_many(retry_after=3000))
    with pytest.raises(TaskDeferred) as deferred:
        DrsStartJobOperator(task_id="s", job_id=JOB, deferrable=True).execute({"ti": None})  # type: ignore[typeddict-item]
    assert deferred.value.timeout is not None
    assert deferred.value.timeout > timedelta(seconds=3000 + 900)


def test_what_a_subclass_does_is_done_after_it_too(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(Job(JOB, status=RUNNING))
    drs.fault(BATCH_STATUS, DOWN, times=6)
    ended = run_one(Verified, "deferrable", clock, job_id=JOB)
    assert (_deferrals(ended), ended.xcom["verified"]) == (1, True)


@pytest.mark.parametrize("mode", OPERATOR_MODES)
@pytest.mark.parametrize("call", [GET_STATUS, BATCH_STATUS, BATCH_PROGRESS, TOKENS])
def test_trouble_before_drs_is_asked_is_waited_out_in_the_triggerer(
    mode: str, call: str, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(Job(JOB, status_script=[None], status_after_switch=[START, START, COMPLETE]))
    drs.fault(call, Fault.status(503), times=7)
    ended = run_one(CutOver, mode, clock, job_id=JOB)
    assert (ended.state, ended.tries) == ("success", 1), ended.error
    assert drs.switched(JOB) == ["target"]
    assert _deferrals(ended) == (1 if mode == "deferrable" else 0)
    assert sum("responds again" in line for line in ended.levels("info")) == (1 if mode == "deferrable" else 0)


@pytest.mark.parametrize("options", [{}, {"dry_run": True}], ids=["switches", "dry run"])
@pytest.mark.parametrize("mode", OPERATOR_MODES)
def test_trouble_before_drs_is_asked_that_does_not_end(
    mode: str, options: dict[str, Any], drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(Job(JOB, status_script=[None], status_after_switch=[START, START, COMPLETE]))
    drs.fault(BATCH_STATUS, Fault.status(503), times=None)
    began = clock.time()
    ended = run_one(CutOver, mode, clock, job_id=JOB, transient_error_timeout=120, **options)
    assert (ended.state, type(ended.error)) == ("failed", DrsUnavailableError)
    assert "no good response for 2 minutes" in str(ended.error)
    assert JOB in str(ended.error)
    assert "drs_default" in str(ended.error)
    assert clock.time() - began == pytest.approx(120, abs=10)
    assert drs.calls(SWITCH) == []
    if not options:
        assert ended.evidence["outcome"] == "begun"
