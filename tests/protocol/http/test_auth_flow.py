from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from typing import Any

import pytest

from airflow_provider_drs.protocol import errors
from airflow_provider_drs.protocol.http.auth_flow import GetToken, Send, exchange
from airflow_provider_drs.protocol.http.request import Call, Token
from airflow_provider_drs.protocol.http.response import HttpResponse
from airflow_provider_drs.protocol.jobs.calls import list_one_job, stop_jobs
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply, get_switchover_status, switch_vip
from tests.constants import JOB

ENDPOINT = "https://drs.example"
OLD = Token("old-t0ken", "project1")
NEW = Token("new-t0ken", "project2")
COMPLETE = {"id": JOB, "status": "SWITCH_VIP_COMPLETE"}
REFUSED = HttpResponse(403, {}, b'{"error_code": "DRS.M00100", "error_msg": "token expired"}')


def response(status: int, body: object, headers: Mapping[str, str] | None = None) -> HttpResponse:
    return HttpResponse(status, headers or {}, json.dumps(body).encode())


Steps = Generator[GetToken | Send, Any, Any]


def begin(call: Call[Any]) -> tuple[Steps, Send]:
    """Take the steps up to the first request, which goes out with the token ``OLD``."""
    steps = exchange(call, ENDPOINT, "zh-cn")
    assert next(steps) == GetToken(refused=None)
    send = steps.send(OLD)
    assert isinstance(send, Send)
    return steps, send


def result(steps: Steps, outcome: HttpResponse) -> Any:
    """Send the last response; what the call comes to must stand now, without another request."""
    with pytest.raises(StopIteration) as end:
        steps.send(outcome)
    return end.value.value


def failure(steps: Steps, outcome: HttpResponse | Token) -> errors.DrsError:
    with pytest.raises(errors.DrsError) as caught:
        steps.send(outcome)
    return caught.value


def test_a_good_answer_takes_one_token_and_one_request() -> None:
    steps, send = begin(get_switchover_status(JOB))
    request = send.request
    assert (request.method, request.body) == ("GET", None)
    assert request.url == f"{ENDPOINT}/v3/project1/jobs/{JOB}/get-switch-vip-status"
    assert request.headers["X-Auth-Token"] == "old-t0ken"
    assert request.headers["X-Language"] == "zh-cn"
    assert request.headers["Content-Type"] == "application/json"
    assert result(steps, response(200, COMPLETE)) == SwitchoverReply(JOB, "SWITCH_VIP_COMPLETE")


def test_a_post_carries_its_body() -> None:
    steps, send = begin(list_one_job())
    assert (send.request.method, send.request.url) == ("POST", f"{ENDPOINT}/v3/project1/jobs")
    assert send.request.body is not None
    assert json.loads(send.request.body) == {"cur_page": 1, "per_page": 1, "db_use_type": "sync"}
    assert result(steps, response(200, {"total_record": 3, "jobs": []})) == 3


@pytest.mark.parametrize(
    "refused", [REFUSED, HttpResponse(401, {}, b""), response(200, {"error_code": "DRS.M00100"})], ids=repr
)
def test_a_refused_token_is_replaced_once_and_the_same_request_repeated(refused: HttpResponse) -> None:
    steps, first = begin(list_one_job())
    assert steps.send(refused) == GetToken(refused=OLD)
    second = steps.send(NEW)
    assert isinstance(second, Send)
    assert (second.request.method, second.request.body) == (first.request.method, first.request.body)
    assert second.request.headers == {**first.request.headers, "X-Auth-Token": "new-t0ken"}
    assert second.request.url == f"{ENDPOINT}/v3/project2/jobs"
    assert result(steps, response(200, {"total_record": 0})) == 0


def test_a_token_refused_twice_is_an_error() -> None:
    steps, _ = begin(get_switchover_status(JOB))
    steps.send(REFUSED)
    steps.send(NEW)
    error = failure(steps, REFUSED)
    assert type(error) is errors.DrsTokenRefusedError
    assert error.error_code == "DRS.M00100"


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (response(401, {"error_code": "DRS.M00103", "error_msg": "no permission"}), errors.DrsPermissionError),
        (response(403, {"error_code": "DRS.M00102"}), errors.DrsPermissionError),
        (response(403, {"code": "IAM.0002"}), errors.DrsPermissionError),
        (HttpResponse(302, {"Location": "https://elsewhere.example/"}, b""), errors.DrsRedirectError),
        (HttpResponse(503, {"Retry-After": "3"}, b""), errors.DrsServerError),
        (response(400, {"error_code": "DRS.M00201"}), errors.DrsRequestError),
    ],
)
def test_no_other_refusal_asks_for_a_new_token(outcome: HttpResponse, expected: type[errors.DrsError]) -> None:
    steps, _ = begin(get_switchover_status(JOB))
    assert type(failure(steps, outcome)) is expected


