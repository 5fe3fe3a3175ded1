"""The table of codes against a second copy of it, written down from the documentation by class."""

from __future__ import annotations

import pytest

from airflow_provider_drs.protocol import codes
from airflow_provider_drs.protocol.codes import Meaning

# What a code asks of a client -> the codes of DRS. Data only: whoever finds a new code adds it here and there.
TABLE = {
    "try again later": ["M01503", "M01504", "M00004"],
    "new token once": ["M00100"],
    "no permission": ["M00103", "M00102", "M00101", "M00105", "M00261"],
    "wrong request": [
        "M00007", "M00200", "M00201", "M00202", "M00210", "M00211", "M00273", "M00299", "M00300", "M00301", "M00302",
        "M00303", "M00305", "M00306", "M00307", "M00308", "KE0002",
    ],
    "the job is gone": ["M05003", "M05004", "M00289"],
    "wrong state now": ["M00304"],
    "says nothing either way": ["M00002", "M01501"],
}  # fmt: skip
CLASSES = {
    Meaning.THROTTLED: "try again later",
    Meaning.BUSY: "try again later",
    Meaning.SERVICE_FAILED: "try again later",
    Meaning.TOKEN_REFUSED: "new token once",
    Meaning.NO_PERMISSION: "no permission",
    Meaning.WRONG_REQUEST: "wrong request",
    Meaning.JOB_GONE: "the job is gone",
    Meaning.WRONG_STATE: "wrong state now",
    Meaning.WRONG_KIND: "wrong request",
    Meaning.SAYS_NOTHING: "says nothing either way",
}


def test_the_codes_are_those_of_the_table() -> None:
    documented = {f"DRS.{number}": name for name, numbers in TABLE.items() for number in numbers}
    assert {code: CLASSES[meaning] for code, meaning in codes.DRS_CODES.items()} == documented


@pytest.mark.parametrize("gateway", ["APIG", "APIGW"])
@pytest.mark.parametrize(
    ("number", "status", "meaning"),
    [
        ("0101", 404, Meaning.NO_SUCH_CALL),
        ("0101", 405, None),
        ("0301", 401, Meaning.TOKEN_REFUSED),
        ("0307", 403, Meaning.TOKEN_REFUSED),
        ("0308", 429, Meaning.THROTTLED),
        ("0302", 401, None),
    ],
)
def test_the_gateway_has_two_names_and_codes_of_its_own(
    gateway: str, number: str, status: int, meaning: Meaning | None
) -> None:
    assert codes.meaning(f"{gateway}.{number}", status) is meaning


@pytest.mark.parametrize("code", [None, "", "DRS.M99999", "M00100", "drs.m00100", "APIGX.0101", "DRS.0101"])
def test_what_is_not_in_the_table_means_nothing(code: str | None) -> None:
    assert codes.meaning(code, 404) is None


def test_the_codes_that_are_asked_for_by_name_are_in_the_table() -> None:
    named = [codes.NO_RESULT, codes.TOKEN_REFUSED, codes.WRONG_STATE]
    assert [codes.DRS_CODES[code] for code in named] == [
        Meaning.SAYS_NOTHING,
        Meaning.TOKEN_REFUSED,
        Meaning.WRONG_STATE,
    ]
