"""Neither password nor token is in what an error or a log shows, whatever the server says."""

from __future__ import annotations

import logging
import socket
import textwrap
from urllib.parse import quote

import pytest

from airflow_provider_drs.clients.tokens import TokenSource
from airflow_provider_drs.protocol.errors import (
    DrsError,
)
from airflow_provider_drs.simulator import Fault, Simulator

from .helpers import (
    ASK,
    STATUS,
    Connect,
    Server,
    all_that_an_error_shows,
    serving,
    settings_of,
    with_own_token,
)

LOG_IN = "tokens"
LOOK_UP = "validate-token"

PASSWORD = 'pass  "wörd" & made of </odd> things'
TOKEN = "gAAAAABown-token-0123456789abcdef"


def echo(secret: str) -> list[Fault]:
    """Return responses of a server that says what it was told; what is cut off may not leave half of it."""
    return [
        Fault.json({"error": {"code": 401, "message": f"{secret} is wrong", "title": secret}}, 401),
        Fault.json({"error_code": "IAM.0001", "error_msg": "x" * (490 - len(secret) // 2) + secret}, 400),
        Fault.raw(f"you said {secret}", 503),
        Fault.raw("x" * (115 - len(secret) // 2) + secret, 200),
    ]


def shown_of(secret: str, text: str) -> str:
    """Return where ``text`` shows a quarter of the secret, as it is or as Python writes it; empty: nowhere."""
    size = len(secret) // 4
    for form in (secret, repr(secret)[1:-1]):
        for at in range(len(form) - size):
            place = text.find(form[at : at + size])
            if place >= 0:
                return text[max(place - 200, 0) : place + 100]
    return ""


CASES = [
    *[pytest.param(False, LOG_IN, fault, id=f"log-in-echo-{i}") for i, fault in enumerate(echo(PASSWORD))],
    *[pytest.param(True, LOOK_UP, fault, id=f"look-up-echo-{i}") for i, fault in enumerate(echo(TOKEN))],
    *[pytest.param(True, STATUS, fault, id=f"drs-echo-{i}") for i, fault in enumerate(echo(TOKEN))],
    pytest.param(False, LOG_IN, Fault.plain_401(), id="log-in-401"),
    pytest.param(False, LOG_IN, Fault.reset(), id="log-in-reset"),
    pytest.param(False, LOG_IN, Fault.redirect(f"https://x.example/?{quote(PASSWORD)}"), id="log-in-redirect"),
    pytest.param(True, LOOK_UP, Fault.reset(), id="look-up-reset"),
    pytest.param(True, LOOK_UP, Fault.redirect(f"https://x.example/{TOKEN}"), id="look-up-redirect"),
    *[
        pytest.param(own, STATUS, fault, id=f"drs-{fault.name}-{'own' if own else 'issued'}")
        for own in (False, True)
        for fault in (Fault.reset(), Fault.expired_token(), Fault.cut())
    ],
    pytest.param(True, STATUS, Fault.redirect(f"https://x.example/{TOKEN}"), id="drs-redirect"),
]


@pytest.mark.parametrize(("own", "call", "fault"), CASES)
def test_no_secret_in_errors_and_logs(
    connect: Connect, own: bool, call: str, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("root", "airflow_provider_drs", "aiohttp", "asyncio", "keystoneauth", "requests", "urllib3"):
        caplog.set_level(logging.DEBUG, name)
    secrets = [PASSWORD, TOKEN]
    with Simulator(password=PASSWORD) as simulator:
        simulator.fault(call, fault, times=None)
        project = None if call == LOOK_UP else simulator.project_id
        settings = with_own_token(simulator, TOKEN, project_id=project) if own else settings_of(simulator)
        tokens = TokenSource(settings, secrets.append)
        client = connect(settings, tokens)
        with pytest.raises(DrsError) as caught:
            client.call(ASK)
        assert simulator.calls(call) != []
    objects = (settings, client.__dict__, tokens.__dict__, *[record.__dict__ for record in caplog.records])
    display_text = "\n".join([all_that_an_error_shows(caught.value), caplog.text, *map(repr, objects)])
    for secret in secrets:
        assert shown_of(secret, display_text) == ""


def unreadable(secret: bytes) -> dict[str, bytes]:
    """Return what echoes a secret where a parser refuses it, and quotes it."""
    ok = b"HTTP/1.1 200 OK\r\n"
    deep = b'{"token": "%s", "x": ' % secret + b"[" * 100_000
    return {
        "status line": b"HTTP/1.1 2x0 " + secret + b"\r\n\r\n",
        "no HTTP": secret + b"\r\n\r\n",
        "header without a colon": ok + secret + b"\r\n\r\n",
        "name of a header": ok + secret + b" x: y\r\n\r\n",
        "zero in a header": ok + b"X-Echo: " + secret + b"\x00\r\n\r\n",
        "header without an end": ok + b"X-Echo: " + secret * 10_000,
        "Content-Length": ok + b"Content-Length: " + secret + b"\r\n\r\n",
        "Content-Encoding": ok + b"Content-Encoding: " + secret + b"\r\nContent-Length: 2\r\n\r\n{}",
        "Transfer-Encoding": ok + b"Transfer-Encoding: " + secret + b"\r\n\r\n{",
        "size of a chunk": ok + b"Transfer-Encoding: chunked\r\n\r\n" + secret + b"\r\n",
        "deep JSON": ok + b"X-Subject-Token: t\r\nContent-Length: %d\r\n\r\n" % len(deep) + deep,
    }


@pytest.mark.parametrize("kind", unreadable(b""))
@pytest.mark.parametrize("who", ["DRS", "log-in", "look-up"])
def test_what_a_parser_refuses_is_not_quoted(
    connect: Connect, simulator: Simulator, who: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = PASSWORD if who == "log-in" else TOKEN
    response = unreadable(secret.encode())[kind]

    def handle(connection: socket.socket, _: Server) -> None:
        connection.recv(65536)
        connection.sendall(response)

    with serving(handle) as server:
        if who == "log-in":
            settings = settings_of(simulator, auth_url=server.url, password=PASSWORD, timeout=5)
        elif who == "look-up":
            settings = with_own_token(simulator, TOKEN, auth_url=server.url, project_id=None, timeout=5)
        else:
            settings = with_own_token(simulator, TOKEN, host=server.url, timeout=5)
        with pytest.raises(DrsError) as caught:
            connect(settings).call(ASK)
    said = "\n".join([all_that_an_error_shows(caught.value), caplog.text, *(repr(r.__dict__) for r in caplog.records)])
    assert shown_of(secret, said) == ""


def test_the_search_for_secrets_finds_them() -> None:
    with pytest.raises(ValueError, match="invalid width") as caught:
        textwrap.wrap(PASSWORD, 0)  # in a local variable and nowhere else
    assert shown_of(PASSWORD, all_that_an_error_shows(caught.value))
    assert shown_of(PASSWORD, f"it begins with {PASSWORD[:12]}")
    assert shown_of(PASSWORD, "it is wrong") == ""