def test_after_a_new_token_the_second_answer_decides() -> None:
    steps, _ = begin(get_switchover_status(JOB))
    steps.send(REFUSED)
    steps.send(NEW)
    assert type(failure(steps, HttpResponse(503, {}, b""))) is errors.DrsServerError


FORBIDDEN = [
    HttpResponse(403, {}, b""),
    HttpResponse(403, {}, b"<html>Forbidden</html>"),
    response(403, {"message": "X-Auth-Token is invalid in the request"}),
    response(403, {"error": {"code": 403, "message": "X-Auth-Token is invalid in the request"}}),
]


@pytest.mark.parametrize("outcome", FORBIDDEN, ids=repr)
def test_a_403_without_a_code_gets_one_new_token_and_is_about_permissions_then(outcome: HttpResponse) -> None:
    for second, expected in ((response(200, COMPLETE), None), (outcome, errors.DrsPermissionError)):
        steps, first = begin(get_switchover_status(JOB))
        assert steps.send(outcome) == GetToken(refused=OLD)
        again = steps.send(NEW)
        assert isinstance(again, Send)
        assert (again.request.method, again.request.body) == (first.request.method, first.request.body)
        if expected is None:
            assert result(steps, second) == SwitchoverReply(JOB, "SWITCH_VIP_COMPLETE")
        else:
            error = failure(steps, second)
            assert (type(error), error.http_status) == (expected, 403)
            assert "needs a DRS role here" in str(error)
    for call in (SWITCH, STOP):  # a gateway may have written it after DRS took the request
        steps, _ = begin(call)
        assert type(failure(steps, outcome)) is errors.DrsPermissionError


NOTHING = [
    response(422, {"error_code": "DRS.M00002", "error_msg": "The returned result is empty."}),
    response(200, {"error_code": "DRS.M00002", "error_message": "The returned result is empty."}),
    response(404, {"error_code": "DRS.M00002"}),
]


@pytest.mark.parametrize("outcome", NOTHING)
@pytest.mark.parametrize("with_a_new_token", [False, True])
def test_an_empty_result_is_the_reply_that_nothing_has_begun(outcome: HttpResponse, with_a_new_token: bool) -> None:
    steps, _ = begin(get_switchover_status(JOB))
    if with_a_new_token:
        steps.send(REFUSED)
        steps.send(NEW)
    assert result(steps, outcome) == SwitchoverReply(job_id=None, status=None)


@pytest.mark.parametrize("outcome", NOTHING)
def test_to_a_call_that_knows_no_empty_result_it_says_nothing_either_way(outcome: HttpResponse) -> None:
    steps, _ = begin(list_one_job())
    error = failure(steps, outcome)
    assert isinstance(error, errors.DrsServerError)
    assert error.error_code == "DRS.M00002"


SECRET = "MIIF/s3cr+et=="
# As it is, and as JSON writers spell "/", "+" and "=" that escape more than they must.
SPELLINGS = [SECRET, SECRET.replace("/", "\\/"), SECRET.replace("=", "\\u003d"), SECRET.replace("+", "\\u002b")]


def echoing(text: str) -> list[HttpResponse]:
    return [
        HttpResponse(400, {}, f'{{"error_code": "X {text}", "error_msg": "Bad token {text}!"}}'.encode()),
        HttpResponse(401, {}, f'{{"error_code": "DRS.M00103", "error_message": "{text}"}}'.encode()),
        HttpResponse(200, {}, f'{{"error_code": "DRS.M01503", "error_msg": "{text}"}}'.encode()),
        HttpResponse(403, {}, f'{{"error": {{"message": "{text}", "code": "IAM.1"}}}}'.encode()),
    ]


ECHOES = [
    *(outcome for text in SPELLINGS for outcome in echoing(text)),
    HttpResponse(502, {}, f"{SECRET} is no good".encode()),
    HttpResponse(200, {}, f"{SECRET} is no JSON".encode()),
    HttpResponse(302, {"Location": f"https://login.example/{SECRET}"}, b""),
]


