"""A virtual IP address on the wire: a port of loopback whose connections lead to one of two databases."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Final

from airflow_provider_drs.simulator.serving.resets import reset
from airflow_provider_drs.simulator.vips import Vip

_HOST: Final = "127.0.0.1"
#: Seconds between two looks at where it leads: a connection outlives a move by no more.
_TICK: Final = 0.01
_CHUNK: Final = 64 * 1024
#: For what takes milliseconds, so that a bug here cannot hang a test run.
_THREAD_SECONDS: Final = 30


class Forwarder:
    """Serves ``vip`` from the moment it is made until `stop`.

    :param side: tells where it leads now: ``source``, ``target``, or None where nobody answers
    :raises OSError: when the port cannot be bound to
    """

    def __init__(self, vip: Vip, side: Callable[[], str | None]) -> None:
        self._vip = vip
        self._side = side
        self._leads_to: str | None = None
        self._open: set[asyncio.WriteTransport] = set()
        try:
            listener = socket.create_server((_HOST, vip.port))
        except OSError as error:
            raise OSError(error.errno, error.strerror, f"{_HOST}:{vip.port}") from None
        vip.port = listener.getsockname()[1]
        ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener, ready)), name="drs-simulator-vip", daemon=True
        )
        self._thread.start()
        ready.result(_THREAD_SECONDS)

    def stop(self) -> None:
        """End every connection and the thread."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_THREAD_SECONDS)

    async def _serve(self, listener: socket.socket, ready: concurrent.futures.Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._accepted, sock=listener)
        ready.set_result(None)
        while not self._stopping.is_set():
            self._look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _TICK)
        server.close()
        self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    def _look(self) -> str | None:
        """Cut every connection where it leads elsewhere than before; return where it leads."""
        leads_to = self._side()
        if leads_to != self._leads_to:
            self._leads_to = leads_to
            self._cut()
        return leads_to

    def _cut(self) -> None:
        for transport in self._open:
            reset(transport)
        self._open.clear()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        side = self._look()
        with self._kept(writer):
            if side is None:
                if self._vip.hangs:
                    await reader.read()  # until it is cut
                reset(writer.transport)
                return
            try:
                inner_reader, inner_writer = await asyncio.open_connection(*self._vip.endpoint(side))
                with self._kept(inner_writer):
                    if self._look() == side:
                        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
            except OSError:  # the database is not there, or either end has gone
                reset(writer.transport)

    @contextlib.contextmanager
    def _kept(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        self._open.add(writer.transport)
        try:
            yield
        finally:
            self._open.discard(writer.transport)
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, and its end."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof() and not writer.transport.is_closing():
        writer.write_eof()
