"""Which errors say that DRS has not taken a switchover: a short list, over all codes that are known."""

from __future__ import annotations

import pytest

from airflow_provider_drs.protocol.codes import DRS_CODES, Meaning
from airflow_provider_drs.protocol.errors import DrsError
from airflow_provider_drs.protocol.switchover.refusal import asked_again, is_refusal, needs_reads_for

REFUSALS = {
    Meaning.NO_PERMISSION,
    Meaning.WRONG_REQUEST,
    Meaning.JOB_GONE,
    Meaning.WRONG_STATE,
    Meaning.WRONG_KIND,
    Meaning.TOKEN_REFUSED,
    Meaning.THROTTLED,
    Meaning.BUSY,
}


def _error(code: str | None, http_status: int | None = 400) -> DrsError:
    return DrsError("DRS says no", error_code=code, http_status=http_status)


@pytest.mark.parametrize("code", sorted(DRS_CODES))
@pytest.mark.parametrize("http_status", [None, 200, 202, 400, 401, 403, 404, 422])
def test_a_code_of_the_list_is_a_refusal(code: str, http_status: int | None) -> None:
    assert is_refusal(_error(code, http_status)) is (DRS_CODES[code] in REFUSALS)


@pytest.mark.parametrize("code", sorted(DRS_CODES))
@pytest.mark.parametrize("http_status", [500, 502, 503, 504])
def test_a_server_that_failed_has_refused_nothing(code: str, http_status: int) -> None:
    assert not is_refusal(_error(code, http_status))


@pytest.mark.parametrize("code", [None, "", "DRS.M00002", "DRS.M01501", "DRS.M00004", "DRS.M99999", "APIGW.0301", "0"])
def test_any_other_code_and_none_leave_it_open(code: str | None) -> None:
    error = _error(code)
    assert (is_refusal(error), asked_again(error), needs_reads_for(error)) == (False, False, 0.0)


@pytest.mark.parametrize(
    ("code", "again", "reads"),
    [
        ("DRS.M00100", True, 0.0),
        ("DRS.M01503", True, 10.0),
        ("DRS.M01504", True, 10.0),
        ("DRS.M00304", False, 10.0),
        ("DRS.M00102", False, 0.0),
        ("DRS.M05004", False, 0.0),
    ],
)
def test_what_is_asked_again_and_how_long_the_status_is_read_on(code: str, again: bool, reads: float) -> None:
    assert (asked_again(_error(code)), needs_reads_for(_error(code))) == (again, reads)


def test_nothing_else_is_asked_again() -> None:
    again = {code for code in DRS_CODES if asked_again(_error(code))}
    assert {DRS_CODES[code] for code in again} == {Meaning.TOKEN_REFUSED, Meaning.THROTTLED, Meaning.BUSY}
