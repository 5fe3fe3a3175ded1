"""Both clients, against every fault of DRS and of IAM: the same replies, the same errors, the same requests."""

from __future__ import annotations

import gzip
import time
from typing import Any

import pytest

from airflow_provider_drs.clients.tokens import REFUSAL_LASTS, TokenSource
from airflow_provider_drs.clients.transport import MAX_BODY
from airflow_provider_drs.protocol.errors import (
    DrsAuthenticationError,
    DrsBusyError,
    DrsConfigError,
    DrsError,
    DrsInvalidResponseError,
    DrsJobNotFoundError,
    DrsPermissionError,
    DrsRedirectError,
    DrsRequestError,
    DrsServerError,
    DrsThrottledError,
    DrsTokenRefusedError,
    DrsUnreachableError,
)
from airflow_provider_drs.protocol.jobs.calls import list_one_job
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply
from airflow_provider_drs.simulator import Fault, Simulator

from .helpers import (
    ASK,
    JOB,
    STARTED,
    STATUS,
    Clock,
    Connect,
    refused,
    settings_of,
)

TOO_LONG = b" " * (MAX_BODY + 1)
PACKED = {"Content-Encoding": "gzip"}

# Read alike from DRS and from IAM.
TROUBLE = [
    pytest.param(Fault.too_many(7), DrsThrottledError, "HTTP 429", id="429"),
    pytest.param(Fault.status(500), DrsServerError, "HTTP 500", id="500"),
    pytest.param(Fault.status(502), DrsServerError, "HTTP 502", id="502"),
    pytest.param(Fault.status(503), DrsServerError, "HTTP 503", id="503"),
    pytest.param(Fault.status(504), DrsServerError, "HTTP 504", id="504"),
    pytest.param(Fault.html(502), DrsServerError, "an HTML page", id="html-502"),
    pytest.param(Fault.html(), DrsInvalidResponseError, "", id="html"),
    pytest.param(Fault.wrong_json(), DrsInvalidResponseError, "", id="wrong-json"),
    pytest.param(Fault.empty(), DrsInvalidResponseError, "", id="empty"),
    pytest.param(Fault.json(["a"]), DrsInvalidResponseError, "", id="list"),
    pytest.param(Fault.raw(b"\xff\x00"), DrsInvalidResponseError, "", id="bytes"),
    pytest.param(Fault.raw(b"{}", headers=PACKED), DrsInvalidResponseError, "is no gzip", id="not-gzip"),
    pytest.param(
        Fault.raw(b"{}", headers={"Content-Encoding": "br"}), DrsInvalidResponseError, "the encoding 'br'", id="br"
    ),
    pytest.param(Fault.reset(), DrsUnreachableError, "cut the connection", id="reset"),
    pytest.param(Fault.lost(), DrsUnreachableError, "cut the connection", id="lost"),
    pytest.param(Fault.cut(), DrsUnreachableError, "cut its response short", id="cut"),
]

DRS_ANSWERS = [
    *TROUBLE,
    pytest.param(Fault.raw(TOO_LONG), DrsInvalidResponseError, "more than", id="too-long"),
    pytest.param(Fault.raw(gzip.compress(TOO_LONG), headers=PACKED), DrsInvalidResponseError, "more than", id="bomb"),
    pytest.param(Fault.status(400, "DRS.M01503"), DrsThrottledError, "DRS.M01503", id="M01503"),
    pytest.param(Fault.status(202, "DRS.M01504"), DrsBusyError, "DRS.M01504", id="M01504"),
    pytest.param(Fault.status(500, "DRS.M00004"), DrsServerError, "DRS.M00004", id="M00004"),
    pytest.param(Fault.no_permission(), DrsPermissionError, "DRS.M00103", id="no-permission"),
    pytest.param(Fault.status(403, "DRS.M00102"), DrsPermissionError, "DRS.M00102", id="M00102"),
    pytest.param(Fault.status(403, "DRS.M00261"), DrsPermissionError, "DRS.M00261", id="M00261"),
    pytest.param(Fault.status(404, "DRS.M05003"), DrsJobNotFoundError, "DRS.M05003", id="M05003"),
    pytest.param(Fault.status(400, "DRS.M00202", "mode"), DrsRequestError, "DRS.M00202", id="M00202"),
]

IAM_ANSWERS = [
    *TROUBLE,
    pytest.param(Fault.plain_401(), DrsAuthenticationError, "IAM refuses the log-in", id="401"),
    pytest.param(Fault.status(403), DrsAuthenticationError, "IAM refuses the log-in", id="403"),
    pytest.param(Fault.status(400), DrsAuthenticationError, "IAM refuses the log-in", id="400"),
    pytest.param(Fault.status(404), DrsConfigError, "IAM endpoint (auth_url) does not lead to an IAM", id="404"),
    pytest.param(Fault.json({"token": {}}, 201), DrsInvalidResponseError, "", id="no-token-header"),
    pytest.param(Fault.raw(b"{}", 201, {"X-Subject-Token": "t"}), DrsInvalidResponseError, "", id="no-token-body"),
    pytest.param(
        Fault.raw(
            b'{"token": {"expires_at": "2999-01-01T00:00:00.000000Z", "user": {"id": "u"}}}',
            201,
            {"X-Subject-Token": "t"},
        ),
        DrsConfigError,
        "set Project name (project_name) or Project id (project_id)",
        id="no-project",
    ),
    pytest.param(
        Fault.raw(b'{"token": {"project": {"id": "p"}}}', 201, {"X-Subject-Token": "t"}),
        DrsInvalidResponseError,
        "",
        id="no-expiry",
    ),
    pytest.param(
        Fault.raw(b'{"token": {"project": {"id": "p"}, "expires_at": "soon"}}', 201, {"X-Subject-Token": "t"}),
        DrsInvalidResponseError,
        "",
        id="odd-expiry",
    ),
]


