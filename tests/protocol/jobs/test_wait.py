"""When tasks are ready: the state machine behind gates and job control, without Airflow and without sockets."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_drs.protocol.errors import (
    DrsBusyError,
    DrsJobNotFoundError,
    DrsTimeoutError,
    DrsUnreachableError,
)
from airflow_provider_drs.protocol.jobs.replies import JobProgress, JobState
from airflow_provider_drs.protocol.jobs.status import (
    FAILED_JOB_STATUSES,
    HEALTHY,
    STOPPED_JOB_STATUSES,
    JobStatus,
    job_status,
)
from airflow_provider_drs.protocol.jobs.wait import JobsFailed, JobsMemory, JobsWait, Ready
from airflow_provider_drs.protocol.jobs.wanted import JobsCondition, usual_failures
from airflow_provider_drs.protocol.polling import GiveUp, Instant, KeepPolling, Pace, PollResult
from tests.constants import JOB, OTHER_JOB
from tests.protocol.strategies import any_text, thorough

A, B = JOB, OTHER_JOB


def wanted(*ids: str, **more: Any) -> JobsCondition:
    options = {"needs_lag": True, "max_lag": 0.0, "stable_samples": 1, **more}
    return JobsCondition(ids or (A,), (HEALTHY,), usual_failures((HEALTHY,)), **options)


def said(status: str | None = HEALTHY, lag: float | None = 0.0, job_id: str = A, **more: Any) -> list[dict[str, Any]]:
    return [{job_id: JobState(job_id, status, **more)}, {job_id: JobProgress(job_id, lag)}]


def take(wait: JobsWait, replies: list[dict[str, Any]], at: float) -> PollResult:
    return wait.take(replies, at, Instant(at))


samples = st.tuples(
    st.sampled_from([HEALTHY, HEALTHY, HEALTHY, "PAUSING", "NODE_UPGRADE", None]) | any_text,
    st.sampled_from([0.0, 0.0, 0.0, 5.0, None]),
)


@thorough
@given(st.lists(st.none() | samples, max_size=20), st.integers(1, 4), st.booleans())
def test_ready_means_so_many_healthy_samples_in_a_row_up_to_the_last(
    history: list[Any], needed: int, carried: bool
) -> None:
    wait = JobsWait(wanted(stable_samples=needed), Pace(), rng=lambda: 0.0)
    row = 0
    for at, sample in enumerate(history):
        if carried:  # as reschedule mode carries it from process to process
            memory = JobsMemory.from_dict(json.loads(json.dumps(wait.memory.to_dict())))
            wait = JobsWait(wait.wanted, Pace(), memory=memory, rng=lambda: 0.0)
        if sample is None:
            verdict, row = wait.failed(DrsUnreachableError("reset"), at), 0
        elif job_status(sample[0] or "") in FAILED_JOB_STATUSES | STOPPED_JOB_STATUSES:
            continue
        else:
            verdict = wait.take(said(*sample), at, Instant(at))
            row = row + 1 if sample == (HEALTHY, 0.0) else 0
        assert isinstance(verdict, Ready) == (row >= needed)
        if isinstance(verdict, Ready):
            json.dumps(verdict.event(), allow_nan=False)
            return
        assert isinstance(verdict, KeepPolling)


@pytest.mark.parametrize("status", sorted(FAILED_JOB_STATUSES | STOPPED_JOB_STATUSES))
def test_a_failed_or_stopped_job_ends_the_wait(status: str) -> None:
    verdict = take(
        JobsWait(wanted(A, B), Pace()), [*said(), *said(status, job_id=B, error_code="DRS.M1", error_msg="why")], 0.0
    )
    assert isinstance(verdict, JobsFailed)
    assert verdict.event() == {
        "outcome": "failed",
        "jobs": [{"job_id": B, "status": status, "error_code": "DRS.M1", "error_msg": "why"}],
    }


@pytest.mark.parametrize("status", sorted(set(JobStatus) - FAILED_JOB_STATUSES - STOPPED_JOB_STATUSES - {HEALTHY}))
def test_any_other_status_is_waited_out(status: str) -> None:
    assert isinstance(JobsWait(wanted(), Pace()).take(said(status), 0.0, Instant(0.0)), KeepPolling)


def test_a_job_that_is_not_listed_or_refused() -> None:
    missing = JobsWait(wanted(A, B), Pace(), error_context="here").take(said(), 0.0, Instant(0.0))
    assert isinstance(missing, GiveUp)
    assert isinstance(missing.error, DrsJobNotFoundError)
    assert B in str(missing.error)
    assert A not in str(missing.error)
    busy = JobsWait(wanted(), Pace())
    verdict = busy.take(said(None, error_code="DRS.M01504"), 0.0, Instant(0.0))
    assert isinstance(verdict, KeepPolling)
    assert busy.memory.trouble_since == 0.0
    assert busy.memory.polls == 1


def at(wait: JobsWait, status: str, when: float, job_id: str = A, **more: Any) -> PollResult:
    """One poll of a job at ``when``, its memory carried over as reschedule mode does."""
    memory = JobsMemory.from_dict(json.loads(json.dumps(wait.memory.to_dict())))
    wait.memory.failing, wait.memory.samples = memory.failing, memory.samples
    return wait.take(said(status, job_id=job_id, **more), when, Instant(when))


@pytest.mark.parametrize("status", sorted(FAILED_JOB_STATUSES))
def test_a_failure_that_heals_within_the_grace_is_none(status: str) -> None:
    wait = JobsWait(wanted(failure_grace=300.0), Pace())
    first = at(wait, status, 0.0, error_code="DRS.M1", error_msg="why")
    assert isinstance(first, KeepPolling)
    assert [(line.level, "up to 5 minutes" in line.text) for line in first.lines] == [(logging.WARNING, True)]
    assert f"{status} (DRS.M1: why)" in first.lines[0].text
    assert isinstance(at(wait, status, 299.0), KeepPolling)
    assert isinstance(at(wait, HEALTHY, 299.5), Ready)


@pytest.mark.parametrize("status", sorted(FAILED_JOB_STATUSES))
def test_a_failure_that_stands_for_the_grace_ends_the_wait(status: str) -> None:
    wait = JobsWait(wanted(failure_grace=300.0), Pace())
    assert isinstance(at(wait, status, 1000.0), KeepPolling)
    assert isinstance(wait.failed(DrsUnreachableError("reset"), 1100.0), KeepPolling)
    assert isinstance(at(wait, status, 1299.0), KeepPolling)
    over = at(wait, status, 1300.0)
    assert isinstance(over, JobsFailed)
    assert [job["status"] for job in over.jobs] == [status]


@pytest.mark.parametrize("between", [HEALTHY, "FULL_TRANSFER_FAILED", "PAUSING", "CHILD_TRANSFER_STARTING"])
def test_another_status_in_between_begins_the_grace_anew(between: str) -> None:
    wait = JobsWait(wanted(failure_grace=300.0, stable_samples=9), Pace())
    for when, status in enumerate(["INCRE_TRANSFER_FAILED", between, "INCRE_TRANSFER_FAILED"]):
        assert isinstance(at(wait, status, when * 299.0), KeepPolling)
    assert isinstance(at(wait, "INCRE_TRANSFER_FAILED", 897.0), KeepPolling)
    assert isinstance(at(wait, "INCRE_TRANSFER_FAILED", 898.0), JobsFailed)


@pytest.mark.parametrize("status", sorted(STOPPED_JOB_STATUSES))
def test_a_stopped_job_has_no_grace(status: str) -> None:
    assert isinstance(at(JobsWait(wanted(failure_grace=300.0), Pace()), status, 0.0), JobsFailed)


def test_each_job_has_a_grace_of_its_own() -> None:
    wait = JobsWait(wanted(A, B, failure_grace=300.0), Pace())

    def poll(when: float, a: str, b: str) -> PollResult:
        return wait.take([*said(a), *said(b, job_id=B)], when, Instant(when))

    assert isinstance(poll(0.0, "INCRE_TRANSFER_FAILED", HEALTHY), KeepPolling)
    assert isinstance(poll(200.0, "INCRE_TRANSFER_FAILED", "INCRE_TRANSFER_FAILED"), KeepPolling)
    assert isinstance(poll(299.0, HEALTHY, "INCRE_TRANSFER_FAILED"), KeepPolling)
    assert isinstance(poll(499.0, HEALTHY, "INCRE_TRANSFER_FAILED"), KeepPolling)
    over = poll(500.0, HEALTHY, "INCRE_TRANSFER_FAILED")
    assert isinstance(over, JobsFailed)
    assert [job["job_id"] for job in over.jobs] == [B]


def test_a_time_out_within_the_grace_tells_the_failure() -> None:
    wait = JobsWait(wanted(failure_grace=300.0, deadline=100.0), Pace())
    late = at(wait, "INCRE_TRANSFER_FAILED", 100.0, error_code="DRS.M1", error_msg="log gone")
    assert isinstance(late, GiveUp)
    assert isinstance(late.error, DrsTimeoutError)
    assert "at last" in str(late.error)
    assert "INCRE_TRANSFER_FAILED (DRS.M1: log gone)" in str(late.error)
    assert wait.at_last in str(late.error)


def test_a_failure_of_before_passes_for_a_while() -> None:
    wait = JobsWait(wanted(passing_status="INCRE_TRANSFER_FAILED", passing_until=60.0), Pace())
    assert isinstance(wait.take(said("INCRE_TRANSFER_FAILED"), 59.0, Instant(59.0)), KeepPolling)
    assert isinstance(wait.take(said("FULL_TRANSFER_FAILED"), 59.0, Instant(59.0)), JobsFailed)
    assert isinstance(wait.take(said("INCRE_TRANSFER_FAILED"), 60.0, Instant(60.0)), JobsFailed)


def test_the_deadline_ends_the_wait_and_shortens_the_last_pause() -> None:
    wait = JobsWait(wanted(deadline=100.0), Pace(30.0), rng=lambda: 1.0)
    verdict = wait.take(said("PAUSING"), 90.0, Instant(90.0))
    assert isinstance(verdict, KeepPolling)
    assert verdict.delay == 10.0
    late = wait.take(said("PAUSING"), 100.0, Instant(100.0))
    assert isinstance(late, GiveUp)
    assert "at last" in str(late.error)
    assert "PAUSING" in str(late.error)
    assert isinstance(wait.failed(DrsBusyError("busy"), 100.0), GiveUp)
    assert isinstance(wait.take(said(), 101.0, Instant(101.0)), Ready)


def test_one_line_a_change_whatever_the_lag_does() -> None:
    wait = JobsWait(wanted(A, B, max_lag=5.0, stable_samples=2), Pace())
    lines = []
    for lag in (90.0, 80.0, 70.0, 3.0, 2.0):
        lines += [line.text for line in take(wait, [*said(lag=lag), *said(job_id=B)], 0.0).lines]
    assert len(lines) == 3
    assert f"1 of 2 ready, waiting for {A} (lag over 5 seconds)" in lines[0]
    assert "2 times in a row" in lines[1]


def test_how_the_lag_goes_is_told_once_a_minute() -> None:
    wait = JobsWait(wanted(max_lag=5.0), Pace())
    told = {}
    for at, lag in ((0, 90.0), (5, 89.0), (59, 70.0), (60, 64.0), (65, 64.0), (121, 64.0), (125, None), (182, 90.0)):
        for line in take(wait, said(lag=lag), float(at)).lines:
            told[at] = line.text
    assert told == {
        0: f"Job {A}: lag over 5 seconds; lag 1 minute 30 seconds",
        60: f"Job {A}: still waiting, lag 1 minute 4 seconds, limit 5 seconds, "
        "falling (1 minute 30 seconds 1 minute ago)",
        121: f"Job {A}: still waiting, lag 1 minute 4 seconds, limit 5 seconds, "
        "not changing (1 minute 4 seconds 1 minute 1 second ago)",
        125: f"Job {A}: lag not known",
        182: f"Job {A}: lag over 5 seconds; lag 1 minute 30 seconds",
    }


@pytest.mark.parametrize(
    ("wait", "line"),
    [
        (
            JobsWait(wanted(A, B, max_lag=None, stable_samples=2), Pace(), tell_every=10),
            f"Jobs {A!r}, {B!r}: still waiting, 1 of 2 ready, largest lag 9 seconds ({B}), not changing "
            "(9 seconds 10 seconds ago)",
        ),
        (JobsWait(wanted(A, B), Pace(), tell_every=0), None),
        (JobsWait(wanted(A, B, needs_lag=False), Pace(), tell_every=10), None),
    ],
)
def test_what_is_told_meanwhile(wait: JobsWait, line: str | None) -> None:
    replies = [*said("PAUSING", lag=3.0), *said(lag=9.0, job_id=B)]
    first, then = (take(wait, replies, at) for at in (0.0, 10.0))
    assert len(first.lines) == 1
    assert [found.text for found in then.lines] == ([line] if line else [])


def test_what_was_told_is_kept_from_process_to_process() -> None:
    wait = JobsWait(wanted(), Pace())
    take(wait, said(lag=90.0), 0.0)
    kept = JobsMemory.from_dict(json.loads(json.dumps(wait.memory.to_dict())))
    later = JobsWait(wanted(), Pace(), memory=kept)
    assert [take(later, said(lag=80.0), at).lines != () for at in (30.0, 60.0)] == [False, True]


def test_calls_for_more_than_a_hundred_jobs() -> None:
    ids = [f"job-{number}" for number in range(250)]
    calls = JobsWait(wanted(*ids), Pace()).query().calls()
    assert [call.name for call in calls] == ["batch-status", "batch-progress"] * 3
    bodies: list[Any] = [call.body for call in calls[::2]]
    assert [len(body["jobs"]) for body in bodies] == [100, 100, 50]
    assert len(JobsWait(wanted(*ids, needs_lag=False), Pace()).query().calls()) == 3
