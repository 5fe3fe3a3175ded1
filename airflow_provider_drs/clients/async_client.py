"""The asynchronous client, on aiohttp."""

from __future__ import annotations

import asyncio
import socket
import time
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cached_property, lru_cache, partial
from types import SimpleNamespace
from typing import TypeVar

import aiohttp
from yarl import URL

from airflow_provider_drs.clients.observer import UNOBSERVED, Observer
from airflow_provider_drs.clients.sharing import ignore_if_unawaited
from airflow_provider_drs.clients.tokens import TokenSource
from airflow_provider_drs.clients.transport import (
    MAX_BODY,
    MAX_HEADER,
    AddressInfo,
    decoded,
    environment_proxy,
    network_error,
    probed_socket,
    ssl_context,
    too_long,
)
from airflow_provider_drs.protocol.errors import (
    DrsAuthenticationError,
    DrsConfigError,
    DrsError,
    DrsUnreachableError,
)
from airflow_provider_drs.protocol.http.auth_flow import GetToken, Outcome, exchange
from airflow_provider_drs.protocol.http.proxy import Proxy
from airflow_provider_drs.protocol.http.request import Call, HttpRequest, Token
from airflow_provider_drs.protocol.http.response import HttpResponse
from airflow_provider_drs.protocol.settings import Settings, error_context

R = TypeVar("R")

# Longer than the interval of any wait that polls often enough for a new connection to cost much.
KEEP_ALIVE_SECONDS = 600.0
MAX_ADDRESSES = 16384
# Seconds. A token that takes longer is an error for the waits, so that they can count and log it.
MAX_TOKEN_WAIT = 5.0
# Rounds of the loop that a connection needs from the end of its socket to its own.
_CLOSING_ROUNDS = 10


