"""Which errors tell that the request never left this machine: only those for which that is certain."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from contextlib import closing
from email.utils import formatdate
from pathlib import Path

import pytest
import trustme

from airflow_provider_drs.protocol.errors import (
    DrsAuthenticationError,
    DrsError,
    DrsServerError,
    DrsTlsError,
    DrsTokenRefusedError,
    DrsTransientError,
    DrsUnreachableError,
)
from airflow_provider_drs.protocol.switchover.calls import switch_vip
from airflow_provider_drs.simulator import Fault, Simulator

from .helpers import ASK, JOB, Connect, Server, serving, settings_of, with_own_token

SWITCH = switch_vip(JOB, "target")
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def tls(tmp_path: Path) -> Callable[[socket.socket], ssl.SSLSocket]:
    """Shake hands as a server whose CA stands in ``ca.pem``."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return lambda connection: context.wrap_socket(connection, server_side=True)


def error_of(connect: Connect, simulator: Simulator, address: str, ca_file: Path | None = None) -> DrsError:
    overrides = {"verify": str(ca_file)} if ca_file else {}
    with pytest.raises(DrsError) as caught:
        connect(with_own_token(simulator, host=address, timeout=1, **overrides)).call(SWITCH)
    return caught.value


def test_no_connection(simulator: Simulator, connect: Connect) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        refusing = f"https://127.0.0.1:{taken.getsockname()[1]}"
        for address in (refusing, "https://something.invalid"):
            error = error_of(connect, simulator, address)
            assert (type(error), error.never_sent) == (DrsUnreachableError, True)


@pytest.mark.parametrize(
    ("said", "kind"),
    [(b"", DrsUnreachableError), (b"HTTP/1.1 400 Bad Request\r\n\r\n", DrsTlsError), (None, DrsUnreachableError)],
    ids=["nothing", "clear-text", "end"],
)
def test_no_tls_handshake(simulator: Simulator, connect: Connect, said: bytes | None, kind: type[DrsError]) -> None:
    def handle(connection: socket.socket, server: Server) -> None:
        connection.recv(65536)
        if said is not None:
            connection.sendall(said)
            server.ended.wait(10)

    with serving(handle) as server:
        error = error_of(connect, simulator, server.url.replace("http:", "https:"))
    assert (type(error), error.never_sent) == (kind, True)


def test_no_trusted_certificate(simulator: Simulator, connect: Connect) -> None:
    with pytest.raises(DrsTlsError) as caught:
        connect(with_own_token(simulator, verify=True)).call(SWITCH)
    assert caught.value.never_sent


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"], ids=["end", "503"])
def test_no_way_through_the_proxy(
    simulator: Simulator, connect: Connect, monkeypatch: pytest.MonkeyPatch, reply: bytes
) -> None:
    def handle(connection: socket.socket, _: Server) -> None:
        connection.recv(65536)
        connection.sendall(reply)

    with serving(handle) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(DrsError) as caught:
            connect(with_own_token(simulator)).call(SWITCH)
    assert caught.value.never_sent
    assert simulator.journal == []


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.status(503), DrsServerError),
        (Fault.reset(), DrsUnreachableError),
        (Fault.plain_401(), DrsAuthenticationError),
    ],
    ids=["503", "reset", "401"],
)
def test_no_token(simulator: Simulator, connect: Connect, fault: Fault, kind: type[DrsError]) -> None:
    simulator.fault("tokens", fault)
    with pytest.raises(kind) as caught:
        connect(settings_of(simulator)).call(SWITCH)
    assert caught.value.never_sent
    assert type(caught.value.with_context("x")) is kind
    assert DrsError.from_dict(caught.value.to_dict()).never_sent


def test_a_token_that_drs_refused_and_that_cannot_be_replaced(simulator: Simulator, connect: Connect) -> None:
    client = connect(settings_of(simulator))
    client.call(ASK)
    simulator.fault("switch-vip", Fault.expired_token())
    simulator.fault("tokens", Fault.status(503))
    with pytest.raises(DrsTokenRefusedError) as caught:  # that DRS has refused is certain all the same
        client.call(SWITCH)
    assert not caught.value.never_sent


@pytest.mark.parametrize("fault", [Fault.reset(), Fault.lost(), Fault.cut(), Fault.slow(5), Fault.status(503)])
def test_whatever_happens_after_the_request(simulator: Simulator, connect: Connect, fault: Fault) -> None:
    simulator.fault("switch-vip", fault)
    with pytest.raises(DrsTransientError) as caught:
        connect(settings_of(simulator, timeout=1)).call(SWITCH)
    assert not caught.value.never_sent


@pytest.mark.parametrize("said", [b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x28"])
def test_clear_text_on_the_tls_connection_after_the_request(
    simulator: Simulator, connect: Connect, tls: Callable[[socket.socket], ssl.SSLSocket], tmp_path: Path, said: bytes
) -> None:
    """A box that answers in DRS's place says nothing about what DRS did, nor about the connection's settings."""
    heard = []

    def handle(connection: socket.socket, _: Server) -> None:
        with tls(connection) as encrypted:
            heard.append(encrypted.recv(65536))
            os.write(encrypted.fileno(), said)

    with serving(handle) as server:
        error = error_of(connect, simulator, server.url.replace("http:", "https:"), tmp_path / "ca.pem")
    assert heard[0].startswith(b"POST ")
    assert (type(error), error.never_sent) == (DrsUnreachableError, False)


def test_a_kept_connection_that_ends(
    simulator: Simulator, connect: Connect, tls: Callable[[socket.socket], ssl.SSLSocket], tmp_path: Path
) -> None:
    """What was written to it may have arrived."""
    heard = []

    def handle(connection: socket.socket, _: Server) -> None:
        with tls(connection) as encrypted:
            heard.append(encrypted.recv(65536))
            encrypted.sendall(OK)
            heard.append(encrypted.recv(65536))

    with serving(handle) as server:
        url = server.url.replace("http:", "https:")
        client = connect(with_own_token(simulator, host=url, timeout=1, verify=str(tmp_path / "ca.pem")))
        client.call(ASK)
        with pytest.raises(DrsUnreachableError) as caught:
            client.call(SWITCH)
        assert server.connections == 1
    assert heard[1].startswith(b"POST ")
    assert not caught.value.never_sent


@pytest.mark.parametrize("fault", [Fault.plain_401(), Fault.status(401, "APIG.0301")], ids=["plain", "gateway"])
def test_a_401_that_is_not_of_drs_repeats_no_post(simulator: Simulator, connect: Connect, fault: Fault) -> None:
    simulator.fault("switch-vip", fault)
    with pytest.raises(DrsError) as caught:
        connect(settings_of(simulator)).call(SWITCH)
    assert not caught.value.never_sent
    assert len(simulator.calls("switch-vip")) == 1


@pytest.mark.parametrize(("date", "at"), [(formatdate(1e9, usegmt=True), 1e9), (None, None), ("yesterday", None)])
def test_the_clock_of_the_server(connect: Connect, simulator: Simulator, date: str | None, at: float | None) -> None:
    def handle(connection: socket.socket, _: Server) -> None:
        connection.recv(65536)
        head, body = OK.split(b"\r\n\r\n")
        connection.sendall(head + (f"\r\nDate: {date}".encode() if date else b"") + b"\r\n\r\n" + body)

    with serving(handle) as server:
        client = connect(with_own_token(simulator, host=server.url))
        assert client.last_server_time is None
        client.call(ASK)
        assert client.last_server_time == at
