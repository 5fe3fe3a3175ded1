"""What the statuses of a switchover mean."""

from __future__ import annotations

import pytest

from airflow_provider_drs.protocol.switchover.status import SwitchoverState, switchover_state, unambiguous_status
from tests.constants import COMPLETE, FAILED, START


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (None, SwitchoverState.NOT_BEGUN),
        ("", SwitchoverState.NOT_BEGUN),
        (START, SwitchoverState.RUNNING),
        (COMPLETE, SwitchoverState.DONE),
        (FAILED, SwitchoverState.FAILED),
        *((text, SwitchoverState.UNKNOWN) for text in ("SWITCH_VIP_CANCELLED", COMPLETE.lower(), f" {COMPLETE}", "0")),
    ],
)
def test_what_a_status_means(status: str | None, state: SwitchoverState) -> None:
    assert switchover_state(status) is state


@pytest.mark.parametrize("code", [None, ""])
@pytest.mark.parametrize("status", [None, START, COMPLETE, FAILED])
def test_without_an_error_a_status_is_as_it_is_told(status: str | None, code: str | None) -> None:
    assert unambiguous_status(status, code) == status


@pytest.mark.parametrize("status", [None, START, FAILED])
def test_beside_an_error_all_but_complete_is_as_it_is_told(status: str | None) -> None:
    assert unambiguous_status(status, "DRS.M01501") == status


def test_complete_beside_an_error_is_no_status_we_know() -> None:
    told = unambiguous_status(COMPLETE, "DRS.M01501")
    assert told == f"{COMPLETE} beside the error DRS.M01501"
    assert switchover_state(told) is SwitchoverState.UNKNOWN
