from __future__ import annotations

from datetime import datetime

import pytest
from keystoneauth1 import session
from keystoneauth1.identity import v3

from airflow_provider_drs.simulator import Simulator

from .conftest import Api, Clock, token_request


def test_a_token_request_is_answered_as_keystone_does(simulator: Simulator, api: Api, clock: Clock) -> None:
    response = api.log_in()
    token = response.json()["token"]
    assert response.status_code == 201
    assert response.headers["X-Subject-Token"]
    assert token["methods"] == ["password"]
    assert token["user"]["name"] == simulator.user
    assert token["user"]["domain"]["name"] == simulator.domain
    assert token["project"]["id"] == simulator.project_id
    assert token["project"]["name"] == simulator.project_name
    assert token["roles"]
    expires = datetime.fromisoformat(token["expires_at"]).timestamp()
    assert expires - datetime.fromisoformat(token["issued_at"]).timestamp() == 86400
    assert expires == clock.now + 86400
    services = {service["type"]: service["endpoints"][0]["url"] for service in token["catalog"]}
    assert services["drs"] == f"{simulator.url}/v3/{simulator.project_id}"
    assert services["iam"] == simulator.auth_url


def test_a_project_can_be_named_by_id_and_with_a_domain_and_a_user_by_id(simulator: Simulator, api: Api) -> None:
    user_id = api.log_in().json()["token"]["user"]["id"]
    by_id = token_request(simulator, {"project": {"id": simulator.project_id}}, id=user_id, name=None, domain=None)
    with_domain = {"project": {"name": simulator.project_name, "domain": {"name": simulator.domain}}}
    assert api.log_in(by_id).status_code == 201
    assert api.log_in(token_request(simulator, with_domain)).status_code == 201


@pytest.mark.parametrize(
    ("scope", "user"),
    [
        (None, {"password": "wrong"}),
        (None, {"name": "nobody"}),
        (None, {"domain": {"name": "elsewhere"}}),
        ({"project": {"name": "eu-nl"}}, {}),
        ({"project": {"id": "0" * 32}}, {}),
        ({"project": {"name": "eu-de_demo", "domain": {"name": "elsewhere"}}}, {}),
    ],
)
def test_what_iam_does_not_know_is_401(simulator: Simulator, api: Api, scope: object, user: dict[str, object]) -> None:
    response = api.log_in(token_request(simulator, scope, **user))
    assert response.status_code == 401
    assert response.json()["error"]["title"] == "Unauthorized"
    assert "X-Subject-Token" not in response.headers


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"auth": {}}',
        b'{"auth": {"identity": {"methods": 1}}}',
        b'{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "drs-demo"}}}}}',
        b"[" * 100_000,
    ],
)
def test_a_malformed_token_request_is_400(api: Api, body: bytes) -> None:
    response = api.request("POST", "/v3/auth/tokens", data=body)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == 400


def test_a_token_without_a_project_opens_no_job(simulator: Simulator, api: Api) -> None:
    assert "project" not in api.log_in(token_request(simulator, {"unscoped": {}})).json()["token"]
    assert api.status().json()["error_code"] == "DRS.M00261"


def test_validation_tells_a_bad_caller_from_a_bad_subject(api: Api, clock: Clock) -> None:
    def validate(subject: str | None) -> int:
        return api.request("GET", "/v3/auth/tokens", headers={"X-Subject-Token": subject}).status_code

    good = api.token
    response = api.request("GET", "/v3/auth/tokens", headers={"X-Subject-Token": good})
    assert response.status_code == 200
    assert response.headers["X-Subject-Token"] == good
    assert response.json()["token"]["project"]["id"] == api.simulator.project_id
    assert validate("wrong") == 404
    api.token = "wrong"
    assert validate(good) == 401
    api.token = good
    clock.now += 86400
    assert validate(good) == 401


def test_keystoneauth_discovers_and_logs_in(simulator: Simulator) -> None:
    auth = v3.Password(
        auth_url=simulator.auth_url,
        username=simulator.user,
        password=simulator.password,
        user_domain_name=simulator.domain,
        project_name=simulator.project_name,
        project_domain_name=simulator.domain,
    )
    client = session.Session(auth, verify=simulator.ca_file, redirect=False)
    try:
        assert client.get_project_id() == simulator.project_id
        assert client.get_endpoint(service_type="drs") == f"{simulator.url}/v3/{simulator.project_id}"
        assert auth.get_discovery(client, simulator.auth_url).url_for("v3") == f"{simulator.url}/v3/"
    finally:
        client.session.close()


def test_a_wrong_method_at_iam_is_405(api: Api) -> None:
    for method, path in (("DELETE", "/v3/auth/tokens"), ("POST", "/v3")):
        response = api.request(method, path)
        assert response.status_code == 405
        assert response.headers["Allow"]
