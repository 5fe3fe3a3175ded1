"""Start, pause, resume and stop: asked for once, waited for, and judged by what DRS says of the task itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
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

START, PAUSE, RESUME, STOP = DrsStartJobOperator, DrsPauseJobOperator, DrsResumeJobOperator, DrsStopJobOperator
CALLS = {START: "batch-starting", PAUSE: "batch-pause-task", RESUME: "batch-retry-task", STOP: "batch-jobs"}


@dataclass
class Row:
    name: str
    kind: type[Any]
    job: dict[str, Any] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    requests: int = 1
    taken: int | None = None
    status: str | None = None
    error: type[BaseException] | None = None
    says: tuple[str, ...] = ()


ROWS = [
    Row("start", START, {"status": "CONFIGURATION", "transition_seconds": 0}, status=RUNNING),
    Row("start, running already", START, requests=0, status=RUNNING),
    Row(
        "start, on its way",
        START,
        {"task_status_script": ["STARTJOBING", "STARTJOBING", "FULL_TRANSFER_STARTED"]},
        requests=0,
        status="FULL_TRANSFER_STARTED",
    ),
    Row("pause", PAUSE, {"transition_seconds": 0}, status="PAUSING"),
    Row("pause, paused already", PAUSE, {"status": "PAUSEING"}, requests=0, status="PAUSING"),
    Row("resume", RESUME, {"status": "PAUSING", "transition_seconds": 0}, status=RUNNING),
    Row("resume what failed", RESUME, {"status": "INCRE_TRANSFER_FAILED", "transition_seconds": 0}, status=RUNNING),
    Row("stop", STOP, {"transition_seconds": 0}, status=RELEASED),
    Row("stop what failed", STOP, {"status": "FULL_TRANSFER_FAILED", "transition_seconds": 0}, status=RELEASED),
    Row("stop by force", STOP, {"transition_seconds": 0}, options={"force": True}, status=RELEASED),
    Row("stop, stopped already", STOP, {"status": RELEASED}, requests=0, status=RELEASED),
    Row("lost after it took effect", PAUSE, {"transition_seconds": 0}, (Fault.lost(),), status="PAUSING"),
    Row("half an answer", STOP, {"transition_seconds": 0}, (Fault.cut(),), status=RELEASED),
    Row("lost before", PAUSE, {"transition_seconds": 0}, (Fault.status(503),), requests=2, status="PAUSING"),
    Row(
        "too frequent", STOP, {"transition_seconds": 0}, (Fault.status(400, "DRS.M01503"),), requests=2, status=RELEASED
    ),
    Row(
        "busy, inside the 2xx",
        PAUSE,
        {"transition_seconds": 0},
        (Fault.json({"results": [{"id": JOB, "status": "failed", "error_code": "DRS.M01504"}]}, 202),),
        requests=2,
        status="PAUSING",
    ),
    Row(
        "wrong state, inside the 2xx",
        RESUME,
        {"status": "CONFIGURATION"},
        error=exceptions.DrsWrongStateError,
        says=(JOB, "resuming", "DRS.M00304"),
    ),
    Row(
        "refused with a code of its own",
        STOP,
        {"control_refused": "DRS.M00299"},
        error=exceptions.DrsRequestError,
        says=("stopping", "DRS.M00299"),
    ),
    Row(
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
    Row(
        "resumed, and fails again",
        RESUME,
        {"status": "INCRE_TRANSFER_FAILED", "transition": ["INCRE_TRANSFER_FAILED"]},
        error=DrsJobFailedError,
        says=("INCRE_TRANSFER_FAILED",),
    ),
    Row(
        "does not get there",
        STOP,
        {"transition": ["RELEASE_RESOURCE_STARTED"], "transition_seconds": 0},
        options={"timeout": 120},
        error=exceptions.DrsError,
        says=("RELEASE_RESOURCE_COMPLETE", "time-out", "RELEASE_RESOURCE_STARTED"),
    ),
    Row(
        "an unknown job",
        PAUSE,
        options={"job_id": "unknown-job"},
        requests=0,
        error=exceptions.DrsJobNotFoundError,
        says=("unknown-job",),
    ),
    Row("no job id", STOP, options={"job_id": ""}, requests=0, error=exceptions.DrsArgumentError),
    Row("no such mode", PAUSE, options={"pause_mode": "half"}, requests=0, error=exceptions.DrsArgumentError),
]


@pytest.mark.parametrize("mode", OPERATOR_MODES)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_control(row: Row, mode: str, drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(Job(JOB, **row.job))
    for fault in row.faults:
        drs.fault(CALLS[row.kind], fault)

    ended = run_one(row.kind, mode, clock, **{"job_id": JOB, **row.options})

    assert type(ended.error) is (row.error or type(None)), ended
    assert not [word for word in row.says if word not in str(ended.error)], str(ended.error)
    requests = drs.calls(CALLS[row.kind])
    assert len(requests) == row.requests
    if row.error is None:
        assert ended.state == "success"
        assert list(ended.xcom) == ["job_id", "action", "status_before", "status", "requested", "finished_at"]
        assert (ended.xcom["status"], ended.xcom["requested"]) == (row.status, row.requests > 0)


def test_without_waiting(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(Job(JOB, transition_seconds=3600))
    ended = run_one(STOP, "poke", clock, job_id=JOB, wait_for_completion=False)
    assert ended.state == "success"
    assert ended.xcom["status_before"] == RUNNING
    assert len(drs.calls(BATCH_STATUS)) == len(drs.calls("batch-jobs")) == 1


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
    from airflow_provider_drs.protocol.jobs.wait import JobsCondition
    from airflow_provider_drs.triggers.jobs import DrsCompareTrigger, DrsJobsTrigger

    for trigger in (
        DrsJobsTrigger(wanted=JobsCondition((JOB,), (RUNNING,), deadline=1.0).to_dict(), silent_fail=True),
        DrsCompareTrigger(job_id=JOB, compare="lines", compare_id="c1", deadline=1.0),
    ):
        path, kwargs = trigger.serialize()
        assert path == f"airflow_provider_drs.triggers.jobs.{type(trigger).__name__}"
        assert type(trigger)(**json.loads(json.dumps(kwargs))).serialize() == (path, kwargs)
        assert not {"token", "password"} & set(kwargs)
