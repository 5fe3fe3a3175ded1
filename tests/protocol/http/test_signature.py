"""Our signatures are the vendor's: ``tests/real_clients/test_signatures.py`` compares the two for any request."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_drs.protocol.http.request import HttpRequest
from airflow_provider_drs.protocol.http.signature import AccessKey

AT = datetime(2026, 11, 26, 12, 0, 0, tzinfo=UTC).timestamp()
KEY = AccessKey("AK", "s3cret", None)


def request(url: str = "https://drs.example/v3/p/jobs", key: AccessKey | None = KEY) -> HttpRequest:
    return HttpRequest("POST", url, {"X-Project-Id": "p"}, b"{}", key=key)


def test_a_signed_request_says_who_when_and_where() -> None:
    headers = request().headers_at(AT)
    assert headers["Host"] == "drs.example"
    assert headers["X-Sdk-Date"] == "20261126T120000Z"
    assert headers["Authorization"].startswith(
        "SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-project-id;x-sdk-date, Signature="
    )
    assert "X-Security-Token" not in headers


def test_a_temporary_key_sends_its_security_token_and_signs_it() -> None:
    headers = request(key=AccessKey("AK", "s3cret", "st")).headers_at(AT)
    assert headers["X-Security-Token"] == "st"
    assert "x-security-token" in headers["Authorization"]


def test_without_a_key_nothing_is_added() -> None:
    assert request(key=None).headers_at(AT) == {"X-Project-Id": "p"}


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://drs.example:443/v3", "drs.example"),
        ("https://drs.example:8443/v3", "drs.example:8443"),
        ("http://[::1]:8080/v3", "[::1]:8080"),
    ],
)
def test_the_host_is_as_clients_send_it(url: str, host: str) -> None:
    assert request(url).headers_at(AT)["Host"] == host


def test_no_secret_is_in_a_repr() -> None:
    assert "s3cret" not in f"{KEY!r} {request()!r}"
