from __future__ import annotations

import pytest

from airflow_provider_drs.protocol.codes import DRS_CODES, GATEWAY_CODES
from airflow_provider_drs.protocol.errors import DrsError
from airflow_provider_drs.protocol.switchover.refusal import asked_again, is_refusal, needs_reads_for

# The list of the documentation's codes with which DRS refuses, written out: it must not grow by itself.
REFUSALS = {
    *("DRS.M00100", "DRS.M00101", "DRS.M00102", "DRS.M00103", "DRS.M00105", "DRS.M00261"),
    *("DRS.M00007", "DRS.M00200", "DRS.M00201", "DRS.M00202", "DRS.M00210", "DRS.M00211", "DRS.M00273", "DRS.M00299"),
    *("DRS.M00300", "DRS.M00301", "DRS.M00302", "DRS.M00303", "DRS.M00304", "DRS.M00305", "DRS.M00306", "DRS.M00307"),
    *("DRS.M00308", "DRS.KE0002", "DRS.M00289", "DRS.M05003", "DRS.M05004", "DRS.M01503", "DRS.M01504"),
}
ASKED_AGAIN = {"DRS.M00100", "DRS.M01503", "DRS.M01504"}
LIKE_A_REPEAT = {"DRS.M01503", "DRS.M01504", "DRS.M00304"}
NEVER = {"DRS.M00002", "DRS.M01501", "DRS.M00004", "DRS.M99999", "DRS.M0150", "M01503", "drs.m01503", "", None}


def _error(code: str | None, http_status: int = 400) -> DrsError:
    return DrsError("no", error_code=code, http_status=http_status)


@pytest.mark.parametrize("code", sorted({*DRS_CODES, *REFUSALS}))
def test_a_code_of_drs(code: str) -> None:
    assert is_refusal(_error(code)) is (code in REFUSALS)
    assert asked_again(_error(code)) is (code in ASKED_AGAIN)
    assert needs_reads_for(_error(code)) == (10.0 if code in LIKE_A_REPEAT else 0.0)


@pytest.mark.parametrize("code", sorted({*GATEWAY_CODES, *NEVER}, key=str))
@pytest.mark.parametrize("http_status", [200, 202, 400, 401, 403, 404, 405, 429])
def test_what_is_no_word_of_drs_is_no_refusal(code: str | None, http_status: int) -> None:
    assert not is_refusal(_error(code, http_status))
    assert not asked_again(_error(code, http_status))


@pytest.mark.parametrize("http_status", [500, 502, 503, 504])
def test_a_service_that_failed_has_not_refused(http_status: int) -> None:
    assert not any(is_refusal(_error(code, http_status)) for code in REFUSALS)


@pytest.mark.parametrize("http_status", [200, 202, 400, 401, 403, 404, 422])
def test_a_refusal_may_come_with_any_other_status(http_status: int) -> None:
    assert all(is_refusal(_error(code, http_status)) for code in REFUSALS)
