"""Start, pause, resume and stop: asked for once, waited for, and judged by what DRS says of the task itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from airflow_provider_drs import exceptions
from airflow_provider_drs.exceptions import DrsJobFailedError
from airflow_provider_drs.operators.jobs import (
    DrsPauseJobOperator,
    DrsResumeJobOperator,
    DrsStartJobOperator,
    DrsStopJobOperator,
)
from airflow_provider_drs.simulator import Fault, Job, Simulator
from tests.airflow.waits import run_one
from tests.clock import FakeClock
from tests.constants import BATCH_STATUS, JOB, OPERATOR_MODES, RELEASED, RUNNING
from tests.rows import Row, in_turn

START, PAUSE, RESUME, STOP = DrsStartJobOperator, DrsPauseJobOperator, DrsResumeJobOperator, DrsStopJobOperator
CALLS: dict[type[Any], str] = {
    START: "batch-starting",
    PAUSE: "batch-pause-task",
    RESUME: "batch-retry-task",
    STOP: "batch-jobs",
}


def _row(
    name: str, kind: type[Any], job: Mapping[str, Any] = MappingProxyType({}), fault: Fault | None = None, **more: Any
) -> Row:
    faults = ((CALLS[kind], fault),) if fault else ()
    state = "failed" if "error" in more else "success"
    return Row(name, job, faults=faults, kind=kind, state=state, **{"requests": 1, **more})


ROWS = [
    _row("start", START, {"status": "CONFIGURATION", "transition_seconds": 0}, status=RUNNING),
    _row("start, running already", START, requests=0, status=RUNNING),
    _row(
        "start, on its way",
        START,
        {"task_status_script": ["STARTJOBING", "STARTJOBING", "FULL_TRANSFER_STARTED"]},
        requests=0,
        status="FULL_TRANSFER_STARTED",
    ),
    _row("pause", PAUSE, {"transition_seconds": 0}, status="PAUSING"),
    _row("pause, paused already", PAUSE, {"status": "PAUSEING"}, requests=0, status="PAUSING"),
    _row("resume", RESUME, {"status": "PAUSING", "transition_seconds": 0}, status=RUNNING),
    _row("resume what failed", RESUME, {"status": "INCRE_TRANSFER_FAILED", "transition_seconds": 0}, status=RUNNING),
    _row("stop", STOP, {"transition_seconds": 0}, status=RELEASED),
    _row("stop what failed", STOP, {"status": "FULL_TRANSFER_FAILED", "transition_seconds": 0}, status=RELEASED),
    _row("stop by force", STOP, {"transition_seconds": 0}, options={"force": True}, status=RELEASED),
    _row("stop, stopped already", STOP, {"status": RELEASED}, requests=0, status=RELEASED),
    _row("lost after it took effect", PAUSE, {"transition_seconds": 0}, Fault.lost(), status="PAUSING"),
    _row("half a response", STOP, {"transition_seconds": 0}, Fault.cut(), status=RELEASED),
    _row("lost before", PAUSE, {"transition_seconds": 0}, Fault.status(503), requests=2, status="PAUSING"),
    _row("too frequent", STOP, {"transition_seconds": 0}, Fault.status(400, "DRS.M01503"), requests=2, status=RELEASED),
    _row(
        "busy, inside the 2xx",
        PAUSE,
        {"transition_seconds": 0},
        Fault.json({"results": [{"id": JOB, "status": "failed", "error_code": "DRS.M01504"}]}, 202),
        requests=2,
        status="PAUSING",
    ),
    _row(
        "wrong state, inside the 2xx",
        RESUME,
        {"status": "CONFIGURATION"},
        error=exceptions.DrsWrongStateError,
        says=(JOB, "resuming", "DRS.M00304"),
    ),
    _row(
        "refused with a code of its own",
        STOP,
        {"control_refused": "DRS.M00299"},
        error=exceptions.DrsRequestError,
        says=("stopping", "DRS.M00299"),
    ),
    _row(
        "fails on the way",
        START,
        {
            "status": "CONFIGURATION",
            "transition": ["STARTJOBING", "START_JOB_FAILED"],
            "transition_seconds": 0,
            "task_error_code": "DRS.M9",
            "task_error_msg": "no disk",
        },
        error=DrsJobFailedError,
        says=("START_JOB_FAILED", "DRS.M9: no disk"),
    ),
    _row(
        "resumed, and fails again",
        RESUME,
        {"status": "INCRE_TRANSFER_FAILED", "transition": ["INCRE_TRANSFER_FAILED"]},
        error=DrsJobFailedError,
        says=("INCRE_TRANSFER_FAILED",),
    ),
    _row(
        "does not get there",
        STOP,
        {"transition": ["RELEASE_RESOURCE_STARTED"], "transition_seconds": 0},
        options={"timeout": 120},
        error=exceptions.DrsTimeoutError,
        says=("RELEASE_RESOURCE_COMPLETE", "timeout", "RELEASE_RESOURCE_STARTED"),
    ),
    _row(
        "an unknown job",
        PAUSE,
        options={"job_id": "unknown-job"},
        requests=0,
        error=exceptions.DrsJobNotFoundError,
        says=("unknown-job",),
    ),
    _row("no job id", STOP, options={"job_id": ""}, requests=0, error=exceptions.DrsArgumentError),
    _row("no such mode", PAUSE, options={"pause_mode": "half"}, requests=0, error=exceptions.DrsArgumentError),
]


@in_turn(ROWS, OPERATOR_MODES)
def test_control(row: Row, mode: str, drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    assert row.kind is not None
    drs.add_job(Job(JOB, **row.job))
    row.plan(drs)

    ended = run_one(row.kind, mode, clock, **{"job_id": JOB, **row.options})

    row.check_end(ended.state, ended.error)
    requests = drs.calls(CALLS[row.kind])
    assert len(requests) == row.requests
    if row.error is None:
        assert list(ended.xcom) == ["job_id", "action", "status_before", "status", "requested", "finished_at"]
        assert (ended.xcom["status"], ended.xcom["requested"]) == (row.status, len(requests) > 0)


def test_without_waiting(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(Job(JOB, transition_seconds=3600))
    ended = run_one(STOP, "poke", clock, job_id=JOB, wait_for_completion=False)
    assert ended.state == "success"
    assert ended.xcom["status_before"] == RUNNING
    assert len(drs.calls(BATCH_STATUS)) == len(drs.calls("batch-jobs")) == 1


@pytest.mark.parametrize(("given", "sent"), [(None, {}), (True, {"is_sync_re_edit": True})])
def test_a_resume_tells_that_the_objects_were_edited(
    given: bool | None, sent: dict[str, bool], drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(Job(JOB, status="PAUSING", transition_seconds=0))
    assert run_one(RESUME, "poke", clock, job_id=JOB, is_sync_re_edit=given).state == "success"
    [entry] = drs.calls("batch-retry-task")
    assert entry.body == {"jobs": [{"job_id": JOB, **sent}]}


@pytest.mark.parametrize("times", [5, None])
def test_trouble_before_anything_is_asked_is_waited_out_in_the_triggerer(
    times: int | None, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(Job(JOB, transition_seconds=0))
    drs.fault(BATCH_STATUS, Fault.status(503), times=times)
    ended = run_one(STOP, "deferrable", clock, job_id=JOB, transient_error_timeout=120)
    assert sum("Deferring until DRS responds" in line for line in ended.levels("info")) == 1
    if times is None:
        assert type(ended.error) is exceptions.DrsUnavailableError
        assert "no good response for 2 minutes" in str(ended.error)
    else:
        assert (ended.state, ended.xcom["status"]) == ("success", RELEASED)
    assert len(drs.calls("batch-jobs")) == (0 if times is None else 1)


def test_trouble_that_lasts_leaves_open_what_became_of_a_lost_request(
    drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(Job(JOB))
    drs.fault("batch-jobs", Fault.reset(), times=None)
    ended = run_one(STOP, "poke", clock, job_id=JOB, transient_error_timeout=120)
    assert type(ended.error) is exceptions.DrsError
    assert "is not known" in str(ended.error)
    assert "Nothing was changed" not in str(ended.error)
    assert sum(ended.slept) == pytest.approx(120)


def test_what_a_deferral_stores_is_json_without_secrets(drs: Simulator, airflow_db: None) -> None:
    from airflow_provider_drs.protocol.jobs.wanted import JobsCondition
    from airflow_provider_drs.triggers.jobs import DrsCompareTrigger, DrsJobsTrigger

    for trigger in (
        DrsJobsTrigger(wanted=JobsCondition((JOB,), (RUNNING,), deadline=1.0).to_dict(), silent_fail=True),
        DrsCompareTrigger(job_id=JOB, compare="lines", compare_id="c1", deadline=1.0),
    ):
        path, kwargs = trigger.serialize()
        assert path == f"airflow_provider_drs.triggers.jobs.{type(trigger).__name__}"
        assert type(trigger)(**json.loads(json.dumps(kwargs))).serialize() == (path, kwargs)
        assert not {"token", "password"} & set(kwargs)
