"""What must hold before a switchover is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_drs.protocol.jobs.replies import JobProgress, JobState
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply
from airflow_provider_drs.protocol.switchover.guards import guards
from tests.constants import COMPLETE, FAILED, JOB, RUNNING, START, T0

ALL = ["job_state", "lag_seconds", "switchover_status"]
CODE = {"error_code": "DRS.M05004"}


def _held(
    state: dict[str, Any] | None, progress: dict[str, Any] | None, reply: str | None, *, attach: bool = False
) -> list[str]:
    """Return the guards that hold, with a limit of five seconds of lag."""
    judged = guards(
        None if state is None else JobState(JOB, **{"status": RUNNING, **state}),
        None if progress is None else JobProgress(JOB, **{"lag": 0.0, "lag_text": "0", **progress}),
        SwitchoverReply(JOB, reply),
        max_lag=5.0,
        attach=attach,
        at=T0,
    )
    assert [guard.name for guard in judged] == ALL
    return [guard.name for guard in judged if guard.ok]


@pytest.mark.parametrize(
    ("state", "progress", "reply", "fails"),
    [
        ({}, {}, None, None),
        ({}, {}, COMPLETE, None),
        ({}, {}, FAILED, None),
        ({}, {"lag": 5.0}, None, None),
        ({}, {"transfer_status": RUNNING}, None, None),
        ({"status": "PAUSING"}, {}, None, "job_state"),
        ({"status": None}, {}, None, "job_state"),
        (None, {}, None, "job_state"),
        (CODE, {}, None, "job_state"),
        ({}, CODE, None, "job_state"),
        ({}, {"transfer_status": "INCRE_TRANSFER_FAILED"}, None, "job_state"),
        ({}, {"lag": 5.5}, None, "lag_seconds"),
        ({}, {"lag": None, "lag_text": "-1"}, None, "lag_seconds"),
        ({}, None, None, "lag_seconds"),
        ({}, {}, START, "switchover_status"),
        ({}, {}, "SWITCH_VIP_PAUSED", "switchover_status"),
    ],
)
def test_each_guard(
    state: dict[str, Any] | None, progress: dict[str, Any] | None, reply: str | None, fails: str | None
) -> None:
    assert _held(state, progress, reply) == [name for name in ALL if name != fails]


def test_what_is_to_be_joined_may_run() -> None:
    assert _held({}, {}, START, attach=True) == ALL
    assert _held({}, {}, "SWITCH_VIP_PAUSED", attach=True) == ALL[:2]
