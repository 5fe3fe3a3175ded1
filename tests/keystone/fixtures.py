"""Fixtures of a Keystone that serves a whole test session; import them in a ``conftest.py``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import KeystoneServer, Project, User


@pytest.fixture(scope="session")
def keystone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeystoneServer]:
    """A Keystone whose tokens live for an hour."""
    with KeystoneServer(tmp_path_factory.mktemp("keystone")) as server:
        yield server


@pytest.fixture(scope="session")
def brief_keystone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeystoneServer]:
    """A Keystone whose tokens live for a few seconds: enough for one request on a busy machine."""
    with KeystoneServer(tmp_path_factory.mktemp("brief-keystone"), expiration=6) as server:
        yield server


@pytest.fixture(scope="session")
def keystone_project(keystone: KeystoneServer) -> Project:
    """A project of `keystone`."""
    return keystone.create_project("eu-de_waiting")


@pytest.fixture(scope="session")
def keystone_user(keystone: KeystoneServer, keystone_project: Project) -> User:
    """A user who may work in `keystone_project`."""
    return keystone.create_user(keystone_project)