def test_a_call_gives_the_reply(simulator: Simulator, connect: Connect) -> None:
    client = connect(settings_of(simulator, language="zh-cn"))
    assert client.call(ASK) == STARTED
    assert client.call(list_one_job()) == 1
    sent = simulator.calls(STATUS)[0]
    assert sent.path == f"/v3/{simulator.project_id}/jobs/{JOB}/get-switch-vip-status"
    assert sent.headers["x-language"] == "zh-cn"


def test_no_switchover_yet_is_a_reply_without_status(simulator: Simulator, connect: Connect) -> None:
    simulator.fault(STATUS, Fault.status(422, "DRS.M00002"))
    assert connect(settings_of(simulator)).call(ASK) == SwitchoverReply(None, None)


@pytest.mark.parametrize(("fault", "kind", "text"), DRS_ANSWERS)
def test_faults_of_drs(simulator: Simulator, connect: Connect, fault: Fault, kind: type[DrsError], text: str) -> None:
    simulator.fault(STATUS, fault, times=None)
    error = refused(connect, settings_of(simulator))
    assert type(error) is kind
    assert text in str(error)
    assert str(error).startswith("DRS ")
    assert f"[Connection 'drs_test', job '{JOB}']" in str(error)
    assert error.retry_after == (7 if fault.name == "too_many" else None)
    assert len(simulator.calls("tokens")) == 1


@pytest.mark.parametrize(("fault", "kind", "text"), IAM_ANSWERS)
def test_faults_of_iam(simulator: Simulator, connect: Connect, fault: Fault, kind: type[DrsError], text: str) -> None:
    simulator.fault("tokens", fault, times=None)
    clock, settings = Clock(), settings_of(simulator)
    client = connect(settings, TokenSource(settings, now=clock))
    with pytest.raises(DrsError) as caught:
        client.call(ASK)
    assert type(caught.value) is kind
    assert text in str(caught.value)
    assert caught.value.retry_after == (7 if fault.name == "too_many" else None)
    assert len(simulator.calls("tokens")) == 1
    assert simulator.calls(STATUS) == []

    simulator.clear_faults()
    clock.now += REFUSAL_LASTS
    assert client.call(ASK) == STARTED


@pytest.mark.parametrize("call", ["tokens", STATUS])
def test_an_answer_later_than_the_timeout(simulator: Simulator, connect: Connect, call: str) -> None:
    simulator.fault(call, Fault.slow(60))
    begun = time.monotonic()
    error = refused(connect, settings_of(simulator, timeout=1))
    assert type(error) is DrsUnreachableError
    assert "did not respond in time" in str(error)
    assert 1 <= time.monotonic() - begun < 20


@pytest.mark.parametrize("code", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", ["tokens", STATUS, "list-jobs"])
def test_redirects_are_not_followed(
    simulator: Simulator, elsewhere: Simulator, connect: Connect, call: str, code: int
) -> None:
    simulator.fault(call, Fault.redirect(f"{elsewhere.url}/v3/taken?what=ever", code), times=None)
    error = refused(connect, settings_of(simulator), list_one_job() if call == "list-jobs" else ASK)
    assert type(error) is DrsRedirectError
    assert f" to {elsewhere.url}/v3/taken, which is not followed" in str(error)
    assert len(simulator.calls(call)) == 1


@pytest.mark.parametrize("call", ["tokens", STATUS])
def test_a_redirect_to_nowhere(simulator: Simulator, connect: Connect, call: str) -> None:
    simulator.fault(call, Fault.status(302))
    assert type(refused(connect, settings_of(simulator))) is DrsRedirectError


# Refused tokens


@pytest.mark.parametrize("fault", [Fault.expired_token(), Fault.plain_401()], ids=["M00100", "401"])
@pytest.mark.parametrize(("call", "name"), [(ASK, STATUS), (list_one_job(), "list-jobs")], ids=["get", "post"])
def test_a_refused_token_is_replaced_once_and_the_same_call_made_again(
    simulator: Simulator, connect: Connect, fault: Fault, call: Any, name: str
) -> None:
    client = connect(settings_of(simulator))
    client.call(call)
    simulator.fault(name, fault)
    client.call(call)
    before, refusal, again = simulator.calls(name)
    assert (refusal.method, refusal.path, refusal.body) == (again.method, again.path, again.body)
    assert before.token_id == refusal.token_id != again.token_id
    assert len(simulator.calls("tokens")) == 2
    client.call(call)
    assert simulator.calls(name)[-1].token_id == again.token_id


@pytest.mark.parametrize("fault", [Fault.expired_token(), Fault.plain_401()], ids=["M00100", "401"])
def test_a_token_refused_twice_is_an_error(simulator: Simulator, connect: Connect, fault: Fault) -> None:
    simulator.fault(STATUS, fault, times=2)
    client = connect(settings_of(simulator))
    with pytest.raises(DrsTokenRefusedError, match="A new token did not help"):
        client.call(ASK)
    assert [len(simulator.calls(name)) for name in ("tokens", STATUS)] == [2, 2]
    assert client.call(ASK) == STARTED


def test_trouble_after_a_refused_token_is_that_trouble(simulator: Simulator, connect: Connect) -> None:
    client = connect(settings_of(simulator))
    client.call(ASK)
    simulator.fault(STATUS, Fault.expired_token())
    simulator.fault("tokens", Fault.status(503))
    with pytest.raises(DrsServerError, match="IAM responded"):
        client.call(ASK)
    assert client.call(ASK) == STARTED
