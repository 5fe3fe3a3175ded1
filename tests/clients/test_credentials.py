"""Each way to log in, in both clients, against a simulator that checks it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from airflow_provider_drs.clients.credentials import secrets_of
from airflow_provider_drs.clients.tokens import TokenSource
from airflow_provider_drs.protocol.errors import DrsAuthenticationError, DrsConfigError
from airflow_provider_drs.simulator import Job, Simulator
from tests.constants import JOB

from .helpers import ASK, STARTED, STATUS, Connect, on_a_loop, refused, settings_of

NO_USER: dict[str, Any] = {"login": None, "password": None, "domain_name": None}


def by_key(simulator: Simulator, **overrides: Any) -> dict[str, Any]:
    own = {"login": simulator.access_key, "password": simulator.secret_key, "auth_type": "aksk", "auth_url": None}
    project = {"project_id": simulator.project_id, "project_name": None, "domain_name": None}
    return {**own, **project, **overrides}


def another_way(simulator: Simulator, auth_type: str = "v3password", **options: Any) -> dict[str, Any]:
    user = {"username": simulator.user, "password": simulator.password, "user_domain_name": simulator.domain}
    return {**NO_USER, "auth_type": auth_type, "auth": {**user, **options}}


def test_signed_requests_need_no_iam(simulator: Simulator, connect: Connect) -> None:
    client = connect(settings_of(simulator, **by_key(simulator)))
    assert [client.call(ASK) for _ in range(3)] == [STARTED] * 3
    assert {entry.call for entry in simulator.journal} == {STATUS}
    assert "x-auth-token" not in simulator.journal[0].headers


@pytest.mark.parametrize(("token", "works"), [("temporary", True), ("another", False)])
def test_a_temporary_key_sends_its_security_token(connect: Connect, token: str, works: bool) -> None:
    job = Job(JOB, status_script=["SWITCH_VIP_START"])
    with Simulator(jobs=[job], security_token="temporary") as simulator:
        settings = settings_of(simulator, **by_key(simulator, security_token=token))
        if works:
            assert connect(settings).call(ASK) == STARTED
        else:
            assert "Security token (security_token) is missing, wrong" in str(refused(connect, settings))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"login": "NOBODY"}, "no such access key: check IAM user name (login)"),
        ({"password": "wrong"}, "the secret key in IAM password (password) is not that of the access key"),
    ],
)
def test_a_wrong_key_goes_out_once(simulator: Simulator, connect: Connect, wrong: dict[str, str], says: str) -> None:
    """Five wrong signatures lock a key for five minutes."""
    client = connect(settings_of(simulator, **by_key(simulator, **wrong)))
    for _ in range(6):
        with pytest.raises(DrsAuthenticationError) as caught:
            client.call(ASK)
        assert says in str(caught.value)
    assert len(simulator.journal) == 1


def test_many_waits_with_a_wrong_key_send_it_once(simulator: Simulator) -> None:
    import asyncio

    from airflow_provider_drs.clients.async_client import AsyncDrsClient

    settings = settings_of(simulator, **by_key(simulator, password="wrong"))

    async def ask() -> None:
        client = AsyncDrsClient(settings, TokenSource(settings))
        got = await asyncio.gather(*[client.call(ASK) for _ in range(50)], return_exceptions=True)
        assert {type(error) for error in got} == {DrsAuthenticationError}
        assert client.stale
        await client.close()

    on_a_loop(ask())
    assert len(simulator.journal) == 1


def test_a_clock_that_is_off_is_told_as_that(connect: Connect) -> None:
    with Simulator(jobs=[Job(JOB)], clock=lambda: time.time() + 7200) as simulator:
        assert "the clock of this machine is " in str(refused(connect, settings_of(simulator, **by_key(simulator))))


@pytest.mark.parametrize("by", ["password", "another way"])
def test_an_agency_is_taken_on_with_each_renewal(simulator: Simulator, connect: Connect, by: str) -> None:
    agency = {"agency_name": "drs-demo-agency", "agency_domain_name": "OTC-DEMO-OWNER"}
    fields = another_way(simulator) if by == "another way" else {}
    client = connect(settings_of(simulator, **fields, **agency))
    assert client.call(ASK) == STARTED
    simulator.revoke_tokens()
    assert client.call(ASK) == STARTED
    assert [entry.status for entry in simulator.calls("tokens")] == [201, 201, 201, 201]


def test_no_such_agency(simulator: Simulator, connect: Connect) -> None:
    agency = {"agency_name": "nobody", "agency_domain_name": "OTC-DEMO-OWNER"}
    error = refused(connect, settings_of(simulator, **agency))
    assert type(error) is DrsAuthenticationError


@pytest.mark.parametrize("project", ["name", "id", "in its options"])
def test_another_way_of_keystoneauth1(simulator: Simulator, connect: Connect, project: str) -> None:
    fields = another_way(simulator)
    if project == "id":
        fields |= {"project_name": None, "project_id": simulator.project_id}
    elif project == "in its options":
        fields["project_name"] = None
        fields["auth"] |= {"project_name": simulator.project_name, "project_domain_name": simulator.domain}
    assert connect(settings_of(simulator, **fields)).call(ASK) == STARTED


def test_by_ids(simulator: Simulator, connect: Connect) -> None:
    from airflow_provider_drs.simulator.iam.account import Account

    account = Account(simulator.user, simulator.password, simulator.domain, simulator.project_name, "")
    by_user = {"login": None, "domain_name": None, "user_id": account.user_id, "project_id": simulator.project_id}
    assert connect(settings_of(simulator, **by_user)).call(ASK) == STARTED
    by_domain = {"domain_name": None, "domain_id": account.domain_id}
    assert connect(settings_of(simulator, **by_domain)).call(ASK) == STARTED


@pytest.mark.parametrize(
    ("auth_type", "options", "says"),
    [
        ("v3pasword", {}, "Way to log in (auth_type) v3pasword is not known; did you mean v3password?"),
        ("v3password", {"user_nam": "x"}, "has 'user_nam', which is no option of v3password; did you mean 'username'?"),
        ("v3websso", {}, "Way to log in (auth_type) v3websso needs a person at a browser"),
        ("v3applicationcredential", {}, "Options to log in (auth) has 'password', which is no option"),
    ],
)
def test_what_keystoneauth1_cannot_use_is_told(
    simulator: Simulator, auth_type: str, options: dict[str, str], says: str
) -> None:
    fields = another_way(simulator, auth_type, **options)
    with pytest.raises(DrsConfigError) as caught:
        TokenSource(settings_of(simulator, **fields))
    assert says in str(caught.value)
    assert simulator.password not in str(caught.value)


def test_secrets_are_what_keystoneauth1_calls_one(simulator: Simulator) -> None:
    settings = settings_of(simulator, **another_way(simulator))
    assert secrets_of(settings) == (simulator.password,)
    assert simulator.password not in repr(settings)
    several = {"auth_methods": ["v3password", "v3totp"], "passcode": "123456"}
    settings = settings_of(simulator, **another_way(simulator, "v3multifactor", **several))
    assert set(secrets_of(settings)) == {simulator.password, "123456"}
    text = json.dumps({"application_credential_id": "i", "application_credential_secret": "s3cret"})
    settings = settings_of(simulator, **{**NO_USER, "auth_type": "v3applicationcredential", "auth": text})
    assert secrets_of(settings) == ("s3cret",)
