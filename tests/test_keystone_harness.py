"""The Keystone that the other tests rely on behaves as an IAM."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from keystoneauth1 import exceptions, session
from keystoneauth1.identity import v3

from tests.keystone.harness import REPOSITORY, KeystoneServer, Project, User, keystone_python


@pytest.fixture(scope="module")
def keystone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeystoneServer]:
    with KeystoneServer(tmp_path_factory.mktemp("keystone")) as server:
        yield server


@pytest.fixture(scope="module")
def project(keystone: KeystoneServer) -> Project:
    return keystone.create_project("eu-de_cutover")


@pytest.fixture(scope="module")
def user(keystone: KeystoneServer, project: Project) -> User:
    return keystone.create_user(project)


@pytest.fixture
def client() -> Iterator[requests.Session]:
    with requests.Session() as http:
        yield http


def login(keystone: KeystoneServer, user: User, client: requests.Session, **scope: Any) -> tuple[str, str]:
    """Return a token and the id of the project it is good for."""
    identity = v3.Password(
        auth_url=keystone.auth_url,
        username=user.name,
        password=user.password,
        user_domain_name=keystone.domain,
        **scope,
    )
    access = identity.get_access(session.Session(session=client, redirect=False))
    assert access.auth_token is not None
    assert access.project_id is not None
    return access.auth_token, access.project_id


def check(keystone: KeystoneServer, token: str, client: requests.Session) -> requests.Response:
    """Let a token vouch for itself, as a service without an account of its own would."""
    return client.get(
        f"{keystone.auth_url}/auth/tokens", headers={"X-Auth-Token": token, "X-Subject-Token": token}, timeout=10
    )


def test_scope_by_project_id(keystone: KeystoneServer, user: User, project: Project, client: requests.Session) -> None:
    token, project_id = login(keystone, user, client, project_id=project.id)

    assert project_id == project.id
    assert check(keystone, token, client).json()["token"]["user"]["id"] == user.id


def test_scope_by_project_name(
    keystone: KeystoneServer, user: User, project: Project, client: requests.Session
) -> None:
    _, project_id = login(keystone, user, client, project_name="eu-de_cutover", project_domain_name="Default")

    assert project_id == project.id


def test_two_projects_of_one_user(keystone: KeystoneServer, user: User, client: requests.Session) -> None:
    other = keystone.create_project()
    with pytest.raises(exceptions.Unauthorized):
        login(keystone, user, client, project_id=other.id)

    keystone.grant(user.id, other, role="reader")

    assert login(keystone, user, client, project_id=other.id)[1] == other.id


def test_wrong_password(keystone: KeystoneServer, user: User, project: Project, client: requests.Session) -> None:
    with pytest.raises(exceptions.Unauthorized):
        login(keystone, User(user.id, user.name, "not-" + user.password), client, project_id=project.id)


def test_revoked_token_is_refused(
    keystone: KeystoneServer, user: User, project: Project, client: requests.Session
) -> None:
    token, _ = login(keystone, user, client, project_id=project.id)
    assert check(keystone, token, client).status_code == 200

    keystone.revoke(token)

    assert check(keystone, token, client).status_code == 401


def test_token_lives_as_long_as_told(tmp_path: Path, client: requests.Session) -> None:
    with KeystoneServer(tmp_path / "brief", expiration=3) as brief:
        project = brief.create_project()
        token, _ = login(brief, brief.create_user(project), client, project_id=project.id)
        lease = check(brief, token, client).json()["token"]
        issued, expires = (datetime.fromisoformat(lease[name]) for name in ("issued_at", "expires_at"))

        # 404: the token expired after it had been accepted as X-Auth-Token and before it was read as X-Subject-Token
        while (response := check(brief, token, client)).status_code in (200, 404):
            assert datetime.now(UTC) < expires + timedelta(seconds=1)

    assert response.status_code == 401
    assert datetime.now(UTC) >= expires
    # Keystone takes the two times one after the other and cuts both to whole seconds.
    assert timedelta(seconds=2) <= expires - issued <= timedelta(seconds=3)


def test_ends_with_the_block_and_keeps_its_log(tmp_path: Path, client: requests.Session) -> None:
    with KeystoneServer(tmp_path / "short") as server:
        assert client.get(server.auth_url, timeout=10).json()["version"]["id"].startswith("v3")
        address = server.auth_url

    with pytest.raises(requests.ConnectionError):
        client.get(address, timeout=10)
    assert server.admin_password not in server.log


def test_a_start_that_fails_shows_the_log(tmp_path: Path) -> None:
    (tmp_path / "keystone.db").write_bytes(b"not a database" * 100)

    with pytest.raises(RuntimeError, match="file is not a database"):
        KeystoneServer(tmp_path).start()


def test_missing_environment_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYSTONE_PYTHON", str(REPOSITORY / "no-such-python"))

    with pytest.raises(FileNotFoundError, match="run 'make test'"):
        keystone_python()
