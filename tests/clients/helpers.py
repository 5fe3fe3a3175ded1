"""What the tests of the clients share: settings of a simulator, one face for both clients, small servers."""

from __future__ import annotations

import asyncio
import gc
import socket
import socketserver
import ssl
import threading
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from airflow_provider_drs.clients.async_client import AsyncDrsClient
from airflow_provider_drs.clients.sync_client import DrsClient
from airflow_provider_drs.clients.tokens import TokenSource
from airflow_provider_drs.protocol.errors import DrsError
from airflow_provider_drs.protocol.http.request import Call
from airflow_provider_drs.protocol.settings import Settings, read_settings
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply, get_switchover_status
from airflow_provider_drs.simulator import Simulator
from tests.constants import JOB

STATUS = "get-switch-vip-status"

ASK = get_switchover_status(JOB)
STARTED = SwitchoverReply(JOB, "SWITCH_VIP_START")

R = TypeVar("R")


def settings_of(simulator: Simulator, **overrides: Any) -> Settings:
    """Return the settings of a connection to ``simulator``; None leaves a field out."""
    fields = simulator.connection(**overrides)
    return read_settings("drs_test", **{k: fields.get(k) for k in ("host", "port", "login", "password", "extra")})


def with_own_token(simulator: Simulator, token: str = "a-token-issued-elsewhere", **overrides: Any) -> Settings:
    """Return settings that need no IAM."""
    own = {"login": None, "password": None, "token": token, "project_id": simulator.project_id}
    return settings_of(simulator, **{**own, **overrides})


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class OnALoop:
    """An `AsyncDrsClient` with a loop of its own, called as the blocking client is."""

    def __init__(self, settings: Settings, tokens: TokenSource) -> None:
        self._runner = asyncio.Runner()

        async def make() -> AsyncDrsClient:
            return AsyncDrsClient(settings, tokens)

        try:
            self._client = self._runner.run(make())
        except BaseException:
            self._runner.close()
            raise

    def call(self, call: Call[R]) -> R:
        return self._runner.run(self._client.call(call))

    @property
    def last_server_time(self) -> float | None:
        return self._client.last_server_time

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


Client = DrsClient | OnALoop
Connect = Callable[..., Client]


def refused(connect: Connect, settings: Settings, call: Call[Any] = ASK) -> DrsError:
    """Make ``call``, which must fail, and return the error."""
    with pytest.raises(DrsError) as caught:
        connect(settings).call(call)
    return caught.value


def on_a_loop(main: Coroutine[Any, Any, R]) -> R:
    """Run ``main``; fail if anything was left behind: an error that nobody took note of, or a session not closed."""
    left: list[dict[str, Any]] = []

    async def watched() -> R:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: left.append(context))
        try:
            return await main
        finally:
            gc.collect()

    reply = asyncio.run(watched())
    gc.collect()
    assert left == []
    return reply


def at_once(count: int, act: Callable[[], R]) -> list[R | Exception]:
    """Let ``count`` threads begin ``act`` at the same moment; return what came of each."""
    gate = threading.Barrier(count)
    outcomes: list[R | Exception] = []

    def one() -> None:
        gate.wait(30)
        try:
            outcomes.append(act())
        except Exception as error:
            outcomes.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(outcomes) == count
    return outcomes


def all_that_an_error_shows(error: BaseException) -> str:
    """Return every text a log or an error tracker could make of ``error``, also of its local variables."""
    # The test's own variables are not the client's to keep secret.
    texts, queue, seen = [], [error], set()
    while queue:
        current = queue.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        texts += [str(current), repr(current), repr(vars(current)), repr(current.args)]
        frames = [
            frame
            for frame in traceback.walk_tb(current.__traceback__)
            if "tests" not in Path(frame[0].f_code.co_filename).parts
        ]
        texts += [repr(frame.f_locals) for frame, _ in frames]
        texts += traceback.format_exception(current)
        queue += [x for x in (current.__cause__, current.__context__) if x is not None]
    return "\n".join(texts)


class Server:
    """A server of raw bytes; counts the connections that it accepted."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connections = 0
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(handle: Callable[[socket.socket, Server], None]) -> Iterator[Server]:
    """Serve on a free port of this machine, each connection in a thread of its own."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            server.connections += 1
            with suppress(OSError):
                handle(self.request, server)

    class Threads(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Threads(("127.0.0.1", 0), Handler) as threads:
        server = Server(threads.server_address[1])
        serve = threading.Thread(target=threads.serve_forever, args=(0.02,), daemon=True)
        serve.start()
        try:
            yield server
        finally:
            server.ended.set()
            threads.shutdown()
            serve.join(10)


def pump(source: socket.socket, target: socket.socket) -> None:
    """Hand on what comes from one side to the other, and its end."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def counting_connections_to(port: int) -> Iterator[Server]:
    """Stand before ``port`` and hand on what comes, so that each connection is seen and TLS is not touched."""

    def handle(client: socket.socket, _: Server) -> None:
        with socket.create_connection(("127.0.0.1", port)) as target:
            back = threading.Thread(target=pump, args=(target, client), daemon=True)
            back.start()
            pump(client, target)
            back.join(10)

    with serving(handle) as server:
        yield server


@contextmanager
def dripping(head: bytes, drop: bytes, every: float) -> Iterator[Server]:
    """Answer with ``head`` and then ``drop``, again and again with ``every`` seconds between, until the client goes."""

    def handle(client: socket.socket, server: Server) -> None:
        client.recv(65536)
        client.sendall(head)
        while not server.ended.wait(every):
            client.sendall(drop)

    with serving(handle) as server:
        yield server


@contextmanager
def speaking_tls(context: ssl.SSLContext) -> Iterator[Server]:
    """Shake hands with ``context`` and say nothing."""

    def handle(client: socket.socket, server: Server) -> None:
        with context.wrap_socket(client, server_side=True) as encrypted:
            encrypted.recv(65536)

    with serving(handle) as server:
        yield server
