"""What the statuses of a job mean."""

from __future__ import annotations

import pytest

from airflow_provider_drs.protocol.jobs.status import (
    FAILED_JOB_STATUSES,
    HEALTHY,
    STOPPED_JOB_STATUSES,
    JobStatus,
    job_status,
)
from tests.constants import RUNNING


def test_one_status_is_healthy() -> None:
    assert HEALTHY == RUNNING
    assert HEALTHY not in FAILED_JOB_STATUSES | STOPPED_JOB_STATUSES


def test_every_status_named_failed_is_one_and_no_other() -> None:
    assert {status for status in JobStatus if status.endswith("_FAILED")} == FAILED_JOB_STATUSES


def test_what_is_released_or_deleted_is_stopped() -> None:
    released = {status for status in JobStatus if status.startswith("RELEASE_") and not status.endswith("_FAILED")}
    assert released | {JobStatus.DELETED} == STOPPED_JOB_STATUSES


@pytest.mark.parametrize(
    ("text", "status"),
    [
        *((status, status) for status in JobStatus),
        ("PAUSEING", JobStatus.PAUSING),
        ("STARTJOB_FAILED", JobStatus.START_JOB_FAILED),
        *((text, text) for text in ("", "incre_transfer_started", "SOMETHING_NEW")),
    ],
)
def test_the_spelling(text: str, status: str) -> None:
    assert job_status(text) == status
