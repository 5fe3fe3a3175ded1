"""A real Keystone is the IAM: tokens for polls of DRS, which asks the same Keystone what they are good for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_drs.clients.tokens import TokenSource
from airflow_provider_drs.protocol.errors import DrsAuthenticationError, DrsPermissionError
from airflow_provider_drs.protocol.jobs.calls import list_one_job
from airflow_provider_drs.protocol.settings import Settings, read_settings
from airflow_provider_drs.simulator import Job, Simulator
from airflow_provider_drs.simulator.journal import token_id
from tests.clients.helpers import ASK, JOB, STARTED, STATUS, Connect

from .harness import KeystoneServer, Project, User


def drs_that_asks(keystone: KeystoneServer) -> Simulator:
    return Simulator(iam=keystone.auth_url, jobs=[Job(JOB, status_script=["SWITCH_VIP_START"])])


@pytest.fixture
def drs(keystone: KeystoneServer) -> Iterator[Simulator]:
    with drs_that_asks(keystone) as running:
        yield running


def settings_of(drs: Simulator, user: User | None, **extra: Any) -> Settings:
    """Return the settings of a connection; None leaves a field of its extra out."""
    return read_settings(
        "drs_test",
        host=drs.url,
        login=user.name if user else None,
        password=user.password if user else None,
        extra={"auth_url": drs.auth_url, "domain_name": KeystoneServer.domain, "verify": drs.ca_file, **extra},
    )


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_password_and_a_project(
    drs: Simulator, keystone_user: User, keystone_project: Project, connect: Connect, by: str
) -> None:
    scope = {"project_name": keystone_project.name} if by == "name" else {"project_id": keystone_project.id}
    client = connect(settings_of(drs, keystone_user, **scope))
    assert client.call(ASK) == STARTED
    assert client.call(list_one_job()) == 1
    assert {entry.path.split("/")[2] for entry in drs.journal} == {keystone_project.id}
    assert len({entry.token_id for entry in drs.journal}) == 1


def test_one_of_several_projects(
    drs: Simulator, keystone: KeystoneServer, keystone_project: Project, connect: Connect
) -> None:
    user, other = keystone.create_user(keystone_project), keystone.create_project()
    keystone.grant(user.id, other)
    for project in (keystone_project, other):
        assert connect(settings_of(drs, user, project_name=project.name)).call(ASK) == STARTED
    assert [entry.path.split("/")[2] for entry in drs.journal] == [keystone_project.id, other.id]


@pytest.mark.parametrize("wrong", ["password", "user", "domain", "project name", "project id", "project of others"])
def test_what_keystone_refuses(
    drs: Simulator,
    keystone: KeystoneServer,
    keystone_user: User,
    keystone_project: Project,
    connect: Connect,
    wrong: str,
) -> None:
    user, extra = keystone_user, {"project_name": keystone_project.name}
    if wrong == "password":
        user = User(user.id, user.name, "not-" + user.password)
    elif wrong == "user":
        user = User(user.id, "nobody", user.password)
    elif wrong == "domain":
        extra["domain_name"] = "OTC-ELSEWHERE"
    elif wrong == "project name":
        extra["project_name"] = "eu-de_nowhere"
    elif wrong == "project id":
        extra = {"project_id": "0" * 32}
    else:
        extra = {"project_id": keystone.create_project().id}
    with pytest.raises(DrsAuthenticationError, match=r"check IAM user name \(login\), IAM password.*HTTP 401"):
        connect(settings_of(drs, user, **extra)).call(ASK)
    assert drs.journal == []


def test_a_revoked_token_is_replaced_in_the_middle_of_the_polls(
    drs: Simulator, keystone: KeystoneServer, keystone_user: User, keystone_project: Project, connect: Connect
) -> None:
    issued: list[str] = []
    settings = settings_of(drs, keystone_user, project_name=keystone_project.name)
    client = connect(settings, TokenSource(settings, issued.append))
    assert [client.call(ASK) for _ in range(2)] == [STARTED] * 2

    keystone.revoke(issued[0])

    assert [client.call(ASK) for _ in range(2)] == [STARTED] * 2
    first, second = map(token_id, issued)
    assert [(e.token_id, e.status) for e in drs.calls(STATUS)] == [
        (first, 200),
        (first, 200),
        (first, 403),
        (second, 200),
        (second, 200),
    ]


def test_a_token_that_expires_in_the_middle_of_the_polls_is_replaced(
    brief_keystone: KeystoneServer, connect: Connect
) -> None:
    issued: list[str] = []
    project = brief_keystone.create_project()
    with drs_that_asks(brief_keystone) as drs:
        settings = settings_of(drs, brief_keystone.create_user(project), project_id=project.id)
        # By this clock, which runs backwards, tokens live for ever: their end comes as a surprise.
        client = connect(settings, TokenSource(settings, issued.append, now=lambda: -1e6 * time.monotonic()))
        ends = time.monotonic() + 30
        while len(issued) < 2 and time.monotonic() < ends:
            assert client.call(ASK) == STARTED
    polls = drs.calls(STATUS)
    assert [(e.token_id, e.status) for e in polls if e.status != 200] == [(token_id(issued[0]), 403)]
    assert polls[-1].token_id == token_id(issued[1])


def test_tokens_that_hardly_live_are_renewed_before_drs_sees_them_expire(
    brief_keystone: KeystoneServer, connect: Connect
) -> None:
    project = brief_keystone.create_project()
    with drs_that_asks(brief_keystone) as drs:
        settings = settings_of(drs, brief_keystone.create_user(project), project_id=project.id)
        tokens = TokenSource(settings)
        client = connect(settings, tokens)
        begun = time.monotonic()
        while time.monotonic() < begun + brief_keystone.expiration + 0.5:
            assert client.call(ASK) == STARTED
    assert {e.status for e in drs.calls(STATUS)} == {200}
    assert len({e.token_id for e in drs.calls(STATUS)}) > 1


@pytest.mark.parametrize("named", [True, False], ids=["project-id", "looked-up"])
def test_a_token_issued_elsewhere(
    drs: Simulator,
    keystone: KeystoneServer,
    keystone_user: User,
    keystone_project: Project,
    connect: Connect,
    named: bool,
) -> None:
    token = TokenSource(settings_of(drs, keystone_user, project_id=keystone_project.id)).get().value
    client = connect(settings_of(drs, None, token=token, project_id=keystone_project.id if named else None))
    assert client.call(ASK) == STARTED
    assert drs.calls(STATUS)[0].token_id == token_id(token)

    keystone.revoke(token)

    with pytest.raises(DrsAuthenticationError, match="issue a new one and set it"):
        client.call(ASK)
    assert len(drs.calls(STATUS)) == 2


def test_a_token_issued_elsewhere_that_keystone_does_not_know(drs: Simulator, connect: Connect) -> None:
    with pytest.raises(DrsAuthenticationError):
        connect(settings_of(drs, None, token="gAAAAA-made-up")).call(ASK)
    assert drs.journal == []


def test_a_token_of_another_project(
    drs: Simulator, keystone: KeystoneServer, keystone_user: User, keystone_project: Project, connect: Connect
) -> None:
    token = TokenSource(settings_of(drs, keystone_user, project_id=keystone_project.id)).get().value
    with pytest.raises(DrsPermissionError, match=r"DRS\.M00261"):
        connect(settings_of(drs, None, token=token, project_id="0" * 32)).call(ASK)


def test_a_token_is_renewed_two_minutes_before_its_end(
    drs: Simulator, keystone_user: User, keystone_project: Project
) -> None:
    settings = settings_of(drs, keystone_user, project_id=keystone_project.id)
    token = TokenSource(settings, now=lambda: 1000.0).get()
    assert 3600 - 120 - 1 <= token.fresh_until - 1000 <= 3600 - 120  # Keystone counts whole seconds
