from __future__ import annotations

import pytest

from airflow_provider_drs.protocol.errors import DrsTokenRefusedError
from airflow_provider_drs.protocol.http.key_refusal import key_refused


@pytest.mark.parametrize(
    ("text", "ahead", "says"),
    [
        ("the request timestamp is expired", 7200.4, "this machine is 2 hours ahead of that of DRS, and a signature"),
        ("the request timestamp is expired", -1800.0, "this machine is 30 minutes behind that of DRS"),
        ("the request timestamp is expired", None, "the clock of this machine is off"),
        ("something else", 7200.0, "2 hours ahead of"),
        ("AK access failed to reach the limit,forbidden", 1.0, "IAM user name (login) is locked for five minutes"),
        ("Get secretKey failed,ak:X,err:ak not exist", 1.0, "no such access key: check IAM user name (login)"),
        ("verify aksk signature fail", 1.0, "the secret key in IAM password (password) is not that of the access key"),
        ("the security token is missing or wrong", 1.0, "Security token (security_token) is missing, wrong or no"),
    ],
)
def test_a_refused_signature_names_what_is_wrong(text: str, ahead: float | None, says: str) -> None:
    error = key_refused(DrsTokenRefusedError("DRS answered HTTP 401", error_code="APIG.0301", error_msg=text), ahead)
    assert says in error.message
    assert error.message.index("(DRS answered HTTP 401)") <= 160
    assert error.error_code == "APIG.0301"
