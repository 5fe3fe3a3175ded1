"""What only the blocking client does: a process keeps one per connection, and a forked child does not inherit it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from airflow_provider_drs.clients.sync_client import MAX_CLIENTS, close_kept_clients, kept_client
from airflow_provider_drs.clients.tokens import TokenSource
from airflow_provider_drs.protocol.settings import Settings, read_settings
from airflow_provider_drs.simulator import Simulator

from .helpers import ASK, STARTED, at_once, settings_of


@pytest.fixture(autouse=True)
def none_kept() -> Iterator[None]:
    close_kept_clients()
    yield
    close_kept_clients()


def nowhere(number: int = 0) -> Settings:
    return read_settings("drs_test", host=f"http://127.0.0.1:{number + 1}", extra={"token": "t", "project_id": "p"})


def test_threads_that_begin_at_once_share_one_client() -> None:
    settings = nowhere()
    tokens = TokenSource(settings)
    assert len(set(map(id, at_once(20, lambda: kept_client(settings, tokens))))) == 1
    assert kept_client(settings, TokenSource(settings)) is not kept_client(settings, tokens)


def test_the_oldest_client_gives_way() -> None:
    settings = [nowhere(number) for number in range(MAX_CLIENTS + 1)]
    tokens = [TokenSource(each) for each in settings]
    first, *_, last = [kept_client(*pair) for pair in zip(settings, tokens, strict=True)]
    assert kept_client(settings[-1], tokens[-1]) is last
    assert kept_client(settings[0], tokens[0]) is not first


def test_a_closed_client_opens_a_new_connection(simulator: Simulator) -> None:
    settings = settings_of(simulator)
    client = kept_client(settings, TokenSource(settings))
    assert client.call(ASK) == STARTED
    close_kept_clients()
    assert client.call(ASK) == STARTED
    client.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_no_client_of_its_parent() -> None:
    settings = nowhere()
    tokens = TokenSource(settings)
    kept = kept_client(settings, tokens)
    child = os.fork()
    if child == 0:
        os._exit(kept_client(settings, tokens) is kept)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert kept_client(settings, tokens) is kept
