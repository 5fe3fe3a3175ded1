from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from airflow_provider_drs.protocol import errors
from airflow_provider_drs.protocol.codes import DRS_CODES
from airflow_provider_drs.protocol.http import response as responses
from airflow_provider_drs.protocol.http.response import HttpResponse
from airflow_provider_drs.protocol.switchover import calls
from tests.constants import JOB

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


def response(status: int, body: object = b"", **headers: str) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, raw, NOW.timestamp()
    )


def refusal(status: int, code: str, key: str = "error_msg", **headers: str) -> HttpResponse:
    return response(status, {"error_code": code, key: f"text of {code}"}, **headers)


@dataclass
class Refusal:
    """One row: an response and the error it stands for."""

    response: HttpResponse
    error: type[errors.DrsError]
    code: str | None = None
    retry_after: float | None = None
    says: list[str] = field(default_factory=list)
    hides: list[str] = field(default_factory=list)


# The documented codes, each with the HTTP status it is documented with, or 400 where it is not.
CODES: dict[type[errors.DrsError], list[tuple[int, str]]] = {
    errors.DrsThrottledError: [(400, "DRS.M01503")],
    errors.DrsBusyError: [(202, "DRS.M01504")],
    errors.DrsServerError: [(500, "DRS.M00004"), (422, "DRS.M01501"), (422, "DRS.M00002")],
    errors.DrsTokenRefusedError: [(403, "DRS.M00100")],
    errors.DrsPermissionError: [
        (401, "DRS.M00103"), (403, "DRS.M00102"), (404, "DRS.M00101"), (400, "DRS.M00105"), (403, "DRS.M00261"),
    ],
    errors.DrsRequestError: [
        (400, f"DRS.{code}")
        for code in (
            *("M00007", "M00200", "M00201", "M00202", "M00210", "M00211", "M00273", "KE0002"),
            *(f"M00{number}" for number in range(299, 309) if number != 304),
        )
    ],
    errors.DrsJobNotFoundError: [
        (404, "DRS.M05003"), (400, "DRS.M05003"), (400, "DRS.M05004"), (400, "DRS.M00289"),
    ],
    errors.DrsWrongStateError: [(400, "DRS.M00304")],
}  # fmt: skip


def documented() -> list[Any]:
    rows = []
    for error, pairs in CODES.items():
        for status, code in pairs:
            for key in ("error_msg", "error_message"):
                row = Refusal(refusal(status, code, key), error, code, says=[code, f"text of {code}", f"HTTP {status}"])
                rows.append(pytest.param(row, id=f"{status}-{code}-{key}"))
            # Told job by job it is read alike, and the job is named.
            item = {"status": "failed", "error_code": code, "error_msg": f"text of {code}"}
            for name in ("id", "job_id"):
                inside = response(status if status != 202 else 400, {"count": 1, "results": [{name: JOB, **item}]})
                row = Refusal(inside, error, code, says=[f"HTTP {inside.status}: {code}: text of {code} (job '{JOB}')"])
                rows.append(pytest.param(row, id=f"{status}-{code}-in-results-{name}"))
            # The code decides, whatever the HTTP status: also inside a 2xx, with and without the word "failed".
            rows.append(pytest.param(Refusal(refusal(200, code), error, code), id=f"200-{code}"))
            failed = response(202, {"id": JOB, "status": "failed", "error_code": code, "error_msg": "no"})
            rows.append(pytest.param(Refusal(failed, error, code, says=["no"]), id=f"202-failed-{code}"))
    return rows


BY_HTTP_STATUS: dict[type[errors.DrsError], list[int]] = {
    errors.DrsTokenRefusedError: [401, 403],
    errors.DrsJobNotFoundError: [404],
    errors.DrsThrottledError: [429],
    errors.DrsServerError: [408, 425, 500, 501, 502, 503, 504, 599],
    errors.DrsRequestError: [400, 402, 405, 406, 409, 410, 411, 413, 415, 422, 451, 499],
    errors.DrsInvalidResponseError: [100, 101, 103, 199, 0, -1, 600, 999],
    errors.DrsRedirectError: [300, 301, 302, 303, 304, 307, 308, 399],
}
BODIES = {"no-body": b"", "html": HTML, "half": b'{"error_code": "DRS.M00', "list": b"[1]", "object": b"{}"}


