"""What the clients report of their calls."""

from __future__ import annotations

import pytest

from airflow_provider_drs.clients.async_client import AsyncDrsClient
from airflow_provider_drs.clients.observer import UNOBSERVED, Observer
from airflow_provider_drs.clients.sync_client import DrsClient
from airflow_provider_drs.clients.tokens import TokenSource
from airflow_provider_drs.protocol.errors import DrsError, DrsServerError
from airflow_provider_drs.simulator import Fault, Simulator

from .helpers import ASK, STATUS, on_a_loop, settings_of


class Notes(Observer):
    def __init__(self) -> None:
        self.calls: list[tuple[str, type[DrsError] | None]] = []

    def called(self, name: str, seconds: float, error: DrsError | None, conn_id: str) -> None:
        assert 0 < seconds < 30
        assert conn_id
        self.calls.append((name, type(error) if error else None))


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_every_call_is_reported_with_its_error(simulator: Simulator, kind: str) -> None:
    settings, notes = settings_of(simulator), Notes()
    simulator.fault(STATUS, Fault.status(503))

    async def on_the_loop() -> None:
        client = AsyncDrsClient(settings, TokenSource(settings), observer=notes)
        with pytest.raises(DrsServerError):
            await client.call(ASK)
        await client.call(ASK)
        await client.close()

    if kind == "async":
        on_a_loop(on_the_loop())
    else:
        client = DrsClient(settings, TokenSource(settings), notes)
        with pytest.raises(DrsServerError):
            client.call(ASK)
        client.call(ASK)
        client.close()
    assert notes.calls == [(STATUS, DrsServerError), (STATUS, None)]


def test_the_base_ignores_everything() -> None:
    UNOBSERVED.called(STATUS, 0.1, None, "drs_default")
    UNOBSERVED.waiting(1)
    UNOBSERVED.worst_off(0.0, "drs_default")