class AsyncDrsClient:
    """Makes calls of the DRS API on an event loop.

    :param settings: the connection.
    :param tokens: the source of the connection's tokens; it blocks, so it runs in a thread.
    :param in_thread: runs a blocking function in a thread.
    :param observer: gets a report of every call.
    """

    def __init__(
        self,
        settings: Settings,
        tokens: TokenSource,
        in_thread: Callable[[Callable[[], Token]], Awaitable[Token]] = asyncio.to_thread,
        observer: Observer = UNOBSERVED,
    ) -> None:
        self.settings = settings
        self._tokens = tokens
        self._in_thread = in_thread
        self._observer = observer
        self._renewal: asyncio.Future[Token] | None = None
        self._renewal_late_at = 0.0
        self._log_in_refused = False
        self._proving = asyncio.Lock()
        self._sockets = weakref.WeakSet[socket.socket]()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                keepalive_timeout=KEEP_ALIVE_SECONDS,
                limit=0,  # the streams limit the polls in flight
                socket_factory=self._new_socket,
            ),
            timeout=aiohttp.ClientTimeout(total=settings.timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity"},
            auto_decompress=False,
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
            trace_configs=[_traced()],
        )
        #: The ``Date`` of the last response in seconds since the epoch: the clock of DRS, None where it sent none.
        self.last_server_time: float | None = None
        # Parsing a URL, and its parts as aiohttp needs them, costs as much as reading a response.
        self._parsed = lru_cache(maxsize=MAX_ADDRESSES)(partial(URL, encoded=True))

    @cached_property
    def _proxy(self) -> Proxy | None:
        # Not left to aiohttp's trust_env, which sends what ~/.netrc holds and uses two threads for each request.
        return environment_proxy(self.settings.endpoint)

    async def call(self, call: Call[R]) -> R:
        """Make ``call`` and return its reply.

        :raises DrsError: as :meth:`airflow_provider_drs.clients.sync_client.DrsClient.call`.
        """
        if not self._tokens.unproven:
            return await self._call(call)
        async with self._proving:  # five wrong signatures lock a key
            if not self._tokens.unproven:
                return await self._call(call)
            try:
                reply = await self._call(call)
            except DrsError as error:
                # Whatever else DRS says, it has taken the signature.
                self._tokens.unproven = error.http_status is None or isinstance(error, DrsAuthenticationError)
                raise
            self._tokens.unproven = False
            return reply

    async def _call(self, call: Call[R]) -> R:
        began = time.monotonic()
        flow = exchange(call, self.settings.endpoint, self.settings.language)
        try:
            step = next(flow)
            while True:
                try:
                    if isinstance(step, GetToken):
                        outcome: Outcome = await self._token(step.refused, step.because)
                    else:
                        outcome = await self._send(step.request)
                except DrsError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(outcome)
        except StopIteration as reply:
            self._observer.called(call.name, time.monotonic() - began, None, self.settings.conn_id)
            return reply.value  # type: ignore[no-any-return]
        except DrsError as error:
            self._observer.called(call.name, time.monotonic() - began, error, self.settings.conn_id)
            subject = "" if error.is_of_connection else call.subject
            raise error.with_context(error_context(self.settings.conn_id, subject)) from None

    @property
    def stale(self) -> bool:
        """Whether IAM refused the log-in, so that the connection must be read again."""
        return self._log_in_refused

    async def close(self) -> None:
        """Close the connections, and return once their sockets are closed."""
        try:
            if self._session.connector is not None:
                # Without the closing handshake of TLS: a loop that is about to end makes no further round for it.
                await self._session.connector.close(abort_ssl=True)
            await self._session.close()
        finally:
            # The connector forgets the connection of a request that was cancelled while its closing handshake goes on.
            for sock in list(self._sockets):
                with suppress(OSError):  # it is closed already
                    sock.shutdown(socket.SHUT_RDWR)
        for _ in range(_CLOSING_ROUNDS):
            if all(sock.fileno() < 0 for sock in list(self._sockets)):
                return
            await asyncio.sleep(0)

    def _new_socket(self, address: AddressInfo) -> socket.socket:
        made = probed_socket(address)
        self._sockets.add(made)
        return made

    async def _token(self, refused: Token | None, because: DrsAuthenticationError | None = None) -> Token:
        """Return a token; callers that need a new one at the same time share one renewal and its thread.

        :raises DrsUnreachableError: the renewal takes long. It goes on, and the next caller may find its token.
        """
        token = self._tokens.ready(refused)
        for _ in range(2):  # the first renewal may have begun before this caller's token was refused
            if token is not None and token != refused:
                break
            now = asyncio.get_running_loop().time()
            if self._renewal is None or self._renewal.done():
                self._renewal = ignore_if_unawaited(asyncio.ensure_future(self._renew(refused, because)))
                self._renewal_late_at = now + MAX_TOKEN_WAIT
            renewal = self._renewal  # another caller may begin the next one before this one runs again
            done, _late = await asyncio.wait([renewal], timeout=max(self._renewal_late_at - now, 0.0))
            if not done:
                raise DrsUnreachableError(f"IAM at {self.settings.auth_url} has not responded yet")
            token = renewal.result()
        assert token is not None  # noqa: S101 - for the type checker
        return token

    async def _renew(self, refused: Token | None, because: DrsAuthenticationError | None) -> Token:
        try:
            return await self._in_thread(lambda: self._tokens.get(refused, because))
        except (DrsConfigError, DrsAuthenticationError):
            self._log_in_refused = True
            raise

    async def _send(self, request: HttpRequest) -> HttpResponse:
        # A server may close a kept connection just as a request is sent; aiohttp itself repeats only a GET.
        again = request.safe and request.method != "GET"
        attempt = _Attempt()
        while True:
            try:
                return await self._exchange(request, attempt)
            except DrsError as error:
                failure = error.with_context("")
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                if again and isinstance(error, aiohttp.ServerDisconnectedError):
                    again = False
                    continue
                failure = network_error(error, "DRS", self.settings.endpoint, sent=attempt.sent, proxy=self._proxy)
            # A copy, and not chained: the frames behind it hold the request and so the token.
            raise failure from None

    async def _exchange(self, request: HttpRequest, attempt: _Attempt) -> HttpResponse:
        async with self._session.request(
            request.method,
            self._parsed(request.url),
            headers=request.headers_at(time.time()),
            data=request.body,
            allow_redirects=False,
            ssl=ssl_context(self.settings.verify),
            proxy=self._proxy.url if self._proxy else None,
            proxy_headers=self._proxy.headers if self._proxy else None,
            trace_request_ctx=attempt,
        ) as response:
            body = await response.content.read(MAX_BODY + 1)
            while len(body) <= MAX_BODY and not response.content.at_eof():
                body += await response.content.read(MAX_BODY + 1)
            if len(body) > MAX_BODY:
                raise too_long("DRS")
            body = decoded(body, response.headers.get("Content-Encoding"), "DRS")
            received = HttpResponse(response.status, response.headers, body, received_at=time.time())
        self.last_server_time = received.server_time
        return received


class _Attempt:
    """Whether a request may have been sent: whether it was given a connection."""

    sent = False


def _traced() -> aiohttp.TraceConfig:
    async def connected(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.sent = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(connected)
    trace.on_connection_reuseconn.append(connected)
    return trace
