"""Which refusals let a cutover do without a comparison: four codes of DRS, and nothing else."""

from __future__ import annotations

import pytest

from airflow_provider_drs.protocol.codes import DRS_CODES, GATEWAY_CODES
from airflow_provider_drs.protocol.compare.calls import create_compare_task
from airflow_provider_drs.protocol.compare.refusal import is_unavailable
from airflow_provider_drs.protocol.errors import DrsError
from airflow_provider_drs.protocol.http.response import HttpResponse, parse
from tests.constants import JOB

NOT_FOR_THIS_JOB = {"DRS.M00302", "DRS.M00304", "DRS.M00307", "DRS.M00308"}
# One that no table names, and one that looks like a known one.
CODES = [*DRS_CODES, *GATEWAY_CODES, "DRS.M09999", "drs.m00304", "M00304"]


def refused(body: str, status: int) -> DrsError:
    with pytest.raises(DrsError) as told:
        parse(create_compare_task(JOB, "objects").parse, HttpResponse(status, {}, body.encode()))
    return told.value


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, '{"error_code": "%s", "error_msg": "no"}'),
        (404, '{"error_code": "%s", "error_msg": "no"}'),
        (200, '{"error_code": "%s", "error_msg": "no"}'),
        (400, '{"count": 1, "results": [{"id": "x", "status": "failed", "error_code": "%s"}]}'),
        (200, '{"job_id": "x", "object_level_compare_create_result": {"error_code": "%s", "error_msg": "no"}}'),
    ],
    ids=["400", "404", "2xx", "job by job", "inside the part"],
)
def test_only_codes_of_another_kind_or_state_are_passed_over(status: int, body: str, code: str) -> None:
    assert is_unavailable(refused(body % code, status)) is (code in NOT_FOR_THIS_JOB)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 422, 429, 500, 502, 503])
@pytest.mark.parametrize("body", ["", "<html>", "{}", '{"error_msg": "not supported"}', '{"message": "DRS.M00304"}'])
def test_without_a_code_nothing_is_passed_over(status: int, body: str) -> None:
    assert not is_unavailable(refused(body, status))


def test_a_server_that_failed_has_refused_nothing() -> None:
    assert not is_unavailable(refused('{"error_code": "DRS.M00304"}', 500))