def undocumented() -> list[Any]:
    return [
        pytest.param(Refusal(response(status, body), error), id=f"{status}-{name}")
        for error, codes in BY_HTTP_STATUS.items()
        for status in codes
        for name, body in BODIES.items()
    ]


GARBLED = {
    "no-body": (b"", "no body"),
    "blank": (b" \r\n", "no body"),
    "html": (HTML, "an HTML page"),
    "half": (b'{"id": "260e27fd", "status": "SWITCH_VI', "SWITCH_VI"),
    "list": (b'[{"id": "x"}]', "JSON object"),
    "string": (b'"SWITCH_VIP_COMPLETE"', "JSON object"),
    "null": (b"null", "JSON object"),
    "not-utf8": (b"\xff\xfe\x00{", "JSON object"),
    "too-deep": (b"[" * 100_000, "JSON object"),
    "endless-number": (b'{"id": ' + b"1" * 5000 + b"}", "JSON object"),
}
HUGE = "9" * 400
RETRY_AFTER = {
    "7": 7.0, "0": 0.0, " 12.5 ": 12.5, "3600": 3600.0, "3601": 3600.0, HUGE: 3600.0, "inf": 3600.0, "-5": 0.0,
    "-inf": 0.0, "nan": None, "": None, "soon": None, "7 seconds": None,
    format_datetime(datetime(2026, 11, 23, 12, 0, 42, tzinfo=UTC), usegmt=True): 42.0,
    "Mon, 23 Nov 2026 13:00:30 +0100": 30.0,
    "Sun, 22 Nov 2026 12:00:00 GMT": 0.0,
    "Tue, 24 Nov 2026 12:00:00 GMT": 3600.0,
    "Mon, 32 Nov 2026 12:00:00 GMT": None,
    "Mon, 23 Nov 2026 12:00:00 +99999999999": None,
}  # fmt: skip

OTHER = [
    pytest.param(Refusal(response(401, {"error_code": "APIGW.0301", "error_msg": "no"}), errors.DrsTokenRefusedError,
                        "APIGW.0301"), id="401-code-of-the-gateway"),
    pytest.param(Refusal(response(401, {"error_code": "DRS.M99999"}), errors.DrsPermissionError, "DRS.M99999"),
                 id="401-unknown-DRS-code"),
    pytest.param(Refusal(response(429, {"error_code": "APIGW.0308"}, RETRY_after="5"), errors.DrsThrottledError,
                        "APIGW.0308", 5.0), id="429-code-of-the-gateway"),
    pytest.param(Refusal(response(503, HTML, retry_after="9"), errors.DrsServerError, None, 9.0), id="503-retry-after"),
    pytest.param(Refusal(refusal(400, "DRS.M01503", retry_after="8"), errors.DrsThrottledError, "DRS.M01503", 8.0),
                 id="M01503-retry-after"),
    pytest.param(Refusal(response(403, {"code": "x.1", "message": "no such role"}), errors.DrsPermissionError, "x.1",
                        says=["no such role"]), id="code-and-message"),
    pytest.param(Refusal(response(401, {"error": {"code": 401, "message": "Sign in", "title": "Unauthorized"}}),
                        errors.DrsTokenRefusedError, "401", says=["Sign in"]), id="in-the-spelling-of-keystone"),
    pytest.param(Refusal(response(500, {"error_code": ["a", {"b": 1}], "error_msg": 5}), errors.DrsServerError,
                        '["a", {"b": 1}]', says=["5"]), id="code-is-a-list"),
    pytest.param(Refusal(response(200, {"error_code": "DRS.M00002", "status": None}), errors.DrsServerError,
                        "DRS.M00002"), id="200-M00002-null-status"),
    pytest.param(Refusal(response(500, b"x" * 5000), errors.DrsServerError, says=["…"]), id="a-long-body"),
    pytest.param(Refusal(response(500, b"line\r\n\x1b[31mred\x00"), errors.DrsServerError, says=["line [31mred"]),
                 id="control-characters"),
]  # fmt: skip


