"""Servers that never come to an end, or send too much: every request ends by its deadline, in little memory."""

from __future__ import annotations

import gzip
import json
import socket
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain, repeat

import pytest

from airflow_provider_drs.clients.tokens import TokenSource
from airflow_provider_drs.protocol.errors import DrsError, DrsInvalidResponseError, DrsTransientError
from airflow_provider_drs.simulator import Simulator

from .helpers import ASK, JOB, STARTED, Connect, Server, refused, serving, settings_of, with_own_token

TIMEOUT = 0.2
LATE = 1.0
MEMORY = 32 * 1024 * 1024

STATUS = b"HTTP/1.1 200 OK\r\n"
HEAD = STATUS + b"Content-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GZIP = HEAD + b"Content-Encoding: gzip\r\n\r\n"
GZIP_NAME = b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03"  # the name of the file follows, up to a zero
DEFLATE = HEAD + b"Content-Encoding: deflate\r\n\r\n\x78\x9c"
EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"
HANDSHAKE = b"\x16\x03\x03\x40\x00"  # a record of 16 KiB


def large(piece: bytes) -> bytes:
    """Return many of ``piece``, to be sent at once."""
    return piece * max(65536 // len(piece), 1)


# What is sent first, and what then without end: slowly, one piece at a time, or as fast as it is taken.
ENDLESS = {
    "nothing": (b"", b""),
    "status line": (b"HTTP/1.1 200 ", b"x"),
    "no HTTP": (b"", b"x"),
    "one header": (STATUS + b"X: ", b"x"),
    "headers": (STATUS, b"X: x\r\n"),
    "headers of 60 KiB": (STATUS, b"X: " + b"x" * 60_000 + b"\r\n"),
    "100 continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "103 early hints": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
    "headers of a 100": (b"HTTP/1.1 100 Continue\r\n", b"X: x\r\n"),
    "body": (HEAD + b"Content-Length: 100000000\r\n\r\n", b" "),
    "body up to the end of the connection": (HEAD + b"\r\n", b" "),
    "chunks": (CHUNKED, b"1\r\n \r\n"),
    "a chunk's extension": (CHUNKED + b"1;", b"x"),
    "extensions of chunks": (CHUNKED, b"1;" + b"x" * 1000 + b"\r\n \r\n"),
    "trailers": (CHUNKED + b"0\r\n", b"X: x\r\n"),
    "gzip header": (GZIP + GZIP_NAME, b"x"),
    "empty deflate blocks": (DEFLATE, EMPTY_BLOCK),
    "redirect": (b"HTTP/1.1 302 Found\r\nLocation: https://x.example\r\n\r\n", b" "),
    "401": (b"HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\n\r\n", b"\xe9"),
    "TLS handshake": (HANDSHAKE, b"\x02"),
}


def sending(pieces: Callable[[], Iterator[bytes]], pause: float) -> Callable[[socket.socket, Server], None]:
    def handle(connection: socket.socket, server: Server) -> None:
        connection.recv(65536)
        for piece in pieces():
            connection.sendall(piece)
            if pause and server.ended.wait(pause):
                return
        server.ended.wait(30)

    return handle


def ended(
    connect: Connect, simulator: Simulator, iam: bool, handle: Callable[[socket.socket, Server], None], tls: bool
) -> DrsError:
    """Make a call that must fail in time and in little memory, and return its error.

    A busy machine can make a client late, but hardly three times in a row: the best of three counts.
    """
    for _ in range(3):
        error, took, peak = fails(connect, simulator, iam, handle, tls)
        assert peak < MEMORY
        if took < TIMEOUT + LATE:
            return error
    raise AssertionError(f"it ends {took:.2f} seconds after it began, with a timeout of {TIMEOUT}") from error


def fails(
    connect: Connect, simulator: Simulator, iam: bool, handle: Callable[[socket.socket, Server], None], tls: bool
) -> tuple[DrsError, float, int]:
    """Make a call that must fail; return its error, the seconds that it took, and the bytes that it needed at most."""
    with serving(handle) as server:
        address = server.url.replace("http:", "https:") if tls else server.url
        if iam:
            settings = settings_of(simulator, auth_url=address, timeout=TIMEOUT)
        else:
            settings = with_own_token(simulator, host=address, timeout=TIMEOUT)
        client = connect(settings)
        tracemalloc.start()
        try:
            begun = time.monotonic()
            with pytest.raises(DrsError) as caught:
                client.call(ASK)
            took, (_, peak) = time.monotonic() - begun, tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    return caught.value, took, peak


@pytest.mark.parametrize("pace", ["drop by drop", "at full speed"])
@pytest.mark.parametrize("kind", ENDLESS)
@pytest.mark.parametrize("iam", [False, True], ids=["drs", "iam"])
def test_what_never_ends(connect: Connect, simulator: Simulator, iam: bool, kind: str, pace: str) -> None:
    first, then = ENDLESS[kind]
    fast = pace == "at full speed"
    pieces = repeat(large(then) if fast else then) if then else []
    handle = sending(lambda: chain([first], pieces), 0 if fast else 0.05)
    error = ended(connect, simulator, iam, handle, kind == "TLS handshake")
    assert isinstance(error, DrsTransientError)


@cache
def bombs() -> dict[str, bytes]:
    deflate = zlib.compressobj()
    zeros = b"".join(deflate.compress(b" " * 1024 * 1024) for _ in range(500)) + deflate.flush()
    nested = b'{"token": ' + b"[" * 1_000_000
    plain = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s"
    return {
        "deflate": plain % (200, len(zeros), b"Content-Encoding: deflate\r\n", zeros),
        "gzip in a redirect": plain % (302, len(zeros), b"Location: /x\r\nContent-Encoding: deflate\r\n", zeros),
        "deep JSON": plain % (200, len(nested), b"", nested),
        "deep JSON with a token": plain % (201, len(nested), b"X-Subject-Token: t\r\n", nested),
        "gzip twice": plain % (200, len(zeros), b"Content-Encoding: gzip, gzip\r\n", zeros),
    }


@pytest.mark.parametrize("kind", bombs())
@pytest.mark.parametrize("iam", [False, True], ids=["drs", "iam"])
def test_what_unfolds(connect: Connect, simulator: Simulator, iam: bool, kind: str) -> None:
    response = bombs()[kind]
    ended(connect, simulator, iam, sending(lambda: iter([response]), 0), False)


# What is odd but right

REPLY = json.dumps({"id": JOB, "status": "SWITCH_VIP_START"}).encode()


def whole(body: bytes, *headers: bytes) -> bytes:
    return HEAD + b"".join(headers) + b"Content-Length: %d\r\n\r\n" % len(body) + body


ODD = {
    "103": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + whole(REPLY),
    "several 1xx": b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + whole(REPLY),
    "header of nearly 64 KiB": whole(REPLY, b"X: " + b"x" * 65_000 + b"\r\n"),
    "several headers of 60 KiB": whole(REPLY, *[b"X: " + b"x" * 60_000 + b"\r\n"] * 4),
    "trailer": CHUNKED + b"%x\r\n" % len(REPLY) + REPLY + b"\r\n0\r\nX: x\r\n\r\n",
    "gzip": whole(gzip.compress(REPLY), b"Content-Encoding: gzip\r\n"),
    "deflate": whole(zlib.compress(REPLY), b"Content-Encoding: deflate\r\n"),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_odd_but_right(connect: Connect, simulator: Simulator, kind: str) -> None:
    with serving(sending(lambda: iter([ODD[kind]]), 0)) as server:
        assert connect(with_own_token(simulator, host=server.url, timeout=5)).call(ASK) == STARTED


def test_a_longer_header_is_refused_alike(connect: Connect, simulator: Simulator) -> None:
    response = whole(REPLY, b"X: " + b"x" * 70_000 + b"\r\n")
    with serving(sending(lambda: iter([response]), 0)) as server:
        error = refused(connect, with_own_token(simulator, host=server.url, timeout=5))
    assert type(error) is DrsInvalidResponseError


@pytest.mark.parametrize(("size", "works"), [(65_000, True), (70_000, False)])
def test_a_token_of_64_kib_comes_in_a_header(simulator: Simulator, size: int, works: bool) -> None:
    body = json.dumps({"token": {"project": {"id": "p"}, "expires_at": "2999-01-01T00:00:00Z"}}).encode()
    response = whole(body, b"X-Subject-Token: " + b"t" * size + b"\r\n").replace(b"200 OK", b"201 Created")
    with serving(sending(lambda: iter([response]), 0)) as server:
        tokens = TokenSource(settings_of(simulator, auth_url=server.url, timeout=5))
        if works:
            assert tokens.get().value == "t" * size
        else:
            with pytest.raises(DrsInvalidResponseError):
                tokens.get()


@pytest.mark.parametrize("iam", [False, True], ids=["drs", "iam"])
def test_no_cookies_are_kept_and_no_compression_is_asked_for(connect: Connect, simulator: Simulator, iam: bool) -> None:
    heard = []

    def handle(connection: socket.socket, _: Server) -> None:
        while data := connection.recv(65536):
            heard.append(data.lower())
            connection.sendall(b"HTTP/1.1 503 Busy\r\nSet-Cookie: who=you; Path=/\r\nContent-Length: 0\r\n\r\n")

    with serving(handle) as server:
        overrides = {"auth_url": server.url} if iam else {}
        client = connect(
            settings_of(simulator, **overrides) if iam else with_own_token(simulator, host=server.url, timeout=5)
        )
        for _ in range(3):
            with pytest.raises(DrsTransientError):
                client.call(ASK)
    assert len(heard) >= (1 if iam else 3), "an IAM in trouble is asked once per pause"
    assert all(b"\r\naccept-encoding: identity\r\n" in request for request in heard if b"accept-encoding" in request)
    assert b"accept-encoding" in heard[0]
    assert not any(b"\r\ncookie:" in request for request in heard)
