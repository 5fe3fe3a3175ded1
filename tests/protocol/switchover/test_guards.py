from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_drs.protocol.jobs.replies import JobProgress, JobState
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply
from airflow_provider_drs.protocol.switchover.guards import Guard, guards
from airflow_provider_drs.protocol.switchover.witness import Look, Side
from tests.constants import COMPLETE, FAILED, JOB, RUNNING, START

WELL = JobState(JOB, RUNNING)


def _judge(
    state: JobState | None = WELL,
    progress: JobProgress | None = None,
    status: str | None = None,
    max_lag: float | None = None,
    attach: bool = False,
    lag: str | None = "0",
) -> dict[str, Guard]:
    if progress is None and lag is not None:
        progress = JobProgress(JOB, None if float(lag) < 0 else float(lag), lag)
    found = guards(state, progress, SwitchoverReply(JOB, status), max_lag=max_lag, attach=attach, at=0.0)
    return {guard.name: guard for guard in found}


def _broken(**given: Any) -> set[str]:
    return {name for name, guard in _judge(**given).items() if not guard.ok}


@pytest.mark.parametrize(
    ("given", "broken"),
    [
        ({}, set()),
        ({"state": None}, {"job_state"}),
        ({"state": JobState(JOB, None)}, {"job_state"}),
        ({"state": JobState(JOB, "INCRE_TRANSFER_FAILED")}, {"job_state"}),
        ({"state": JobState(JOB, "FULL_TRANSFER_STARTED")}, {"job_state"}),
        ({"state": JobState(JOB, "A_LATER_ONE")}, {"job_state"}),
        ({"state": JobState(JOB, RUNNING, error_code="DRS.M1")}, {"job_state"}),
        ({"lag": None}, {"lag_seconds"}),
        ({"lag": "-1"}, {"lag_seconds"}),
        ({"lag": "86400"}, set()),
        ({"lag": "5", "max_lag": 5.0}, set()),
        ({"lag": "5.1", "max_lag": 5.0}, {"lag_seconds"}),
        ({"lag": "1", "max_lag": 0.0}, {"lag_seconds"}),
        ({"lag": "-1", "max_lag": 5.0}, {"lag_seconds"}),
        *(({"status": status}, set()) for status in (None, "", COMPLETE, FAILED)),
        *(({"status": status}, {"switchover_status"}) for status in (START, "ODD")),
        ({"status": START, "attach": True}, set()),
        ({"status": "ODD", "attach": True}, {"switchover_status"}),
    ],
)
def test_which_guards_do_not_hold(given: dict[str, Any], broken: set[str]) -> None:
    assert _broken(**given) == broken


def test_a_guard_says_what_was_found_and_what_must_be() -> None:
    found = _judge(lag="6", max_lag=5.0, status=START)
    assert str(found["lag_seconds"]) == "lag_seconds is 6.0, must be known and at most 5 seconds"
    assert str(found["switchover_status"]) == f"switchover_status is '{START}', must be none running"
    assert _judge(lag="-1")["lag_seconds"].value == "-1"
    assert found["job_state"].to_dict() == {
        "name": "job_state",
        "ok": True,
        "value": RUNNING,
        "limit": RUNNING,
        "at": "1970-01-01T00:00:00+00:00",
    }


@pytest.mark.parametrize("side", Side)
def test_a_witness_is_one_more_guard(side: Side) -> None:
    look = Look(side, "db-1", 7.0)
    found = guards(
        WELL, JobProgress(JOB, 0.0, "0"), SwitchoverReply(JOB, None), max_lag=None, attach=False, at=9.0, look=look
    )
    assert [guard.name for guard in found] == ["job_state", "lag_seconds", "switchover_status", "witness"]
    assert (found[-1].ok, found[-1].limit) == (side is Side.BEFORE, "before")
    assert found[-1].at < found[0].at
