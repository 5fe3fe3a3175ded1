from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import requests

from airflow_provider_drs.simulator import Job, Simulator
from airflow_provider_drs.simulator.drs.routes import route
from airflow_provider_drs.simulator.iam.signatures import ALGORITHM, sign
from airflow_provider_drs.simulator.requests import Request
from tests.clock import FakeClock
from tests.constants import JOB

from .conftest import Api

Send = Callable[..., requests.Response]


def at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")


@pytest.fixture
def send(simulator: Simulator, api: Api, clock: FakeClock) -> Send:
    """Sends a signed request; ``key``, ``secret``, ``date`` and ``headers`` can be wrong."""
    api.token = None

    def send(
        body: object = None,
        method: str = "POST",
        path: str | None = None,
        query: tuple[tuple[str, str], ...] = (),
        key: str = simulator.access_key,
        secret: str = simulator.secret_key,
        date: str | None = None,
        **headers: str,
    ) -> requests.Response:
        path = path or f"{api.jobs}/batch-status"
        content = b"" if body is None else json.dumps(body).encode()
        signed = {"x-sdk-date": at(clock.now) if date is None else date, "x-project-id": simulator.project_id}
        signature = sign(Request(route(method, path), signed, content, method, query), [*signed], secret)
        names = ";".join(signed)
        authorization = f"{ALGORITHM} Access={key}, SignedHeaders={names}, Signature={signature}"
        sent = {**signed, "Authorization": authorization, **headers}
        return api.request(method, path, data=content, params=query, headers=sent)

    return send


def said(response: requests.Response) -> tuple[int, str, str]:
    body = response.json()
    return response.status_code, body["error_code"], body["error_msg"].rpartition(": ")[2]


JOBS = {"jobs": [JOB]}


def test_a_signed_request_needs_no_token(simulator: Simulator, send: Send) -> None:
    assert send(JOBS).json()["results"][0]["status"] == "INCRE_TRANSFER_STARTED"
    simulator.add_job(Job("a b/c", status_script=["SWITCH_VIP_START"]))
    path = f"/v3/{simulator.project_id}/jobs/a%20b%2Fc/get-switch-vip-status"
    assert send(None, "GET", path).json()["status"] == "SWITCH_VIP_START"
    assert simulator.journal[-1].headers["authorization"] == "***"
    assert simulator.journal[-1].token_id is None


def test_iam_takes_signed_requests_too(simulator: Simulator, send: Send) -> None:
    found = send(None, "GET", "/v3/projects", (("name", simulator.project_name),))
    assert [project["id"] for project in found.json()["projects"]] == [simulator.project_id]
    assert send(None, "GET", "/v3/projects", secret="wrong").status_code == 401


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"key": "NOBODY"}, "Get secretKey failed,ak:NOBODY,err:ak not exist"),
        ({"secret": "wrong"}, "verify aksk signature fail"),
        ({"date": ""}, "X-Sdk-Date is missing or malformed"),
        ({"Authorization": "Basic c2VjcmV0"}, "the Authorization header is malformed"),
    ],
)
def test_a_wrong_signature_is_refused_by_the_gateway(send: Send, changes: dict[str, str], text: str) -> None:
    assert said(send(JOBS, **changes)) == (401, "APIG.0301", text)


@pytest.mark.parametrize(("skew", "good"), [(-899, True), (899, True), (-902, False), (902, False)])
def test_the_clock_may_be_a_quarter_of_an_hour_off(send: Send, clock: FakeClock, skew: float, good: bool) -> None:
    response = send(JOBS, date=at(clock.now + skew))
    assert response.ok if good else said(response) == (401, "APIG.0301", "the request timestamp is expired")


def test_what_is_signed_is_what_must_be_sent(api: Api, send: Send) -> None:
    assert said(send(JOBS, **{"x-project-id": "0" * 32}))[2] == "verify aksk signature fail"
    assert send(None, "GET", "/v3/projects", (("name", "a"), ("name", "b"))).ok
    other = send(JOBS, path="/v3/other/jobs/batch-status")
    assert (other.status_code, other.json()["error_code"]) == (403, "DRS.M00261")


def test_five_wrong_signatures_lock_the_key_for_five_minutes(send: Send, clock: FakeClock) -> None:
    for _ in range(4):
        assert said(send(JOBS, secret="wrong"))[2] == "verify aksk signature fail"
    assert send(JOBS).ok  # which begins the count again
    for _ in range(5):
        assert said(send(JOBS, secret="wrong"))[2] == "verify aksk signature fail"
    assert said(send(JOBS)) == (401, "APIG.0301", "AK access failed to reach the limit,forbidden")
    clock.now += 300
    assert send(JOBS).ok


def test_a_temporary_key_goes_with_its_security_token(clock: FakeClock) -> None:
    with Simulator(jobs=[Job(JOB)], clock=clock, security_token="temporary") as simulator:
        api = Api(simulator)
        path = f"{api.jobs}/{JOB}/get-switch-vip-status"
        headers = {"x-sdk-date": at(clock.now)}
        signature = sign(Request(route("GET", path), headers, b""), [*headers], simulator.secret_key)
        authorization = f"{ALGORITHM} Access={simulator.access_key}, SignedHeaders=x-sdk-date, Signature={signature}"
        for token, status in (("temporary", 422), ("other", 401), (None, 401)):
            sent = {**headers, "Authorization": authorization, "X-Security-Token": token}
            assert api.request("GET", path, headers=sent).status_code == status
        assert simulator.journal[0].headers["x-security-token"] == "***"
        api.session.close()
