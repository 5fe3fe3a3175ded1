"""What only the asynchronous client does: its connections end with it, whatever they are in the middle of."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from airflow_provider_drs.clients.async_client import AsyncDrsClient
from airflow_provider_drs.clients.tokens import TokenSource
from airflow_provider_drs.protocol.settings import read_settings

from .helpers import ASK, Server, on_a_loop, serving


@pytest.mark.parametrize("during", ["handshake", "request"])
@pytest.mark.parametrize("closed_first", [False, True], ids=["cancelled-first", "closed-first"])
def test_no_socket_outlives_the_client(during: str, closed_first: bool, tmp_path: Path) -> None:
    """The server never finishes the closing handshake of TLS. A socket that is left open is a ResourceWarning."""
    authority, arrived = trustme.CA(), asyncio.Event()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def main(server: Server) -> None:
        loop.append(asyncio.get_running_loop())
        extra = {"token": "t", "project_id": "p", "verify": str(tmp_path / "ca.pem")}
        settings = read_settings("drs_test", host=server.url.replace("http:", "https:"), extra=extra)
        client = AsyncDrsClient(settings, TokenSource(settings))
        request = asyncio.ensure_future(client.call(ASK))
        await arrived.wait()
        if closed_first:
            await client.close()
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        await client.close()

    def handle(connection: socket.socket, server: Server) -> None:
        if during == "handshake":
            connection.recv(10)
            loop[0].call_soon_threadsafe(arrived.set)
            server.ended.wait(30)
            return
        with context.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(65536)
            loop[0].call_soon_threadsafe(arrived.set)
            server.ended.wait(30)

    loop: list[asyncio.AbstractEventLoop] = []
    with serving(handle) as server:
        on_a_loop(main(server))
