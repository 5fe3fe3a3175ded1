"""The asynchronous client, on aiohttp, and the one that all waits of an event loop share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
from yarl import URL

from airflow_provider_drs.clients.identity import TokenSource
from airflow_provider_drs.clients.network import LONGEST_BODY, environment_proxy, network_error
from airflow_provider_drs.clients.tls import ssl_context
from airflow_provider_drs.protocol.answers import HttpAnswer
from airflow_provider_drs.protocol.calls import Call, HttpRequest, Token
from airflow_provider_drs.protocol.errors import (
    DrsConfigError,
    DrsCredentialsError,
    DrsError,
    DrsGarbledAnswerError,
)
from airflow_provider_drs.protocol.exchange import GetToken, exchange
from airflow_provider_drs.protocol.settings import Settings, where

R = TypeVar("R")
F = TypeVar("F")

# Longer than the slowest poll, so that a wait finds its connection still open.
KEEP_ALIVE_SECONDS = 75.0


class AsyncDrsClient:
    """Makes calls of the DRS API on an event loop.

    :param settings: the connection.
    :param tokens: the connection's tokens, which blocks and so runs in a thread.
    :param in_thread: runs a blocking function in a thread.
    """

    def __init__(
        self,
        settings: Settings,
        tokens: TokenSource,
        in_thread: Callable[[Callable[[], Token]], Awaitable[Token]] = asyncio.to_thread,
    ) -> None:
        self.settings = settings
        self._tokens = tokens
        self._in_thread = in_thread
        self._renewal: asyncio.Future[Token] | None = None
        self.log_in_refused = False
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=ssl_context(settings.verify), keepalive_timeout=KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=settings.timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        # Not left to aiohttp's trust_env, which sends what ~/.netrc holds and asks two threads before each request.
        self._proxy = environment_proxy(settings.endpoint)

    async def call(self, call: Call[R]) -> R:
        """Make ``call`` and return its reply.

        :raises DrsError: as :meth:`airflow_provider_drs.clients.sync_client.DrsClient.call`.
        """
        steps = exchange(call, self.settings.endpoint, self.settings.language)
        try:
            step = next(steps)
            while True:
                if isinstance(step, GetToken):
                    step = steps.send(await self._token(step.refused))
                else:
                    step = steps.send(await self._send(step.request))
        except StopIteration as reply:
            return reply.value  # type: ignore[no-any-return]
        except DrsError as error:
            raise error.about(where(self.settings.conn_id, call.about)) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._session.connector is not None:
            # No goodbye of TLS: it takes a turn of the loop that a loop about to end does not make.
            await self._session.connector.close(abort_ssl=True)
        await self._session.close()

    async def _token(self, refused: Token | None) -> Token:
        """Return a token; all that need a new one at the same time wait for one thread, not each for its own."""
        token = self._tokens.ready(refused)
        for _ in range(2):  # the renewal joined may have begun before this caller's token was refused
            if token is not None and token != refused:
                break
            if self._renewal is None or self._renewal.done():
                self._renewal = _noted(asyncio.ensure_future(self._renew(refused)))
            token = await asyncio.shield(self._renewal)
        assert token is not None  # noqa: S101 - for the type checker
        return token

    async def _renew(self, refused: Token | None) -> Token:
        try:
            return await self._in_thread(lambda: self._tokens.get(refused))
        except (DrsConfigError, DrsCredentialsError):
            self.log_in_refused = True
            raise

    async def _send(self, request: HttpRequest) -> HttpAnswer:
        try:
            async with self._session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=request.body,
                allow_redirects=False,
                proxy=self._proxy,
            ) as response:
                body = await response.content.read(LONGEST_BODY + 1)
                while len(body) <= LONGEST_BODY and not response.content.at_eof():
                    body += await response.content.read(LONGEST_BODY + 1)
                if len(body) > LONGEST_BODY:
                    raise DrsGarbledAnswerError(f"DRS answered more than {LONGEST_BODY} bytes")
                return HttpAnswer(response.status, response.headers, body, received_at=time.time())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = network_error(error, "DRS", self.settings.endpoint)
        # Not chained: the causes hold the request, and with it the token.
        raise failure from None


@dataclass
class _Shared:
    client: asyncio.Future[AsyncDrsClient]
    users: int = 0

    @property
    def spent(self) -> bool:
        """Whether the connection it was made from does not work."""
        client = self.client
        return client.done() and (
            client.cancelled() or client.exception() is not None or client.result().log_in_refused
        )


_shared: dict[tuple[asyncio.AbstractEventLoop, Hashable], _Shared] = {}


@asynccontextmanager
async def shared_client(key: Hashable, make: Callable[[], Awaitable[AsyncDrsClient]]) -> AsyncIterator[AsyncDrsClient]:
    """Lend the client that all users of ``key`` on this event loop share; the last to leave closes it.

    A client whose log-in was refused is not lent again, so that whoever comes next, a retry for one, reads the
    connection anew.

    :param make: makes the client for the first user: one look-up of the connection, however many begin at once.
    """
    place = (asyncio.get_running_loop(), key)
    shared = _shared.get(place)
    if shared is None or shared.spent:
        shared = _shared[place] = _Shared(_noted(asyncio.ensure_future(make())))
    shared.users += 1
    try:
        yield await asyncio.shield(shared.client)
    finally:
        shared.users -= 1
        if not shared.users:
            if _shared.get(place) is shared:
                del _shared[place]
            await _close(shared.client)


async def _close(client: asyncio.Future[AsyncDrsClient]) -> None:
    if not client.done():  # every user was cancelled while the connection was looked up
        client.cancel()
    elif not client.cancelled() and client.exception() is None:
        await client.result().close()


def _noted(future: asyncio.Future[F]) -> asyncio.Future[F]:
    """Return the future, with its error taken note of even if all who waited for it are gone."""
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future
