from __future__ import annotations

import json

import pytest

from airflow_provider_drs.protocol.http import response as responses
from airflow_provider_drs.protocol.http.response import HttpResponse

SECRET = 'p/ä "1"&+=\\'
WRITTEN = {
    "as-it-is": SECRET.encode(),
    "json": json.dumps(SECRET).encode(),
    "json-in-utf8": json.dumps(SECRET, ensure_ascii=False).encode(),
    "json-in-a-text": json.dumps({"error": {"message": f"wrong password {SECRET}!", "code": 401}}).encode(),
    "json-that-escapes-more": json.dumps({"error_msg": SECRET}).replace("/", "\\/").replace("=", "\\u003d").encode(),
    "html": b"<p>p/\xc3\xa4 &quot;1&quot;&amp;+=\\</p>",
    "query": b"?password=p%2F%C3%A4+%221%22%26%2B%3D%5C",
    "path": b"p/%C3%A4%20%221%22%26%2B%3D%5C",
}


@pytest.mark.parametrize("body", WRITTEN.values(), ids=WRITTEN)
def test_an_answer_can_be_read_without_a_secret_it_echoes(body: bytes) -> None:
    cleaned = HttpResponse(401, {"Location": SECRET}, body).redacted("other", SECRET, "")
    assert b"***" in cleaned.body
    assert b"1" not in cleaned.body.replace(b"401", b"")
    assert cleaned.header("location") == "***"
    assert "1" not in responses.iam_error(cleaned).message.replace("401", "")


def test_of_two_secrets_that_begin_alike_nothing_is_left() -> None:
    assert HttpResponse(401, {}, b"secret-1 secret").redacted("secret", "secret-1").body == b"*** ***"


def test_an_answer_without_a_secret_is_left_alone() -> None:
    untouched = HttpResponse(200, {"Retry-After": "4"}, b'{"id": "x", "status": null}', 5.0)
    assert untouched.redacted("secret", "") == untouched
