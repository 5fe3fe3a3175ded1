"""The forwarder of the lab's address, in a process of its own, so that it can be killed.

``python forwarder.py PORT UPSTREAM``: each connection to PORT of loopback leads to UPSTREAM; where one side ends or
cuts it, so does the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from pathlib import Path

HOST = "127.0.0.1"
CHUNK = 64 * 1024


class Forwarder:
    """The process; a context manager.

    :param port: where it listens; nobody else may.
    :param upstream: the port that it leads to.
    """

    def __init__(self, port: int, upstream: int) -> None:
        self._arguments = [sys.executable, str(Path(__file__)), str(port), str(upstream)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Forwarder:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, and wait until it listens; does nothing where it runs."""
        if self._process is None:
            self._process = subprocess.Popen(self._arguments, stdout=subprocess.PIPE, start_new_session=True)
            assert self._process.stdout is not None
            if not self._process.stdout.readline():
                raise RuntimeError("the forwarder did not start")

    def kill(self) -> None:
        """Kill it as a crash would; does nothing where it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.communicate()


async def _serve(port: int, upstream: int) -> None:
    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transports = [writer.transport]
        with contextlib.suppress(OSError):
            inner_reader, inner_writer = await asyncio.open_connection(HOST, upstream)
            transports.append(inner_writer.transport)
            ways = [
                asyncio.ensure_future(_pump(reader, inner_writer)),
                asyncio.ensure_future(_pump(inner_reader, writer)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
        for transport in transports:
            transport.abort()

    async with await asyncio.start_server(accepted, HOST, port) as server:
        print("listening", flush=True)
        await server.serve_forever()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
