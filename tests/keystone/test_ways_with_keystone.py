"""Every way to log in that Keystone knows, out of an Airflow connection, with both clients, at a real Keystone."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_drs import exceptions
from airflow_provider_drs.hooks.drs import DrsHook
from airflow_provider_drs.simulator import Job, Simulator
from airflow_provider_drs.simulator.iam.account import totp
from tests.clients.helpers import ASK, JOB, STARTED, Connect

from .harness import KeystoneServer, Project, User
from .oidc import CLIENT, PASSWORD, SECRET, USER, openid_provider

DOMAIN = KeystoneServer.domain


@pytest.fixture
def drs(keystone: KeystoneServer) -> Iterator[Simulator]:
    with Simulator(iam=keystone.auth_url, jobs=[Job(JOB, status_script=["SWITCH_VIP_START"])]) as running:
        yield running


class Connection:
    """Sets the Airflow connection and makes a call over it."""

    def __init__(self, drs: Simulator, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
        self._drs, self._connect, self._patch = drs, connect, monkeypatch

    def works(self, login: str | None = None, password: str | None = None, **extra: Any) -> bool:
        extra = {"auth_url": self._drs.auth_url, "verify": self._drs.ca_file, **extra}
        extra = {key: value for key, value in extra.items() if value is not None}
        fields = {"conn_type": "drs", "host": self._drs.url, "login": login, "password": password, "extra": extra}
        self._patch.setenv("AIRFLOW_CONN_DRS_DEFAULT", json.dumps(fields))
        return self._connect(DrsHook().settings).call(ASK) == STARTED


@pytest.fixture
def connection(drs: Simulator, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> Connection:
    return Connection(drs, connect, monkeypatch)


def test_by_ids(connection: Connection, keystone_user: User, keystone_project: Project) -> None:
    user, project = keystone_user, {"project_id": keystone_project.id}
    assert connection.works(password=user.password, user_id=user.id, **project)
    assert connection.works(user.name, user.password, domain_id="default", **project)
    assert connection.works(user.name, user.password, domain_id="default", project_name=keystone_project.name)


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_project_of_another_domain(
    connection: Connection, keystone: KeystoneServer, keystone_user: User, by: str
) -> None:
    domain = keystone.send("POST", "/domains", {"domain": {"name": f"other-{secrets.token_hex(4)}"}})["domain"]
    wanted = {"name": "eu-de_elsewhere", "domain_id": domain["id"]}
    project = keystone.send("POST", "/projects", {"project": wanted})["project"]
    keystone.grant(keystone_user.id, Project(project["id"], project["name"]))
    user = {"login": keystone_user.name, "password": keystone_user.password, "domain_name": DOMAIN}
    assert connection.works(**user, project_name=project["name"], **{f"project_domain_{by}": domain[by]})
    with pytest.raises(exceptions.DrsAuthenticationError, match="IAM refuses the log-in: check"):
        connection.works(**user, project_name=project["name"])


def application_credential(keystone: KeystoneServer, user: User, project: Project) -> dict[str, str]:
    who = {"user": {"id": user.id, "password": user.password}}
    scope = {"project": {"id": project.id}}
    body = {"auth": {"identity": {"methods": ["password"], "password": who}, "scope": scope}}
    with requests.Session() as http:
        http.trust_env = False
        token = http.post(f"{keystone.auth_url}/auth/tokens", json=body, timeout=30).headers["X-Subject-Token"]
        path = f"{keystone.auth_url}/users/{user.id}/application_credentials"
        wanted = {"application_credential": {"name": secrets.token_hex(4)}}
        made = http.post(path, json=wanted, headers={"X-Auth-Token": token}, timeout=30)
    found = made.json()["application_credential"]
    return {"application_credential_id": found["id"], "application_credential_secret": found["secret"]}


@pytest.mark.parametrize("form", ["object", "text"])
def test_an_application_credential(
    connection: Connection, keystone: KeystoneServer, keystone_user: User, keystone_project: Project, form: str
) -> None:
    auth: Any = application_credential(keystone, keystone_user, keystone_project)
    given = auth if form == "object" else json.dumps(auth)
    assert connection.works(auth_type="v3applicationcredential", auth=given)
    wrong = {**auth, "application_credential_secret": "wrong"}
    with pytest.raises(
        exceptions.DrsAuthenticationError, match=r"check Options to log in \(auth\) \(HTTP 401"
    ) as caught:
        connection.works(auth_type="v3applicationcredential", auth=wrong)
    assert auth["application_credential_id"] not in str(caught.value)


def second_factor(keystone: KeystoneServer, user: User) -> str:
    secret = base64.b32encode(secrets.token_bytes(20)).decode().rstrip("=")
    keystone.send("POST", "/credentials", {"credential": {"type": "totp", "blob": secret, "user_id": user.id}})
    return secret


def test_a_passcode(connection: Connection, keystone: KeystoneServer, keystone_project: Project) -> None:
    user = keystone.create_user(keystone_project)
    auth = {"user_id": user.id, "passcode": totp(second_factor(keystone, user), time.time())}
    assert connection.works(auth_type="v3totp", auth=auth, project_id=keystone_project.id)


def test_several_factors(connection: Connection, keystone: KeystoneServer, keystone_project: Project) -> None:
    user = keystone.create_user(keystone_project)
    secret = second_factor(keystone, user)
    options = {"multi_factor_auth_enabled": True, "multi_factor_auth_rules": [["password", "totp"]]}
    keystone.send("PATCH", f"/users/{user.id}", {"user": {"options": options}})
    with pytest.raises(exceptions.DrsAuthenticationError, match=r"second factor \(MFA\)"):
        connection.works(user.name, user.password, domain_name=DOMAIN, project_id=keystone_project.id)
    auth = {
        "auth_methods": ["v3password", "v3totp"],
        "user_id": user.id,
        "password": user.password,
        "passcode": totp(secret, time.time()),
    }
    assert connection.works(auth_type="v3multifactor", auth=auth, project_id=keystone_project.id)


@pytest.fixture(scope="module")
def federated(keystone: KeystoneServer) -> str:
    """Return the name of a project for users of another identity provider."""
    name, path = "eu-de_federated", "/OS-FEDERATION"
    local = [{"user": {"name": "{0}"}}, {"projects": [{"name": name, "roles": [{"name": "member"}]}]}]
    rules = [{"local": local, "remote": [{"type": "REMOTE_USER"}]}]
    provider = {"remote_ids": ["https://idp.example"], "enabled": True, "domain_id": "default"}
    keystone.send("PUT", f"{path}/identity_providers/idp", {"identity_provider": provider})
    keystone.send("PUT", f"{path}/mappings/openid", {"mapping": {"rules": rules}})
    keystone.send("PUT", f"{path}/identity_providers/idp/protocols/openid", {"protocol": {"mapping_id": "openid"}})
    return name


@pytest.mark.parametrize("way", ["v3oidcclientcredentials", "v3oidcpassword"])
def test_openid(connection: Connection, federated: str, way: str) -> None:
    auth = {"identity_provider": "idp", "protocol": "openid", "client_id": CLIENT, "client_secret": SECRET}
    if way == "v3oidcpassword":
        auth |= {"username": USER, "password": PASSWORD}
    project = {"project_name": federated, "project_domain_name": DOMAIN}
    with openid_provider() as discovery:
        auth["discovery_endpoint"] = discovery
        assert connection.works(auth_type=way, auth=auth, **project)
        with pytest.raises(exceptions.DrsAuthenticationError, match="check Options to log in") as caught:
            connection.works(auth_type=way, auth={**auth, "client_secret": "wrong"}, **project)
    assert "of the" not in str(caught.value)


def test_an_entry_of_clouds_yaml_and_the_variables_of_openstack(
    connection: Connection, drs: Simulator, keystone_user: User, keystone_project: Project,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """With openstacksdk's own loader; fields of the connection win."""
    auth = {
        "auth_url": drs.auth_url,
        "username": keystone_user.name,
        "password": keystone_user.password,
        "user_domain_name": DOMAIN,
        "project_name": keystone_project.name,
        "project_domain_name": DOMAIN,
    }
    file = tmp_path / "clouds.yaml"
    file.write_text(json.dumps({"clouds": {"mine": {"auth": auth}, "other": {"auth": {**auth, "password": "x"}}}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    assert connection.works(cloud="mine", auth_url=None)
    assert connection.works(cloud="mine", auth_url=None, project_id=keystone_project.id)
    assert connection.works(cloud="other", auth_url=None, password=keystone_user.password)
    with pytest.raises(exceptions.DrsAuthenticationError, match=r"check Cloud \(cloud\)"):
        connection.works(cloud="other", auth_url=None)
    with pytest.raises(exceptions.DrsConfigError, match=r"Cloud \(cloud\) 'nowhere' cannot be read"):
        connection.works(cloud="nowhere", auth_url=None)
    for name, value in auth.items():
        monkeypatch.setenv(f"OS_{name.upper()}", value)
    assert connection.works(cloud="envvars", auth_url=None)