def results(*items: object, status: int = 400, **top: object) -> HttpResponse:
    return response(status, {"count": len(items), "results": list(items), **top})


GONE, FREQUENT = {"id": "a", "error_code": "DRS.M05004"}, {"id": "b", "error_code": "DRS.M01503"}
RESULTS = [
    pytest.param(Refusal(results(GONE, FREQUENT), errors.DrsJobNotFoundError, "DRS.M05004", says=["job 'a'"]),
                 id="what-no-request-mends-first"),
    pytest.param(Refusal(results(FREQUENT, GONE), errors.DrsJobNotFoundError, "DRS.M05004", says=["job 'a'"]),
                 id="what-no-request-mends-last"),
    pytest.param(Refusal(results({"id": "c", "status": "success"}, FREQUENT), errors.DrsThrottledError, "DRS.M01503",
                        says=["job 'b'"]), id="some-succeed"),
    pytest.param(Refusal(results(GONE, error_code="DRS.M00201"), errors.DrsRequestError, "DRS.M00201"),
                 id="the-top-level-counts-first"),
    pytest.param(Refusal(results({"error_code": "DRS.M01503"}), errors.DrsThrottledError, "DRS.M01503"), id="no-id"),
    pytest.param(Refusal(results(GONE, status=500), errors.DrsJobNotFoundError, "DRS.M05004"), id="500"),
    pytest.param(Refusal(results({"id": "a", "error_code": "DRS.M99999"}, status=401), errors.DrsPermissionError,
                        "DRS.M99999"), id="401-unknown-code"),
    pytest.param(Refusal(results({"id": "a", "error_code": "X.1"}), errors.DrsRequestError, "X.1"), id="unknown-code"),
    *(pytest.param(Refusal(response(400, {"results": value}), errors.DrsRequestError), id=f"no-results-{value}")
      for value in ([], None, "x", [None], [{"id": "a"}], {"error_code": "DRS.M01503"}, [["DRS.M01503"]])),
    *(pytest.param(Refusal(response(404, {"error_code": f"{gateway}.0101", "error_msg": "not published"}),
                          errors.DrsNoSuchCallError, f"{gateway}.0101", says=["HTTP 404", "not published"]), id=gateway)
      for gateway in ("APIG", "APIGW")),
    pytest.param(Refusal(response(405, {"error_code": "APIG.0101"}), errors.DrsRequestError, "APIG.0101"), id="405"),
]  # fmt: skip
# A key that says two things says nothing, wherever it stands; one that says the same twice is harmless.
TWICE = [
    pytest.param(Refusal(response(200, body), errors.DrsInvalidResponseError, says=["JSON object"]), id=body.decode())
    for body in (
        b'{"id": "j", "status": "SWITCH_VIP_FAILED", "status": "SWITCH_VIP_COMPLETE"}',
        b'{"id": "j", "status": "SWITCH_VIP_COMPLETE", "status": null}',
        b'{"id": "a", "id": "b", "status": "SWITCH_VIP_COMPLETE"}',
        b'{"results": [{"id": "a", "status": "CREATING", "status": "INCRE_TRANSFER_STARTED"}]}',
    )
] + [
    pytest.param(
        Refusal(response(400, b'{"error_code": "DRS.M01503", "error_code": "DRS.M05004"}'), errors.DrsRequestError),
        id="two-codes",
    )
]

