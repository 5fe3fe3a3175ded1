"""How both clients come by a connection, keep it, and do without: ports, proxies, slow responses."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_drs.clients.async_client import AsyncDrsClient
from airflow_provider_drs.clients.tokens import TokenSource
from airflow_provider_drs.protocol.errors import (
    DrsError,
    DrsUnreachableError,
)
from airflow_provider_drs.protocol.http.request import Call
from airflow_provider_drs.protocol.jobs.calls import batch_status, list_one_job, start_jobs
from airflow_provider_drs.protocol.settings import read_settings
from airflow_provider_drs.simulator import Fault, Simulator

from .helpers import (
    ASK,
    JOB,
    STARTED,
    STATUS,
    Connect,
    Server,
    counting_connections_to,
    dripping,
    on_a_loop,
    refused,
    serving,
    settings_of,
    with_own_token,
)


def closed_port() -> socket.socket:
    """Return a socket that is bound and does not listen: nobody else gets its port, and it refuses."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    return taken


def test_a_port_that_refuses(simulator: Simulator, connect: Connect) -> None:
    with closed_port() as taken:
        address = f"https://127.0.0.1:{taken.getsockname()[1]}"
        for settings in (with_own_token(simulator, host=address), settings_of(simulator, auth_url=address)):
            error = refused(connect, settings)
            assert type(error) is DrsUnreachableError
            assert address in str(error)
            assert "refused the connection" in str(error)


def test_a_host_that_does_not_exist(simulator: Simulator, connect: Connect) -> None:
    address = "https://something.invalid"
    for settings in (with_own_token(simulator, host=address), settings_of(simulator, auth_url=address)):
        error = refused(connect, settings)
        assert type(error) is DrsUnreachableError
        assert "unknown host" in str(error)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        pytest.param(HEAD + b"Content-Length: 100000\r\n\r\n", b" ", id="body"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", id="chunks"),
        pytest.param(HEAD + b"\r\n", b" ", id="to-the-end-of-the-connection"),
    ],
)
def test_an_answer_that_comes_drop_by_drop_ends_in_time(
    simulator: Simulator, connect: Connect, head: bytes, drop: bytes
) -> None:
    with dripping(head, drop, every=0.2) as server:
        begun = time.monotonic()
        error = refused(connect, with_own_token(simulator, host=server.url, timeout=1))
        assert time.monotonic() - begun < 10
    assert type(error) is DrsUnreachableError
    assert "did not respond in time" in str(error)


# Connections


def test_many_calls_over_one_connection(simulator: Simulator, connect: Connect) -> None:
    with counting_connections_to(simulator.port) as between:
        client = connect(settings_of(simulator, host=f"https://127.0.0.1:{between.port}"))
        for _ in range(20):
            assert client.call(ASK) == STARTED
        assert between.connections == 1


@pytest.mark.parametrize("fault", [Fault.status(503), Fault.html(502), Fault.no_permission()])
def test_an_error_answer_keeps_the_connection(simulator: Simulator, connect: Connect, fault: Fault) -> None:
    simulator.fault(STATUS, fault, times=5)
    with counting_connections_to(simulator.port) as between:
        client = connect(settings_of(simulator, host=f"https://127.0.0.1:{between.port}"))
        for _ in range(5):
            with pytest.raises(DrsError):
                client.call(ASK)
        assert client.call(ASK) == STARTED
        assert between.connections == 1


def test_a_connection_that_was_closed_meanwhile_is_made_anew(simulator: Simulator, connect: Connect) -> None:
    client = connect(settings_of(simulator))
    for _ in range(3):
        assert client.call(ASK) == STARTED
        assert client.call(list_one_job()) == 1
        with simulator.down(), pytest.raises(DrsUnreachableError):
            client.call(ASK)


def test_a_post_whose_answer_was_lost_is_not_sent_again(simulator: Simulator, connect: Connect) -> None:
    client = connect(settings_of(simulator))
    client.call(list_one_job())
    simulator.fault("list-jobs", Fault.lost())
    with pytest.raises(DrsUnreachableError):
        client.call(list_one_job())
    assert len(simulator.calls("list-jobs")) == 2


@pytest.mark.parametrize(
    ("call", "requests"), [(batch_status([JOB]), 3), (start_jobs([JOB]), 2)], ids=["reads", "changes"]
)
def test_only_a_post_that_reads_goes_out_again_when_a_kept_connection_ends(call: Call[Any], requests: int) -> None:
    """A server may close a kept connection at the very moment at which it is used again."""
    body = json.dumps({"count": 1, "results": [{"id": JOB, "status": "success"}]}).encode()
    response = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    seen = []

    def handle(connection: socket.socket, server: Server) -> None:
        while data := connection.recv(65536):
            while b'"jobs"' not in data:  # the body comes by itself
                data += connection.recv(65536)
            seen.append(data)
            if len(seen) == 2:
                return  # no response: the connection ends
            connection.sendall(response)

    async def main(url: str) -> None:
        settings = read_settings("drs_test", host=url, extra={"token": "issued-elsewhere", "project_id": "p"})
        client = AsyncDrsClient(settings, TokenSource(settings))
        try:
            await client.call(call)
            if requests == 2:
                with pytest.raises(DrsUnreachableError):
                    await client.call(call)
            else:
                await client.call(call)
        finally:
            await client.close()

    with serving(handle) as server:
        on_a_loop(main(server.url))
    assert len(seen) == requests


# The environment


def test_a_proxy_is_not_used_for_a_host_that_the_environment_excepts(
    simulator: Simulator, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(lambda client, server: None) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert connect(settings_of(simulator)).call(ASK) == STARTED
        assert proxy.connections == 0


@pytest.mark.parametrize("iam", [False, True], ids=["drs", "iam"])
def test_a_proxy_of_the_environment_is_used(
    simulator: Simulator, connect: Connect, monkeypatch: pytest.MonkeyPatch, iam: bool
) -> None:
    heard = []

    def hear(client: socket.socket, _: object) -> None:
        heard.append(client.recv(65536))

    with serving(hear) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//who:proxy-password@"))
        error = refused(connect, settings_of(simulator) if iam else with_own_token(simulator))
    assert type(error) is DrsUnreachableError
    assert "proxy-password" not in str(error)
    assert heard[0].startswith(f"CONNECT 127.0.0.1:{simulator.port} HTTP/1.".encode())
    assert b"\r\nProxy-Authorization: Basic " in heard[0]
    assert simulator.journal == []


def test_the_netrc_file_goes_nowhere(
    simulator: Simulator, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password something\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    connect(settings_of(simulator)).call(ASK)
    assert [e.call for e in simulator.journal if "authorization" in e.headers] == []
