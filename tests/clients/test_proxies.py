"""Proxies of the environment, for both clients and IAM: which are used, who is to blame, and no password in sight."""

from __future__ import annotations

import base64
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_provider_drs.protocol.errors import DrsConfigError, DrsError, DrsTlsError, DrsUnreachableError
from airflow_provider_drs.simulator import Simulator

from .helpers import (
    ASK,
    STARTED,
    Connect,
    Server,
    all_that_an_error_shows,
    pump,
    refused,
    serving,
    settings_of,
    with_own_token,
)

PASSWORD = "päss/wörd#[1]"
USER_INFO = "who:p%C3%A4ss%2Fw%C3%B6rd%23%5B1%5D"

Handle = Callable[[socket.socket, Server], None]
both = pytest.mark.parametrize("iam", [False, True], ids=["drs", "iam"])


def error_of(connect: Connect, simulator: Simulator, iam: bool, **overrides: Any) -> DrsError:
    settings = settings_of(simulator, **overrides) if iam else with_own_token(simulator, **overrides)
    error = refused(connect, settings)
    assert error.never_sent
    return error


def tunnelling(heard: list[bytes]) -> Handle:
    """Be a proxy, and note what it is asked."""

    def handle(client: socket.socket, _: Server) -> None:
        heard.append(client.recv(65536))
        host, port = heard[-1].split()[1].decode().rsplit(":", 1)
        with socket.create_connection((host, int(port))) as target:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            threading.Thread(target=pump, args=(target, client), daemon=True).start()
            pump(client, target)

    return handle


def over_tls(handle: Handle, authority: trustme.CA) -> Handle:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def secured(connection: socket.socket, server: Server) -> None:
        with context.wrap_socket(connection, server_side=True) as encrypted:
            handle(encrypted, server)

    return secured