@pytest.mark.parametrize("outcome", ECHOES, ids=lambda outcome: f"{outcome.status} {outcome.body.decode()}")
def test_a_token_the_server_echoes_is_gone_from_the_error(outcome: HttpResponse) -> None:
    steps = exchange(get_switchover_status(JOB), ENDPOINT, "en-us")
    next(steps)
    steps.send(Token(SECRET, "project1"))
    error = failure(steps, outcome)
    told = f"{error} {error!r} {error.to_dict()}"
    assert SECRET not in told
    assert SECRET[:8] not in told
    assert "***" in told


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_token_the_server_echoes_is_gone_from_the_reply(text: str) -> None:
    steps = exchange(get_switchover_status(JOB), ENDPOINT, "en-us")
    next(steps)
    steps.send(Token(SECRET, "project1"))
    body = f'{{"id": "{JOB}", "status": "SWITCH_VIP_FAILED", "error_code": "{text}", "error_msg": "seen {text}"}}'
    reply = result(steps, HttpResponse(200, {}, body.encode()))
    assert reply == SwitchoverReply(JOB, "SWITCH_VIP_FAILED", "***", "seen ***")


def test_neither_token_is_in_the_error_about_the_second() -> None:
    steps, _ = begin(get_switchover_status(JOB))
    steps.send(response(403, {"error_code": "DRS.M00100", "error_msg": "old-t0ken"}))
    steps.send(NEW)
    error = failure(steps, response(403, {"error_code": "DRS.M00100", "error_msg": "new-t0ken"}))
    chain: BaseException | None = error
    while chain is not None:
        assert "t0ken" not in str(chain)
        chain = chain.__cause__ or chain.__context__


def test_the_token_is_in_no_repr() -> None:
    _, send = begin(get_switchover_status(JOB))
    assert "t0ken" not in f"{send!r} {send.request!r} {OLD!r} {GetToken(refused=OLD)!r}"


# Whether a request was sent

STOP = stop_jobs([JOB])
SWITCH = switch_vip(JOB, "target")


@pytest.mark.parametrize("outcome", [HttpResponse(401, {}, b""), response(401, {"error_code": "APIG.0301"})], ids=repr)
def test_what_changes_something_is_repeated_only_if_drs_itself_refused_the_token(outcome: HttpResponse) -> None:
    steps, _ = begin(SWITCH)
    error = failure(steps, outcome)
    assert (type(error), error.never_sent) == (errors.DrsTokenRefusedError, False)


def test_a_switchover_whose_token_drs_refused_does_not_go_out_again_by_itself() -> None:
    """Whoever asks again reads the status first; the new token is there by then."""
    steps, _ = begin(SWITCH)
    assert steps.send(REFUSED) == GetToken(refused=OLD)
    error = failure(steps, NEW)
    assert (type(error), error.error_code) == (errors.DrsTokenRefusedError, "DRS.M00100")


@pytest.mark.parametrize("trouble", [errors.DrsServerError("IAM: 503"), errors.DrsAuthenticationError("password")])
def test_that_drs_has_refused_the_token_of_a_switchover_is_certain_without_a_new_one(trouble: errors.DrsError) -> None:
    steps, _ = begin(SWITCH)
    assert steps.send(REFUSED) == GetToken(refused=OLD)
    with pytest.raises(errors.DrsTokenRefusedError) as caught:
        steps.throw(trouble)
    assert (caught.value.error_code, caught.value.never_sent) == ("DRS.M00100", False)


def test_job_control_whose_token_drs_refused_goes_out_again() -> None:
    steps, first = begin(STOP)
    assert steps.send(REFUSED) == GetToken(refused=OLD)
    second = steps.send(NEW)
    assert isinstance(second, Send)
    assert second.request.body == first.request.body


@pytest.mark.parametrize("claimed", [False, True])
@pytest.mark.parametrize("at", ["first token", "first request", "second token", "second request"])
def test_only_without_a_token_is_it_certain_here_that_nothing_was_sent(at: str, claimed: bool) -> None:
    """Of a request it is the client that knows, unless one was sent before."""
    steps = exchange(STOP, ENDPOINT, "en-us")
    next(steps)
    for place, outcome in (("first token", OLD), ("first request", REFUSED), ("second token", NEW)):
        if place == at:
            break
        steps.send(outcome)
    with pytest.raises(errors.DrsUnreachableError) as caught:
        steps.throw(errors.DrsUnreachableError("reset", never_sent=claimed))
    assert caught.value.never_sent is {"first token": True, "first request": claimed}.get(at, False)
