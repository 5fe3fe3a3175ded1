"""The process of the stub: HTTP/1.1 over TLS on one port, commands and counts on another.

``python -m tests.benchmarks.stub CA_FILE`` writes the CAs to trust, its own among them, into CA_FILE, then one line
of JSON with its ports to stdout. It ends with its stdin, and so with whoever started it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import trustme

from tests.benchmarks.stub.responses import Later, Responses
from tests.benchmarks.stub.state import State

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """One connection, made once its handshake is complete; requests are served in turn."""

    def __init__(self, state: State, responses: Responses) -> None:
        self._state = state
        self._responses = responses
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._state.tls += 1

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head, rest = self._buffer[: end + 2], self._buffer[end + 4 :]
            method, path, _ = head.split(b" ", 2)
            length = 0
            if method != b"GET" and (found := _LENGTH.search(head)):
                length = int(found[1])
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            later = self._responses.response(method, path, head, rest[:length])
            if self._state.delay:
                self._loop.call_later(self._state.delay, self._send, later)
            else:
                self._send(later)

    def _send(self, later: Later) -> None:
        if not self._transport.is_closing():
            self._transport.write(later())


def _commands(state: State) -> dict[str, Callable[..., Any]]:
    def configure(**values: Any) -> None:
        for name, value in values.items():
            setattr(state, name, value)

    return {
        "configure": configure,
        "counts": state.counts,
        "finish": state.finish,
        "gaps": state.gaps,
        "polls": lambda job_id: state.jobs[job_id].polls if job_id in state.jobs else 0,
        "reset": state.reset,
        "times": lambda kind: state.times.get(kind, []),
        "token": lambda: state.new_token(86400.0)[0],
    }


async def _serve(ca_file: str) -> None:
    state = State()
    authority = trustme.CA()
    # Beside the public ones, as it is on a real machine: reading them is what makes a new SSLContext expensive.
    Path(ca_file).write_bytes(Path(certifi.where()).read_bytes() + authority.cert_pem.bytes())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    responses, commands = Responses(state), _commands(state)

    async def control(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            name, arguments = json.loads(line)
            writer.write(json.dumps(commands[name](**arguments)).encode() + b"\n")
            await writer.drain()
        writer.close()

    loop = asyncio.get_running_loop()
    # 5000 clients at once are all to be let in: none may be held up by the queue of the listening socket.
    server = await loop.create_server(lambda: Connection(state, responses), "127.0.0.1", 0, ssl=context, backlog=4096)
    controls = await asyncio.start_server(control, "127.0.0.1", 0, limit=16 * 1024 * 1024)
    ports = [x.sockets[0].getsockname()[1] for x in (server, controls)]
    print(json.dumps({"port": ports[0], "control_port": ports[1]}), flush=True)
    gc.freeze()

    over = asyncio.Event()

    def heard() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            over.set()

    loop.add_reader(sys.stdin.fileno(), heard)
    await over.wait()
    loop.remove_reader(sys.stdin.fileno())


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