# What works


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_wants_a_password(
    simulator: Simulator, connect: Connect, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    heard: list[bytes] = []
    with serving(tunnelling(heard)) as proxy:
        monkeypatch.setenv(variable, proxy.url.replace("//", f"//{USER_INFO}@"))
        assert connect(settings_of(simulator)).call(ASK) == STARTED
    assert len(heard) == 2  # to IAM and to DRS
    log_in = base64.b64encode(f"who:{PASSWORD}".encode())
    for request in heard:
        assert request.startswith(f"CONNECT 127.0.0.1:{simulator.port} HTTP/1.".encode())
        assert b"\r\nProxy-Authorization: Basic " + log_in + b"\r\n" in request
    assert not any("proxy-authorization" in map(str.lower, entry.headers) for entry in simulator.journal)


def test_a_proxy_that_speaks_tls(
    simulator: Simulator, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority, heard = trustme.CA(), list[bytes]()
    (tmp_path / "ca.pem").write_bytes(Path(str(simulator.ca_file)).read_bytes() + authority.cert_pem.bytes())
    with serving(over_tls(tunnelling(heard), authority)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("http:", "https:"))
        client = connect(settings_of(simulator, verify=str(tmp_path / "ca.pem")))
        for _ in range(2):
            assert client.call(ASK) == STARTED
    assert len(heard) == 2


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_plain_http_has_no_proxy(connect: Connect, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """It leads to this machine alone; the proxy would be sent the token in the clear."""
    with Simulator(tls=False) as plain, serving(lambda client, server: None) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        refused(connect, with_own_token(plain))
        assert plain.journal != []
        assert proxy.connections == 0


# Mistakes of this machine

MALFORMED = [
    "http://user:pa/ss@127.0.0.1:{port}",
    "http://user:12/ss@127.0.0.1:{port}",
    "http://user:pa#ss@127.0.0.1:{port}",
    "http://user:12?ss@127.0.0.1:{port}",
    "http://user:pa[ss@127.0.0.1:{port}",
    "http://user:pass@127.0.0.1:port",
    "user:pa/ss@127.0.0.1:{port}",
    "http://",
    "ftp://user:pass@127.0.0.1:{port}",
    "socks5h://user:pass@127.0.0.1:{port}",
    "socks5://127.0.0.1:{port}",
]


@both
@pytest.mark.parametrize("url", MALFORMED)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_what_is_no_http_proxy_is_told_at_once_and_not_shown(
    simulator: Simulator,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    url: str,
    variable: str,
    iam: bool,
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(lambda client, server: None) as proxy:
        monkeypatch.setenv(variable, url.format(port=proxy.port))
        error = error_of(connect, simulator, iam)
        assert proxy.connections == 0
    assert type(error) is DrsConfigError
    assert str(error).startswith(f"{variable} ")
    assert "[Connection 'drs_test'" in str(error)
    assert ("SOCKS proxy, which is not supported" if "socks" in url else "is no address of a proxy") in str(error)
    shown = all_that_an_error_shows(error) + caplog.text
    assert not any(part in shown for part in ("pass@", "pa/ss", "12/ss", "pa#ss", "12?ss", "pa[ss"))


@both
@pytest.mark.parametrize("password", [True, False], ids=["password", "no-password"])
@pytest.mark.parametrize(
    ("reply", "kind", "says"),
    [
        (407, DrsConfigError, "(HTTP 407): set them in HTTPS_PROXY"),
        (403, DrsConfigError, "makes no connection to {target} (HTTP 403)"),
        (429, DrsUnreachableError, "makes no connection to {target} (HTTP 429)"),
        (502, DrsUnreachableError, "makes no connection to {target} (HTTP 502)"),
        (None, DrsUnreachableError, "refused the connection"),
    ],
)
def test_a_proxy_that_refuses_is_called_the_proxy(
    simulator: Simulator,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    reply: int | None,
    kind: type[DrsError],
    says: str,
    password: bool,
    iam: bool,
) -> None:
    caplog.set_level(logging.DEBUG)

    def handle(client: socket.socket, _: Server) -> None:
        client.recv(65536)
        client.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % (reply or 0))

    with serving(handle) as proxy, closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port = proxy.port if reply else taken.getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"http://{USER_INFO + '@' if password else ''}127.0.0.1:{port}")
        error = error_of(connect, simulator, iam)
    assert type(error) is kind
    assert f"the proxy http://127.0.0.1:{port} (HTTPS_PROXY) " in str(error)
    assert says.format(target=f"{'IAM' if iam else 'DRS'} at https://127.0.0.1:{simulator.port}") in str(error)
    if reply == 407:
        assert ("refuses user and password" if password else "wants a user and a password") in str(error)
    shown = all_that_an_error_shows(error) + caplog.text
    assert not any(
        part in shown for part in (PASSWORD, USER_INFO, base64.b64encode(f"who:{PASSWORD}".encode()).decode())
    )
    assert simulator.journal == []


@both
def test_a_proxy_that_ends_the_connection_is_named(
    simulator: Simulator, connect: Connect, monkeypatch: pytest.MonkeyPatch, iam: bool
) -> None:
    def handle(client: socket.socket, _: Server) -> None:
        client.recv(65536)

    with serving(handle) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = error_of(connect, simulator, iam)
    assert type(error) is DrsUnreachableError
    assert f"https://127.0.0.1:{simulator.port}, through the proxy {proxy.url} (HTTPS_PROXY), cut the" in str(error)


@both
@pytest.mark.parametrize("whose", ["proxy", "service"])
def test_whose_certificate_does_not_verify(
    simulator: Simulator, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, whose: str, iam: bool
) -> None:
    authority, ca_file = trustme.CA(), tmp_path / "ca.pem"
    ca_file.write_bytes(Path(str(simulator.ca_file)).read_bytes() if whose == "proxy" else authority.cert_pem.bytes())
    with serving(over_tls(tunnelling([]), authority)) as proxy:
        url = proxy.url.replace("http:", "https:")
        monkeypatch.setenv("HTTPS_PROXY", url)
        error = error_of(connect, simulator, iam, verify=str(ca_file))
    assert type(error) is DrsTlsError
    name = f"the proxy {url}" if whose == "proxy" else f"{'IAM' if iam else 'DRS'} at https://"
    assert f"the certificate of {name}" in str(error)
