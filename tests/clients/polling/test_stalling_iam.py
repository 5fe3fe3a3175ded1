"""An IAM that takes connections and says nothing does not stop deferred waits in silence."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from airflow_provider_drs.clients import async_client
from airflow_provider_drs.clients.async_client import AsyncDrsClient
from airflow_provider_drs.clients.polling.follower import Follower
from airflow_provider_drs.clients.polling.streams import PollStreams
from airflow_provider_drs.clients.tokens import TokenSource
from airflow_provider_drs.protocol.errors import DrsUnavailableError
from airflow_provider_drs.protocol.polling import GiveUp, KeepPolling, Pace
from airflow_provider_drs.protocol.settings import Settings
from airflow_provider_drs.protocol.switchover.wait import SwitchoverWait
from airflow_provider_drs.simulator import Simulator
from tests.clients.helpers import Server, serving, settings_of
from tests.constants import numbered_job

WAITS = 200


def test_each_of_many_waits_is_told_and_gives_up_in_its_time(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(async_client, "MAX_TOKEN_WAIT", 0.3)

    async def ended(follower: Follower) -> tuple[GiveUp, int]:
        told = 0
        while True:
            result = await follower.next()
            told += len(result.lines)
            if not isinstance(result, KeepPolling):
                assert isinstance(result, GiveUp)
                return result, told

    async def all_waits(settings: Settings, release: Callable[[], None]) -> list[tuple[GiveUp, int]]:
        streams = PollStreams(AsyncDrsClient(settings, TokenSource(settings)))
        waits = [
            SwitchoverWait(numbered_job(number), Pace(0.2), transient_error_timeout=1.0) for number in range(WAITS)
        ]
        try:
            with ExitStack() as following:
                followers = [following.enter_context(streams.follow(wait)) for wait in waits]
                # The request to IAM itself may take 20 seconds: no wait is to sit through it.
                return list(await asyncio.wait_for(asyncio.gather(*map(ended, followers)), 15))
        finally:
            release()  # the thread of the log-in, which the loop waits for
            await streams.close()

    def stall(_: socket.socket, server: Server) -> None:
        server.ended.wait(60)

    with serving(stall) as iam:
        results = asyncio.run(all_waits(settings_of(simulator, auth_url=iam.url, timeout=20), iam.ended.set))
        assert iam.connections <= 2, "the waits share the log-in"
    assert len(results) == WAITS
    for end, told in results:
        assert isinstance(end.error, DrsUnavailableError)
        assert "IAM at" in str(end.error)
        assert told >= 1
