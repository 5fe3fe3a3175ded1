"""The sensor in a real Airflow, with a real Keystone as the IAM: tokens that end in the middle of a wait."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_drs import exceptions
from airflow_provider_drs.clients.sync_client import close_kept_clients
from airflow_provider_drs.hooks.drs import DrsHook
from airflow_provider_drs.simulator import Job, Simulator
from tests.airflow.waits import run_wait
from tests.clock import FakeClock
from tests.constants import JOB, SENSOR_MODES

from .harness import KeystoneServer, Project, User

STATUS = "get-switch-vip-status"
START, COMPLETE = "SWITCH_VIP_START", "SWITCH_VIP_COMPLETE"


@pytest.fixture
def drs(keystone: KeystoneServer) -> Iterator[Simulator]:
    with Simulator(iam=keystone.auth_url) as running:
        running.add_job(Job(JOB, status_script=[START, START, COMPLETE]))
        yield running
        close_kept_clients()


def _connect(
    monkeypatch: pytest.MonkeyPatch, drs: Simulator, user: User, password: str | None = None, **scope: Any
) -> None:
    extra = {"auth_url": drs.auth_url, "domain_name": KeystoneServer.domain, "verify": drs.ca_file, **scope}
    connection = {
        "conn_type": "drs",
        "host": drs.url,
        "login": user.name,
        "password": password or user.password,
        "extra": extra,
    }
    monkeypatch.setenv("AIRFLOW_CONN_DRS_DEFAULT", json.dumps(connection))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"password": "wrong"},
            "IAM refuses the user: check IAM user name (login), IAM password (password) or Domain",
        ),
        ({"domain_name": "nowhere"}, "IAM refuses the user: check IAM user name (login), IAM password (password) or"),
        ({"project_name": "nowhere"}, "IAM takes the user, but not the project: check Project name (project_name)"),
        ({"project_id": "waiting"}, "check Project id (project_id), which is an id and no name"),
        ({"project_id": "0" * 32}, "IAM takes the user, but not the project: check Project id (project_id), which is"),
        ({"project_id": "eu-de_waiting"}, "Project id (project_id) is a name, 'eu-de_waiting': write it into Project"),
        (
            {"token": "gAAAAA-made-up"},
            "IAM does not take Token (token), which is wrong or no longer valid: issue a new",
        ),
    ],
)
def test_the_test_button_tells_what_keystone_does_not_take(
    change: dict[str, Any], says: str, drs: Simulator, keystone_user: User, keystone_project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    _connect(monkeypatch, drs, keystone_user, **{"project_name": keystone_project.name})
    assert DrsHook().test_connection()[0]
    user = User("", "", "") if "token" in change else keystone_user
    _connect(monkeypatch, drs, user, **{"project_name": keystone_project.name, **change})
    works, text = DrsHook().test_connection()
    assert not works
    assert "[Connection" not in text
    assert says in text[:160]


@pytest.mark.parametrize("mode", SENSOR_MODES)
@pytest.mark.parametrize("by", ["name", "id"])
def test_password_and_project(
    mode: str, by: str, drs: Simulator, keystone_user: User, keystone_project: Project,
    airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    scope = {"project_name": keystone_project.name} if by == "name" else {"project_id": keystone_project.id}
    _connect(monkeypatch, drs, keystone_user, **scope)
    assert run_wait(mode, clock).state == "success"
    assert {entry.path.split("/")[2] for entry in drs.calls(STATUS)} == {keystone_project.id}
    assert len({entry.token_id for entry in drs.calls(STATUS)}) == 1


@pytest.mark.parametrize("mode", SENSOR_MODES)
def test_wrong_password(
    mode: str, drs: Simulator, keystone_user: User, keystone_project: Project,
    airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    _connect(monkeypatch, drs, keystone_user, password="not-the-password", project_id=keystone_project.id)
    ended = run_wait(mode, clock)
    assert (ended.state, type(ended.error)) == ("failed", exceptions.DrsAuthenticationError)
    assert "not-the-password" not in str(ended.error)
    assert drs.journal == []


@pytest.mark.parametrize("mode", SENSOR_MODES)
def test_a_token_revoked_in_the_middle_of_a_wait(
    mode: str, drs: Simulator, keystone: KeystoneServer, keystone_user: User, keystone_project: Project,
    airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Keystone revokes it between two polls; the poll that is refused goes out again with a new one."""
    from airflow_provider_drs.hooks.drs import DrsHook

    _connect(monkeypatch, drs, keystone_user, project_id=keystone_project.id)
    sleep = clock.sleep
    revoked: list[bool] = []

    def revoke_then_sleep(seconds: float) -> None:
        if len(drs.calls(STATUS)) == 1 and not revoked:
            revoked.append(True)
            keystone.revoke(DrsHook().get_conn()._tokens.get().value)
        sleep(seconds)

    monkeypatch.setattr(clock, "sleep", revoke_then_sleep)
    ended = run_wait(mode, clock)
    assert ended.state == "success", ended.error
    assert [entry.status for entry in drs.calls(STATUS)] == [200, 403, 200, 200]
    assert len({entry.token_id for entry in drs.calls(STATUS)}) == 2
    assert ended.levels("warning") == []


@pytest.mark.parametrize("mode", SENSOR_MODES)
def test_tokens_that_expire_in_the_middle_of_a_wait(
    mode: str, brief_keystone: KeystoneServer, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens of six seconds, and polls that outlast one: renewed before DRS ever refuses it."""
    project = brief_keystone.create_project()
    user = brief_keystone.create_user(project)
    sleep = clock.sleep

    def outlast(seconds: float) -> None:
        # The life of a token passes in Keystone, by Keystone's clock.
        time.sleep(3.2)
        sleep(seconds)

    with Simulator(iam=brief_keystone.auth_url) as drs:
        drs.add_job(Job(JOB, status_script=[START, START, COMPLETE]))
        _connect(monkeypatch, drs, user, project_id=project.id)
        monkeypatch.setattr(clock, "sleep", outlast)
        ended = run_wait(mode, clock)
        assert ended.state == "success", ended.error
        assert [entry.status for entry in drs.calls(STATUS)] == [200, 200, 200]
        assert len({entry.token_id for entry in drs.calls(STATUS)}) > 1
        close_kept_clients()
