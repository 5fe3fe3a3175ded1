from __future__ import annotations

import base64
from datetime import datetime

import pytest
import requests
from keystoneauth1 import session
from keystoneauth1.exceptions import MissingAuthMethods
from keystoneauth1.identity import v3

from airflow_provider_drs.simulator import Simulator
from airflow_provider_drs.simulator.iam.account import totp
from tests.clock import FakeClock

from .conftest import Api, token_request


def test_a_token_request_is_answered_as_keystone_does(simulator: Simulator, api: Api, clock: FakeClock) -> None:
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


def test_validation_tells_a_bad_caller_from_a_bad_subject(api: Api, clock: FakeClock) -> None:
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
    for method, path, allowed in (
        ("PATCH", "/v3/auth/tokens", "DELETE, GET, HEAD, POST"),
        ("POST", "/v3", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
    ):
        response = api.request(method, path)
        assert (response.status_code, response.headers["Allow"]) == (405, allowed)


def test_keystoneauth_logs_in_with_every_method(clock: FakeClock) -> None:
    with Simulator(totp_secret=SECRET, clock=clock) as simulator:
        user = {"username": simulator.user, "user_domain_name": simulator.domain}
        methods = [
            v3.PasswordMethod(password=simulator.password, **user),
            v3.TOTPMethod(passcode=totp(SECRET, clock.now), **user),
        ]
        multifactor = v3.Auth(simulator.auth_url, methods, project_id=simulator.project_id)
        client = session.Session(verify=simulator.ca_file, redirect=False)
        try:
            first = str(client.get_token(multifactor))
            by_token = v3.Token(simulator.auth_url, first, project_id=simulator.project_id)
            second = client.get_token(by_token)
            assert [first, second] == simulator.issued_tokens()
            assert client.get_project_id(by_token) == simulator.project_id
            with pytest.raises(MissingAuthMethods):
                client.get_token(v3.Auth(simulator.auth_url, methods[:1], project_id=simulator.project_id))
        finally:
            client.session.close()


def test_a_token_can_be_revoked_and_is_then_gone(simulator: Simulator, api: Api) -> None:
    first = api.token
    api.log_in()

    def ask(method: str) -> int:
        return api.request(method, "/v3/auth/tokens", headers={"X-Subject-Token": first}).status_code

    assert [ask(method) for method in ("HEAD", "DELETE", "HEAD", "DELETE")] == [200, 204, 404, 404]
    api.token = first
    assert api.status().json()["error_code"] == "DRS.M00100"
    assert [entry.call for entry in simulator.journal[2:6]] == ["validate-token", "revoke-token"] * 2


def by_token(token: str | None, scope: object = None) -> dict[str, object]:
    return {"auth": {"identity": {"methods": ["token"], "token": {"id": token}}, "scope": scope or {"unscoped": {}}}}


def test_a_token_can_be_exchanged_for_another_scope_and_no_longer_life(
    simulator: Simulator, api: Api, clock: FakeClock
) -> None:
    unscoped = api.log_in(token_request(simulator, {"unscoped": {}}))
    assert "project" not in unscoped.json()["token"]
    clock.now += 100
    scoped = api.log_in(by_token(api.token, {"project": {"id": simulator.project_id}}))
    assert scoped.status_code == 201
    assert scoped.json()["token"]["methods"] == ["password", "token"]
    assert scoped.json()["token"]["expires_at"] == unscoped.json()["token"]["expires_at"]
    assert scoped.json()["token"]["audit_ids"][1:] == unscoped.json()["token"]["audit_ids"]
    assert api.status().status_code == 422
    assert api.log_in(by_token("wrong")).status_code == 401
    assert api.log_in(by_token(None)).status_code == 401


SECRET = "JBSWY3DPEHPK3PXP"


@pytest.mark.parametrize(
    ("at", "passcode"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_passcodes_are_those_of_rfc_6238(at: float, passcode: str) -> None:
    secret = base64.b32encode(b"12345678901234567890").decode().rstrip("=")
    assert totp(secret, at) == passcode


def test_a_passcode_goes_with_the_password_or_with_a_receipt_for_it(clock: FakeClock) -> None:
    with Simulator(totp_secret=SECRET, clock=clock) as simulator, Api(simulator).session:
        api = Api(simulator)

        def methods(*names: str, passcode: str = "") -> dict[str, object]:
            user = {"name": simulator.user, "domain": {"name": simulator.domain}}
            proofs = {"password": {"password": simulator.password}, "totp": {"passcode": passcode}}
            identity = {name: {"user": {**user, **proofs[name]}} for name in names}
            scope = {"project": {"id": simulator.project_id}}
            return {"auth": {"identity": {"methods": list(names), **identity}, "scope": scope}}

        def log_in(body: dict[str, object], receipt: str = "") -> requests.Response:
            return api.request("POST", "/v3/auth/tokens", json=body, headers={"Openstack-Auth-Receipt": receipt})

        code = totp(SECRET, clock.now)
        both = log_in(methods("password", "totp", passcode=code))
        assert (both.status_code, both.json()["token"]["methods"]) == (201, ["password", "totp"])
        password = log_in(methods("password"))
        assert (password.status_code, password.json()["required_auth_methods"]) == (401, [["password", "totp"]])
        receipt = password.headers["Openstack-Auth-Receipt"]
        assert "X-Subject-Token" not in password.headers
        assert log_in(methods("totp", passcode=totp(SECRET, clock.now + 300)), receipt).status_code == 401
        clock.now += 30  # the passcode of the last period is still good
        assert log_in(methods("totp", passcode=code), receipt).status_code == 201
        assert log_in(methods("totp", passcode=code)).headers["Openstack-Auth-Receipt"]
        clock.now += 300
        assert log_in(methods("totp", passcode=totp(SECRET, clock.now)), receipt).status_code == 401
        api.session.close()


def test_without_a_secret_no_passcode_is_right(simulator: Simulator, api: Api) -> None:
    user = {"name": simulator.user, "domain": {"name": simulator.domain}, "passcode": "000000"}
    body = {"auth": {"identity": {"methods": ["totp"], "totp": {"user": user}}}}
    response = api.log_in(body)
    assert (response.status_code, "Openstack-Auth-Receipt" in response.headers) == (401, False)


def test_projects_are_listed_found_and_shown(simulator: Simulator, api: Api) -> None:
    def names(path: str) -> list[str]:
        return [project["name"] for project in api.request("GET", path).json()["projects"]]

    user_id = api.log_in().json()["token"]["user"]["id"]
    for path in ("/v3/auth/projects", "/v3/projects", f"/v3/users/{user_id}/projects", "/v3/projects?name=eu-de_demo"):
        assert names(path) == [simulator.project_name]
    assert names("/v3/projects?name=eu-nl") == []
    shown = api.request("GET", f"/v3/projects/{simulator.project_id}").json()["project"]
    assert (shown["id"], shown["name"]) == (simulator.project_id, simulator.project_name)
    for path, status in (("/v3/projects/nothing", 404), ("/v3/users/nobody/projects", 403)):
        refused = api.request("GET", path)
        assert (refused.status_code, refused.json()["error"]["code"]) == (status, status)
    api.token = None
    assert api.request("GET", "/v3/auth/projects").status_code == 401