USERINFO = {
    "https://console.example/login": "https://console.example/login",
    "https://console.example/login?token=s3cret#s3cret": "https://console.example/login",
    "https://user:s3cret@console.example/login?x=1": "https://console.example/login",
    "https://s3cret@s3cret@console.example/": "https://console.example/",
    "//user:s3cret@console.example/login": "//console.example/login",
    "/v3/jobs?token=s3cret": "/v3/jobs",
    "?token=s3cret": "a redirect",
    "https://user:s3cret@[console.example/login?s3cret": "[console.example/login",
    "https://[console.example/login#s3cret": "[console.example/login",
    "https:/user:s3cret@console.example/login": "console.example/login",
    "": "an unnamed place",
}


def redirects() -> list[Any]:
    rows = [
        Refusal(response(307, b"", location=location), errors.DrsRedirectError, says=[display_text], hides=["s3cret"])
        for location, display_text in USERINFO.items()
    ]
    rows.append(Refusal(response(302), errors.DrsRedirectError, says=["an unnamed place"]))
    return [pytest.param(row, id=f"redirect-{row.response.header('location')}") for row in rows]


def garbled() -> list[Any]:
    return [
        pytest.param(Refusal(response(200, body), errors.DrsInvalidResponseError, says=[says]), id=f"200-{name}")
        for name, (body, says) in GARBLED.items()
    ]


@pytest.mark.parametrize("row", [*documented(), *undocumented(), *garbled(), *redirects(), *OTHER, *RESULTS, *TWICE])
def test_what_is_not_a_good_answer_is_this_error(row: Refusal) -> None:
    with pytest.raises(errors.DrsError) as caught:
        responses.read(row.response, "Somebody")
    error = caught.value
    assert (type(error), error.error_code, error.retry_after) == (row.error, row.code, row.retry_after)
    assert error.http_status == row.response.status
    assert error.message.startswith("Somebody ")
    for text in row.says:
        assert text in error.message
    for text in row.hides:
        assert text not in f"{error} {error.to_dict()}"


def test_every_code_of_the_table_has_a_row() -> None:
    assert {code for pairs in CODES.values() for _, code in pairs} == set(DRS_CODES)


def test_a_region_without_the_call_says_so_and_says_nothing_of_the_job() -> None:
    with pytest.raises(errors.DrsNoSuchCallError) as caught:
        responses.read(response(404, {"error_code": "APIGW.0101", "error_msg": "API does not exist"}))
    for text in ("HTTP 404", "APIGW.0101", "This cloud or region has no such call", "(host)", "(region)"):
        assert text in str(caught.value)
    assert "job" not in str(caught.value)


def test_a_key_that_says_the_same_twice_is_read() -> None:
    assert responses.read(response(200, b'{"id": "j", "id": "j", "status": null}')) == {"id": "j", "status": None}


CHINESE, UMLAUTS = "任务正在执行其他操作", "Schlüssel ungültig: ü"


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        (CHINESE, "utf-8", CHINESE),
        (CHINESE, "gbk", "\ufffd"),
        (UMLAUTS, "latin-1", "Schl\ufffdssel"),
        # The last byte of these is a backslash, before the quote that ends the text.
        ("昞", "gbk", "昞"),
        ("\\", "utf-16", "\\"),
    ],
)
def test_a_text_in_any_encoding_does_not_hide_the_status(text: str, encoding: str, shown: str) -> None:
    escaped = text.replace("\\", "\\\\")
    body = f'{{"id": "{JOB}", "status": "SWITCH_VIP_FAILED", "error_code": "DRS.M1", "error_msg": "{escaped}"}}'
    reply = responses.parse(calls.switchover_reply, response(200, body.encode(encoding)))
    assert (reply.job_id, reply.status, reply.error_code) == (JOB, "SWITCH_VIP_FAILED", "DRS.M1")
    assert shown in (reply.error_msg or "")
    with pytest.raises(errors.DrsBusyError):
        responses.read(response(400, f'{{"error_code": "DRS.M01504", "error_msg": "{escaped}"}}'.encode(encoding)))


@pytest.mark.parametrize(("header", "seconds"), RETRY_AFTER.items())
def test_retry_after_is_a_number_or_a_date_and_at_most_an_hour(header: str, seconds: float | None) -> None:
    assert responses.retry_after(response(429, b"", Retry_After=header)) == seconds


