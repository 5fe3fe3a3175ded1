"""Which condition a wait for jobs has, and how it is read out of arguments."""

from __future__ import annotations

import json

import pytest

from airflow_provider_drs.protocol.errors import DrsArgumentError
from airflow_provider_drs.protocol.jobs.replies import JobProgress, JobState
from airflow_provider_drs.protocol.jobs.status import FAILED_JOB_STATUSES, HEALTHY, STOPPED_JOB_STATUSES
from airflow_provider_drs.protocol.jobs.wanted import (
    JobsCondition,
    checked_statuses,
    job_problem,
    usual_failures,
)
from tests.protocol.jobs.test_wait import A, B, wanted


def test_wanted_as_json() -> None:
    there = wanted(A, B, deadline=5.0, passing_status="PAUSING")
    assert JobsCondition.from_dict({**json.loads(json.dumps(there.to_dict())), "of_a_later_version": 1}) == there


def test_stopped_is_a_failure_unless_it_is_wanted() -> None:
    assert set(usual_failures((HEALTHY,))) == STOPPED_JOB_STATUSES | FAILED_JOB_STATUSES
    assert not STOPPED_JOB_STATUSES & set(usual_failures(("RELEASE_RESOURCE_COMPLETE",)))


def test_statuses_of_one_spelling() -> None:
    assert checked_statuses("x", "PAUSEING, STARTJOB_FAILED") == ("PAUSING", "START_JOB_FAILED")
    assert checked_statuses("x", ["DELETED", "DELETED"]) == ("DELETED",)
    assert checked_statuses("x", "['DELETED']") == ("DELETED",)
    for wrong in ("", "None", [], None, [None], {"a": 1}, 7):
        with pytest.raises(DrsArgumentError, match=r"^x (must be|is None|is empty)"):
            checked_statuses("x", wrong)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("INCRE_TRANSFER_STARTD", "INCRE_TRANSFER_STARTED"),
        ("incre_transfer_started", "INCRE_TRANSFER_STARTED"),
        ("PAUSED", "PAUSING"),
        ('["PAUSING", "FULL_TRANSFER_COMPLETED"]', "FULL_TRANSFER_COMPLETE"),
        ("NODE_UPGRADE_STARTED", "NODE_UPGRADE_START"),
        ("running", ""),
    ],
)
def test_a_misspelt_status_is_refused_with_what_may_be_meant(written: str, meant: str) -> None:
    with pytest.raises(DrsArgumentError, match=r"^target_statuses has .*no job status") as refused:
        checked_statuses("target_statuses", written)
    told = str(refused.value)
    assert meant in told
    assert ("did you mean" in told) == bool(meant)
    assert "allow_unknown_statuses" in told
    assert checked_statuses("target_statuses", "NEW_ONE", allow_unknown=True) == ("NEW_ONE",)


@pytest.mark.parametrize(
    ("state", "progress", "problem"),
    [
        ({}, {}, ""),
        ({}, None, ""),
        ({}, {"transfer_status": HEALTHY}, ""),
        ({}, {"transfer_status": "NOT_DOCUMENTED"}, ""),
        ({"error_code": "DRS.M05004"}, {}, "error DRS.M05004 beside status INCRE_TRANSFER_STARTED"),
        ({"error_code": "DRS.M05004"}, None, "error DRS.M05004 beside status INCRE_TRANSFER_STARTED"),
        ({}, {"error_code": "DRS.M05004"}, "error DRS.M05004 beside the lag"),
        ({}, {"transfer_status": "INCRE_TRANSFER_FAILED"}, "transfer_status INCRE_TRANSFER_FAILED"),
        ({}, {"transfer_status": "PAUSING"}, "transfer_status PAUSING"),
        ({}, {"transfer_status": "FULL_TRANSFER_STARTED"}, "transfer_status FULL_TRANSFER_STARTED"),
    ],
)
def test_what_speaks_against_a_healthy_job_counts_in_every_gate(
    state: dict[str, str], progress: dict[str, str] | None, problem: str
) -> None:
    said = JobState(A, HEALTHY, **state)
    lag = None if progress is None else JobProgress(A, 0.0, "0", **progress)
    assert job_problem(said, lag) == problem
    if lag is not None:
        assert wanted().unmet(said, lag) == problem
    else:
        assert wanted(needs_lag=False, no_error=True).unmet(said, None) == problem


def test_an_error_beside_another_target_does_not_count() -> None:
    failed = JobsCondition((A,), ("INCRE_TRANSFER_FAILED",), no_error=True)
    assert failed.unmet(JobState(A, "INCRE_TRANSFER_FAILED", "DRS.M1"), None) == ""
    resumed = JobsCondition((A,), (HEALTHY,))
    assert resumed.unmet(JobState(A, HEALTHY, "DRS.M1"), None) == ""
    assert job_problem(None, None) == ""
