"""What the gates make of statuses and lags, alike in poke, reschedule and deferrable mode."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_drs import exceptions
from airflow_provider_drs.exceptions import DrsJobFailedError
from airflow_provider_drs.sensors.jobs import DrsJobReadySensor, DrsJobStatusSensor
from airflow_provider_drs.simulator import Fault, Job, Simulator
from tests.airflow.waits import run_one
from tests.clock import FakeClock
from tests.constants import BATCH_PROGRESS, BATCH_STATUS, JOB, OTHER_JOB, RUNNING, SENSOR_MODES
from tests.rows import Row, in_turn

READY = [
    Row("ready from the start", polls=3),
    Row("one sample is enough", options={"stable_samples": 1}, polls=1),
    Row("full transfer first", {"task_status_script": ["FULL_TRANSFER_STARTED"] * 4 + [RUNNING]}, polls=7),
    Row("lag falls", {"lag_script": [30, 30, 5, 0]}, polls=6),
    Row("lag within the limit", {"lag_script": [9, 4, 5, 5]}, {"max_lag": 5}, polls=4, lag=5.0),
    Row("limit from a template", {"lag_script": [9, 4, 5, 5]}, {"max_lag": "{{ 2 + 3 }}"}, polls=4, lag=5.0),
    Row("a relapse begins anew", {"lag_script": [0, 0, 7, 0]}, polls=6),
    Row("-1 is no small lag", {"lag_script": ["-1", "-1", 0]}, {"max_lag": 60}, polls=5),
    Row("no lag is no lag of 0", {"lag_script": [None, "ABSENT", "", "soon", "NaN", "-0.5", "1e-9", 0]}, polls=10),
    Row("an undocumented status is not healthy", {"task_status_script": ["NODE_UPGRADE_START", RUNNING]}, polls=4),
    Row("any lag that is known", {"lag_script": ["-1", 5000]}, {"max_lag": None}, polls=4, lag=5000.0),
    Row("trouble breaks the row", faults=((BATCH_STATUS, Fault.status(503)),), polls=4),
    Row("too frequent", faults=((BATCH_PROGRESS, Fault.status(400, "DRS.M01503")),), polls=4),
    Row(
        "failed",
        {
            "task_status_script": [RUNNING, "INCRE_TRANSFER_FAILED"],
            "task_error_code": "DRS.M7",
            "task_error_msg": "log",
        },
        {"failure_grace": 0},
        state="failed",
        error=DrsJobFailedError,
        says=(JOB, "INCRE_TRANSFER_FAILED", "DRS.M7: log"),
        polls=2,
    ),
    Row(
        "failed, in the other spelling",
        {"task_status_script": ["STARTJOB_FAILED"]},
        {"failure_grace": 0},
        state="failed",
        error=DrsJobFailedError,
        says=("START_JOB_FAILED",),
        polls=1,
    ),
    Row(
        "failed, and resumed by DRS itself", {"task_status_script": ["INCRE_TRANSFER_FAILED"] * 3 + [RUNNING]}, polls=6
    ),
    Row(
        "failed for as long as the grace",
        {"status": "INCRE_TRANSFER_FAILED"},
        {"failure_grace": 299, "poke_interval": 60},
        state="failed",
        error=DrsJobFailedError,
        polls=None,  # a deferred wait may poll half an interval early
    ),
    Row("stopped", {"status": "RELEASE_RESOURCE_STARTED"}, state="failed", error=DrsJobFailedError, polls=1),
    Row(
        "a failed job may skip",
        {"status": "CREATE_FAILED"},
        {"soft_fail": True, "failure_grace": 0},
        state="skipped",
        polls=1,
    ),
    Row(
        "not listed",
        {"task_status_script": ["MISSING"]},
        state="failed",
        error=exceptions.DrsJobNotFoundError,
        says=(JOB, "does not list"),
        polls=1,
    ),
    Row(
        "not known, inside the 200",
        options={"job_id": "unknown-job"},
        state="failed",
        error=exceptions.DrsJobNotFoundError,
        says=("unknown-job", "DRS.M05003"),
        polls=1,
    ),
    Row(
        "no permission is not skipped",
        options={"soft_fail": True},
        faults=((BATCH_PROGRESS, Fault.no_permission()),),
        state="failed",
        error=exceptions.DrsPermissionError,
        polls=1,
    ),
]


@in_turn(READY, SENSOR_MODES)
def test_ready(row: Row, mode: str, drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(Job(JOB, **row.job))
    row.plan(drs)

    ended = run_one(DrsJobReadySensor, mode, clock, **{"job_id": JOB, **row.options})

    row.check_end(ended.state, ended.error)
    polls = drs.calls(BATCH_STATUS)
    assert row.polls is None or len(polls) == row.polls
    if row.state == "success":
        sample = ended.xcom[JOB]
        assert (list(ended.xcom), sample["status"], sample["lag"]) == ([JOB], RUNNING, row.lag or 0.0)
        assert sample["at"].endswith("+00:00")


@pytest.mark.parametrize("mode", ["poke", "reschedule"])  # what ends a deferred wait is not this clock
def test_never_ready(mode: str, drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(Job(JOB, status="FULL_TRANSFER_STARTED"))

    ended = run_one(DrsJobReadySensor, mode, clock, job_id=JOB, timeout=300)

    assert (ended.state, type(ended.error).__name__) == ("failed", "AirflowSensorTimeout")
    assert 2 <= len(ended.lines) <= 1 + 300 / 60, "a line a minute, not one for each poll that changes nothing"


@pytest.mark.parametrize("mode", SENSOR_MODES)
def test_a_time_out_tells_the_failure_it_saw(mode: str, drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(Job(JOB, status="INCRE_TRANSFER_FAILED", task_error_code="DRS.M7", task_error_msg="log gone"))

    ended = run_one(DrsJobReadySensor, mode, clock, job_id=JOB, timeout=120)

    assert (ended.state, type(ended.error).__name__) == ("failed", "AirflowSensorTimeout")
    assert "INCRE_TRANSFER_FAILED (DRS.M7: log gone)" in str(ended.error)
    assert len(ended.levels("warning")) == 1

    skipped = run_one(DrsJobStatusSensor, mode, clock, job_id=JOB, target_statuses=RUNNING, timeout=120, soft_fail=True)

    assert (skipped.state, skipped.error) == ("skipped", None)


@pytest.mark.parametrize("mode", SENSOR_MODES)
def test_all_of_many_jobs_in_two_requests_a_poll(mode: str, drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    ids = [JOB, *(f"{number:08}-4976-44dc-9948-e1265e4jb201" for number in range(99))]
    for job_id in ids[1:]:
        drs.add_job(Job(job_id))
    drs.add_job(Job(JOB, lag_script=[4, 3, 0]))

    ended = run_one(DrsJobReadySensor, mode, clock, job_ids=",".join(ids), stable_samples=2)

    assert ended.state == "success"
    assert list(ended.xcom) == ids
    assert len(drs.calls(BATCH_STATUS)) == len(drs.calls(BATCH_PROGRESS)) == 4
    assert [text for _, text in ended.lines if "99 of 100 ready" in text and JOB in text]
    changes = [text for _, text in ended.lines if not re.search("^Deferring|still waiting", text)]
    assert len(changes) == 3, "one line for each change"


def test_more_than_a_hundred_jobs_and_one_that_failed(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    ids = [f"{number:08}-4976-44dc-9948-e1265e4jb201" for number in range(101)]
    for job_id in ids:
        drs.add_job(Job(job_id))
    drs.add_job(Job(ids[-1], status="FULL_TRANSFER_FAILED"))

    ended = run_one(DrsJobReadySensor, "poke", clock, job_ids=ids, failure_grace=0)

    assert isinstance(ended.error, DrsJobFailedError)
    assert ended.error.job_ids == [ids[-1]]
    assert len(drs.calls(BATCH_STATUS)) == 2


def test_without_a_place_to_note_samples_a_reschedule_takes_them_in_one_go(
    drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    drs.add_job(Job(JOB, lag_script=[4, 0]))
    poke: Any = DrsJobReadySensor.poke
    monkeypatch.setattr(
        DrsJobReadySensor,
        "poke",
        lambda self, context: poke(self, {k: v for k, v in context.items() if k != "task_state_store"}),
    )

    ended = run_one(DrsJobReadySensor, "reschedule", clock, job_id=JOB)

    assert ended.state == "success"
    assert len(drs.calls(BATCH_STATUS)) == 4
    assert ended.slept == [60.0, 5.0, 5.0]


def test_without_a_place_to_note_failures_a_reschedule_sees_them_out(
    drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    drs.add_job(Job(JOB, status="INCRE_TRANSFER_FAILED"))
    poke: Any = DrsJobReadySensor.poke
    monkeypatch.setattr(
        DrsJobReadySensor,
        "poke",
        lambda self, context: poke(self, {k: v for k, v in context.items() if k != "task_state_store"}),
    )

    ended = run_one(DrsJobReadySensor, "reschedule", clock, job_id=JOB, failure_grace=20)

    assert isinstance(ended.error, DrsJobFailedError)
    assert ended.slept == [5.0] * 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"job_ids": []}, "empty"),
        ({"job_ids": [JOB, None]}, "None"),
        ({"job_ids": "[1"}, "JSON"),
        ({"job_ids": f"{JOB},,"}, "empty"),
        ({"job_id": "{{ none }}"}, "None"),
        ({"job_id": JOB, "max_lag": "soon"}, "max_lag"),
        ({"job_id": JOB, "max_lag": "-1"}, "max_lag"),
    ],
)
def test_bad_arguments_fail_before_any_request(
    arguments: dict[str, Any], says: str, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    ended = run_one(DrsJobReadySensor, "poke", clock, **arguments)

    assert isinstance(ended.error, exceptions.DrsArgumentError)
    assert says in str(ended.error)
    assert not drs.journal


@pytest.mark.parametrize(
    "written", [[JOB, OTHER_JOB], f'["{JOB}", "{OTHER_JOB}"]', f"{JOB}, {OTHER_JOB}", f"{{{{ '{JOB},{OTHER_JOB}' }}}}"]
)
def test_job_ids_in_any_form(written: Any, drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(Job(JOB))
    drs.add_job(Job(OTHER_JOB))

    ended = run_one(DrsJobReadySensor, "poke", clock, job_ids=written, stable_samples=1)

    assert list(ended.xcom) == [JOB, OTHER_JOB]


def test_which_jobs_is_said_in_one_way() -> None:
    with pytest.raises(ValueError, match="either"):
        DrsJobReadySensor(task_id="x")
    with pytest.raises(ValueError, match="either"):
        DrsJobReadySensor(task_id="x", job_id=JOB, job_ids=[JOB])
    with pytest.raises(ValueError, match="max_lag"):
        DrsJobReadySensor(task_id="x", job_id=JOB, max_lag=-1)
    with pytest.raises(ValueError, match="stable_samples"):
        DrsJobReadySensor(task_id="x", job_id=JOB, stable_samples=0)


STATUS = [
    Row(
        "reached",
        {"task_status_script": ["CONFIGURATION", "FULL_TRANSFER_STARTED", "FULL_TRANSFER_COMPLETE"]},
        {"target_statuses": "FULL_TRANSFER_COMPLETE"},
        polls=3,
    ),
    Row(
        "one of several, spelled in two ways",
        {"task_status_script": [RUNNING, "PAUSEING"]},
        {"target_statuses": ["PAUSING", "STARTJOB_FAILED"]},
        polls=2,
    ),
    Row(
        "stopped, on the way there",
        {"task_status_script": [RUNNING, "RELEASE_RESOURCE_STARTED", "RELEASE_RESOURCE_COMPLETE"]},
        {"target_statuses": "RELEASE_RESOURCE_COMPLETE"},
        polls=3,
    ),
    Row(
        "no status yet",
        {"task_status_script": [None, "ABSENT", RUNNING]},
        {"target_statuses": RUNNING},
        polls=3,
    ),
    Row(
        "failed",
        {"status": "FULL_TRANSFER_FAILED"},
        {"target_statuses": RUNNING, "failure_grace": 0},
        state="failed",
        error=DrsJobFailedError,
        says=(JOB, "FULL_TRANSFER_FAILED"),
        polls=1,
    ),
    Row(
        "failures of one's own",
        {"task_status_script": ["INCRE_TRANSFER_FAILED", "PAUSING"]},
        {"target_statuses": RUNNING, "failure_statuses": ["PAUSING"]},
        state="failed",
        error=DrsJobFailedError,
        says=("PAUSING",),
        polls=2,
    ),
    Row(
        "a code beside it",
        {},
        {"target_statuses": RUNNING},
        faults=((BATCH_STATUS, Fault.json({"results": [{"id": JOB, "status": RUNNING, "error_code": "DRS.M05004"}]})),),
        polls=2,
    ),
    Row(
        "a failure of one's own has no grace",
        {"status": "INCRE_TRANSFER_FAILED"},
        {"target_statuses": RUNNING, "failure_statuses": "INCRE_TRANSFER_FAILED"},
        state="failed",
        error=DrsJobFailedError,
        polls=1,
    ),
    Row("no target", {}, {"target_statuses": ""}, state="failed", error=exceptions.DrsArgumentError, polls=0),
]


@in_turn(STATUS, SENSOR_MODES)
def test_status(row: Row, mode: str, drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(Job(JOB, **row.job))
    for call, fault in row.faults:
        drs.fault(call, fault)

    ended = run_one(DrsJobStatusSensor, mode, clock, job_id=JOB, **row.options)

    row.check_end(ended.state, ended.error)
    assert len(drs.calls(BATCH_STATUS)) == row.polls
    assert not drs.calls(BATCH_PROGRESS)
    if row.state == "success":
        assert list(ended.xcom) == ["job_id", "status", "first_polled_at", "done_at", "polls"]
        assert (ended.xcom["job_id"], ended.xcom["polls"]) == (JOB, row.polls)
