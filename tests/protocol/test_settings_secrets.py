from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_drs.get_provider_info import field_name
from tests.protocol.test_settings import BAD, PASSWORD, read, refusal


def test_secrets_are_in_no_repr() -> None:
    with_password = read()
    with_token = read(login=None, password=None, token="tok-123")
    assert PASSWORD not in f"{with_password!r} {with_password}"
    assert "tok-123" not in f"{with_token!r} {with_token}"


@pytest.mark.parametrize(("fields", "says"), [row for row in BAD if "password" not in row[0] and "token" not in row[0]])
def test_no_error_tells_the_password(fields: dict[str, Any], says: str) -> None:
    assert PASSWORD not in told(refusal(**fields))


def told(error: BaseException | None) -> str:
    """Return all that a log could show of an error, with the errors it came from."""
    if error is None:
        return ""
    own = f"{error} {error!r} {vars(error)}"
    return " ".join([own, told(error.__cause__), told(error.__context__)])


# What comes before the "@" when a whole address with user and password is pasted; some change where the host begins.
PASTED = [
    *("s3cret", "s3cret@x", "s3/cret", "s3?cret", "s3#cret", "s3:cret", "/s3cret"),
    *("12/s3cret", "12?s3cret", "12#s3cret"),
]
ADDRESSES = ["https://ada:{}@drs.example", "https://ada:{}@drs.example:8443/v3", "ada:{}@drs.example"]


@pytest.mark.parametrize("password", PASTED)
@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("name", ["host", "auth_url"])
def test_a_password_pasted_into_an_address_is_refused_and_not_told(name: str, address: str, password: str) -> None:
    error = refusal(**{name: address.format(password)})
    assert field_name(name) in error.message
    assert "s3" not in told(error)
    assert "cret" not in told(error)


def test_a_user_without_a_password_is_no_part_of_an_address_either() -> None:
    for value in ("https://s3cret@drs.example", "https://:s3cret@drs.example", "https://@drs.example"):
        assert PASSWORD not in told(refusal(host=value))
