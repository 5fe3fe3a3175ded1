from __future__ import annotations

import pytest

from airflow_provider_drs.protocol.switchover.status import SwitchoverState, switchover_state, unambiguous_status
from tests.constants import COMPLETE, FAILED, START


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (START, SwitchoverState.RUNNING),
        (COMPLETE, SwitchoverState.DONE),
        (FAILED, SwitchoverState.FAILED),
        (None, SwitchoverState.NOT_BEGUN),
        ("", SwitchoverState.NOT_BEGUN),
        *((odd, SwitchoverState.UNKNOWN) for odd in ("switch_vip_complete", "COMPLETE", " ", f"{COMPLETE} ", "0")),
    ],
)
def test_what_a_status_means(status: str | None, state: SwitchoverState) -> None:
    assert switchover_state(status) is state


@pytest.mark.parametrize("status", [START, FAILED, None, "", "ODD"])
def test_only_complete_contradicts_an_error(status: str | None) -> None:
    assert unambiguous_status(status, "DRS.M1") == status


@pytest.mark.parametrize("code", ["DRS.M01501", "0", " "])
def test_complete_beside_an_error_is_no_complete(code: str) -> None:
    told = unambiguous_status(COMPLETE, code)
    assert switchover_state(told) is SwitchoverState.UNKNOWN
    assert COMPLETE in str(told)
    assert code in str(told)


@pytest.mark.parametrize("code", [None, ""])
def test_complete_without_an_error(code: str | None) -> None:
    assert unambiguous_status(COMPLETE, code) == COMPLETE
