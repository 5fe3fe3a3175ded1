"""Fixtures for tests of clients against a simulator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from airflow_provider_drs.clients.sync_client import DrsClient
from airflow_provider_drs.clients.tokens import TokenSource
from airflow_provider_drs.protocol.settings import Settings
from airflow_provider_drs.simulator import Job, Simulator

from .helpers import JOB, Client, Connect, OnALoop

_ENVIRONMENT = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "NETRC")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what this machine sets for its own network out of the tests."""
    for name in _ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(jobs=[Job(JOB, status_script=["SWITCH_VIP_START"])]) as running:
        yield running


@pytest.fixture
def elsewhere() -> Iterator[Simulator]:
    """A server to which nothing may come; over http, so that no certificate keeps a client away."""
    with Simulator(tls=False) as running:
        yield running
        assert running.journal == []


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Make clients of either kind; they are closed at the end."""
    with ExitStack() as opened:

        def make(settings: Settings, tokens: TokenSource | None = None) -> Client:
            kind: type[Client] = DrsClient if request.param == "sync" else OnALoop
            client = kind(settings, tokens or TokenSource(settings))
            opened.callback(client.close)
            return client

        yield make
