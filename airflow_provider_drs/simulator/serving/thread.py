"""An aiohttp application served by a thread and an event loop of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Final

from aiohttp import web

# Tokens of the public cloud are kilobytes long; aiohttp refuses header fields above 8 kB unless told otherwise.
_MAX_HEADER: Final = 64 * 1024
_BACKLOG: Final = 1024
#: How long stop() waits for responses that are being sent.
_SHUTDOWN_SECONDS: Final = 0.1
#: For what takes milliseconds, so that a bug here cannot hang a test run.
_THREAD_SECONDS: Final = 30
_ROUNDS: Final = 10


class ServingThread:
    """Serves ``app`` from the moment it is made until `stop`.

    :param address: host and port to bind to; port 0 takes a free one
    :param tls: the context to serve HTTPS with, None for HTTP
    :raises OSError: when the address cannot be bound to
    """

    def __init__(self, app: web.Application, address: tuple[str, int], tls: ssl.SSLContext | None) -> None:
        self._host = address[0]
        self._tls = tls
        listener = self._bind(address[1])
        self.port: int = listener.getsockname()[1]
        ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(app, listener, ready)), name="drs-simulator", daemon=True
        )
        self._thread.start()
        ready.result(_THREAD_SECONDS)

    def stop(self) -> None:
        """End every connection and the thread."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_THREAD_SECONDS)

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """While entered, connections are refused and those that stood are closed; then it serves on the same port."""
        asyncio.run_coroutine_threadsafe(self._close_all(), self._loop).result(_THREAD_SECONDS)
        try:
            yield
        finally:
            again = self._listen(self._bind(self.port))
            asyncio.run_coroutine_threadsafe(again, self._loop).result(_THREAD_SECONDS)

    def _bind(self, port: int) -> socket.socket:
        # One socket for one family: a name such as localhost would else get two ports.
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        return socket.create_server((self._host, port), family=family, backlog=_BACKLOG)

    async def _serve(
        self, app: web.Application, listener: socket.socket, ready: concurrent.futures.Future[None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=_SHUTDOWN_SECONDS,
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
        )
        try:
            await self._runner.setup()
            await self._listen(listener)
        except Exception as error:  # of any kind: start() waits for it in another thread
            listener.close()
            ready.set_exception(error)
        else:
            ready.set_result(None)
            await self._stopping.wait()
            await self._close_all()
        finally:
            await self._runner.cleanup()
            await _end_other_tasks()

    async def _listen(self, listener: socket.socket) -> None:
        self._listener = listener
        self._site = web.SockSite(self._runner, listener, ssl_context=self._tls)
        await self._site.start()

    async def _close_all(self) -> None:
        # A connection that was accepted but not yet made when the listener closes would be leaked by asyncio.
        self._loop.remove_reader(self._listener)
        await _let_callbacks_run()
        await self._site.stop()
        server = self._runner.server
        for connection in list(server.connections if server else ()):
            if connection.transport is not None:
                # Aborted, not closed: the TLS shutdown would wait for a client that no longer reads.
                connection.transport.abort()


async def _end_other_tasks() -> None:
    """End the tasks aiohttp does not know of: TLS handshakes that a client began and abandoned."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await _let_callbacks_run()


async def _let_callbacks_run() -> None:
    """A connection takes a few rounds of the loop to be registered after accept(), and to be closed after its end."""
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