def test_without_retry_after_there_is_none() -> None:
    assert responses.retry_after(response(429)) is None


KEYSTONE_401 = {"error": {"code": 401, "message": "The request you have made requires authentication.", "title": "U"}}
IAM = [
    (response(401, KEYSTONE_401), errors.DrsAuthenticationError, "requires authentication"),
    (response(401), errors.DrsAuthenticationError, "no body"),
    (response(400, {"error": {"code": 400, "message": "No domain"}}), errors.DrsAuthenticationError, "No domain"),
    (response(403, {"error_code": "IAM.0002", "error_msg": "locked"}), errors.DrsAuthenticationError, "locked"),
    (response(404, HTML), errors.DrsConfigError, "auth_url"),
    (response(404, {"error_code": "APIG.0101"}), errors.DrsConfigError, "auth_url"),
    (response(302, b"", location="https://login.example/?a"), errors.DrsRedirectError, "https://login.example/"),
    (response(429, b"", retry_after="4"), errors.DrsThrottledError, "429"),
    (response(500, HTML), errors.DrsServerError, "500"),
    (response(503, {"error": {"code": 503, "message": "maintenance"}}), errors.DrsServerError, "maintenance"),
    (response(201, HTML), errors.DrsInvalidResponseError, "HTML"),
    (response(201), errors.DrsInvalidResponseError, "no body"),
    (response(201, {"token": {}}), errors.DrsInvalidResponseError, "without a token"),
]


@pytest.mark.parametrize(("given_answer", "expected", "says"), IAM)
def test_what_an_answer_of_iam_without_a_token_stands_for(
    given_answer: HttpResponse, expected: type[errors.DrsError], says: str
) -> None:
    error = responses.iam_error(given_answer)
    assert type(error) is expected
    assert says in error.message
    assert "IAM" in error.message
    assert error.http_status == given_answer.status


def test_iam_that_asks_for_patience_is_given_it() -> None:
    assert responses.iam_error(response(429, b"", retry_after="4")).retry_after == 4


def test_what_was_read_before_is_not_read_again_but_an_error_is_made_anew() -> None:
    good = HttpResponse(200, {}, b'{"id": "job-1", "status": "SWITCH_VIP_START"}')
    first = responses.parse(calls.switchover_reply, good)
    assert first == calls.SwitchoverReply("job-1", "SWITCH_VIP_START")
    assert responses.parse(calls.switchover_reply, good) is first
    assert responses.parse(calls.switchover_reply, replace(good, body=good.body.replace(b"START", b"FAILED"))) != first
    assert responses.parse(calls.switch_reply, HttpResponse(202, {}, b'{"id": "j", "status": "success"}')) == "j"
    for after in ("7", "8"):
        busy = HttpResponse(202, {"Retry-After": after}, b'{"status": "failed", "error_code": "DRS.M01504"}')
        with pytest.raises(errors.DrsBusyError) as caught:
            responses.parse(calls.switchover_reply, busy)
        assert caught.value.retry_after == float(after)
    refused = replace(good, status=503)
    with pytest.raises(errors.DrsServerError):
        responses.parse(calls.switchover_reply, refused)


@pytest.mark.parametrize(
    ("date", "at"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777.0),
        ("Sun Nov  6 08:49:37 1994", 784111777.0),
        ("Sun, 06 Nov 1994 08:49:37 -0000", 784111777.0),
        ("soon", None),
        ("", None),
    ],
)
def test_the_servers_clock_is_read_in_every_form_of_http(date: str, at: float | None) -> None:
    assert HttpResponse(200, {"DATE": date}, b"").server_time == at
    if at is not None:
        assert responses.retry_after(HttpResponse(429, {"Retry-After": date}, b"", at - 7)) == 7


def test_without_a_date_there_is_no_clock() -> None:
    assert HttpResponse(200, {}, b"").server_time is None
