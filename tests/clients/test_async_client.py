"""What only the asynchronous client does: its connections end with it, whatever they are in the middle of."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from airflow_provider_drs.clients import async_client
from airflow_provider_drs.clients.async_client import AsyncDrsClient
from airflow_provider_drs.clients.polling.streams import PollStreams
from airflow_provider_drs.clients.tokens import TokenSource
from airflow_provider_drs.protocol.errors import DrsUnavailableError, DrsUnreachableError
from airflow_provider_drs.protocol.polling import GiveUp, Pace, PollResult
from airflow_provider_drs.protocol.settings import read_settings
from airflow_provider_drs.protocol.switchover.wait import SwitchoverWait
from airflow_provider_drs.simulator import Fault, Simulator

from .helpers import ASK, STARTED, Server, on_a_loop, serving, settings_of


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


def test_an_iam_that_stalls_is_trouble_that_every_wait_counts(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One log-in that hangs for the whole timeout of the connection, and 200 waits whose own limit is shorter."""
    monkeypatch.setattr(async_client, "MAX_TOKEN_WAIT", 0.3)

    async def main(url: str) -> list[PollResult]:
        settings = settings_of(simulator, auth_url=url, timeout=30)
        polls = PollStreams(AsyncDrsClient(settings, TokenSource(settings)))

        async def wait(number: int) -> PollResult:
            machine = SwitchoverWait(f"job-{number}", Pace(0.5), transient_error_timeout=1.0)
            with polls.follow(machine) as follower:
                told = await follower.next()
                assert "has not responded yet [Connection" in told.lines[0].text
                return await follower.next()

        begun = time.monotonic()
        ends = await asyncio.gather(*[wait(number) for number in range(200)])
        assert time.monotonic() - begun < 20, "not for the timeout of the connection"
        server.ended.set()
        await polls.close()
        return ends

    def handle(connection: socket.socket, server: Server) -> None:
        connection.recv(65536)
        server.ended.wait(30)

    with serving(handle) as server:
        ends = on_a_loop(main(server.url))
        assert server.connections == 1
    assert {type(end.error) for end in ends if isinstance(end, GiveUp)} == {DrsUnavailableError}
    assert len(ends) == 200


def test_a_slow_iam_is_waited_for(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_client, "MAX_TOKEN_WAIT", 0.2)
    simulator.fault("tokens", Fault.slow(0.8))

    async def main() -> None:
        settings = settings_of(simulator)
        client = AsyncDrsClient(settings, TokenSource(settings))
        with pytest.raises(DrsUnreachableError, match="has not responded yet") as caught:
            await client.call(ASK)
        assert caught.value.never_sent
        await asyncio.to_thread(simulator.wait_for, "tokens")
        for _ in range(1000):
            with suppress(DrsUnreachableError):
                assert await client.call(ASK) == STARTED
                break
            await asyncio.sleep(0.02)
        await client.close()

    on_a_loop(main())
    assert len(simulator.calls("tokens")) == 1
    assert len(simulator.calls("get-switch-vip-status")) == 1
