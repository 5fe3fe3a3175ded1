"""Tokens: how many log-ins there are, when, and what is never shown."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from airflow_provider_drs.clients import tokens as tokens_module
from airflow_provider_drs.clients.async_client import AsyncDrsClient
from airflow_provider_drs.clients.tokens import REFUSAL_LASTS, TokenSource, token_source
from airflow_provider_drs.protocol.errors import (
    DrsAuthenticationError,
    DrsConfigError,
    DrsError,
    DrsServerError,
    DrsUnreachableError,
)
from airflow_provider_drs.protocol.http.request import Token
from airflow_provider_drs.simulator import Fault, Simulator
from airflow_provider_drs.simulator.journal import token_id
from tests.clock import FakeClock

from .helpers import (
    ASK,
    STARTED,
    STATUS,
    Clock,
    Connect,
    at_once,
    on_a_loop,
    settings_of,
    with_own_token,
)

MEND = "set one of them right"
LOG_IN = "tokens"
LOOK_UP = "validate-token"


def slowly(fault: Fault) -> Fault:
    """Return the fault, half a second late: long enough for all threads of a test to stand in line."""
    return replace(fault, delay=0.5)


# One token for all


def test_one_token_for_many_calls_and_clients(simulator: Simulator, connect: Connect) -> None:
    settings = settings_of(simulator)
    tokens = TokenSource(settings)
    for client in [connect(settings, tokens) for _ in range(3)]:
        for _ in range(3):
            assert client.call(ASK) == STARTED
    assert len(simulator.calls(LOG_IN)) == 1
    assert len({entry.token_id for entry in simulator.calls(STATUS)}) == 1


def test_threads_that_begin_at_once_log_in_once(simulator: Simulator) -> None:
    simulator.fault(LOG_IN, Fault.slow(0.2))
    tokens = TokenSource(settings_of(simulator))
    got = at_once(50, tokens.get)
    assert len(set(map(repr, got))) == 1
    assert all(isinstance(token, Token) for token in got)
    assert len(simulator.calls(LOG_IN)) == 1


def test_waits_of_a_loop_that_begin_at_once_log_in_once(simulator: Simulator) -> None:
    settings = settings_of(simulator)

    async def ask() -> None:
        client = AsyncDrsClient(settings, TokenSource(settings))
        assert await asyncio.gather(*[client.call(ASK) for _ in range(50)]) == [STARTED] * 50
        simulator.revoke_tokens()
        assert await asyncio.gather(*[client.call(ASK) for _ in range(50)]) == [STARTED] * 50
        await client.close()

    on_a_loop(ask())
    assert len(simulator.calls(LOG_IN)) == 2


def test_a_wait_that_is_cancelled_leaves_the_log_in_to_the_others(simulator: Simulator) -> None:
    settings = settings_of(simulator)
    simulator.fault(LOG_IN, Fault.slow(0.3))

    async def ask() -> None:
        client = AsyncDrsClient(settings, TokenSource(settings))
        first, second = (asyncio.ensure_future(client.call(ASK)) for _ in range(2))
        await asyncio.to_thread(simulator.wait_for, LOG_IN, answered=False)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await second == STARTED
        await client.close()

    on_a_loop(ask())
    assert len(simulator.calls(LOG_IN)) == 1


def test_a_log_in_that_nobody_waits_for_any_more_ends_quietly(simulator: Simulator) -> None:
    settings = settings_of(simulator)
    simulator.fault(LOG_IN, slowly(Fault.status(503)))

    async def ask() -> None:
        client = AsyncDrsClient(settings, TokenSource(settings))
        waiting = asyncio.ensure_future(client.call(ASK))
        await asyncio.to_thread(simulator.wait_for, LOG_IN, answered=False)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.to_thread(simulator.wait_for, LOG_IN)
        await client.close()

    on_a_loop(ask())


def test_the_process_keeps_one_source_for_each_connection(simulator: Simulator) -> None:
    told: list[str] = []
    listener = told.append
    assert len(set(map(id, at_once(20, lambda: token_source(settings_of(simulator), listener))))) == 1
    assert token_source(settings_of(simulator, password="changed"), listener) is not token_source(
        settings_of(simulator), listener
    )


# The end of a token


def test_a_token_is_renewed_before_it_expires(simulator: Simulator) -> None:
    clock, simulator.token_lifetime = FakeClock(time.time()), 3600
    tokens = TokenSource(settings_of(simulator), now=clock)
    first = tokens.get()
    clock.now += 3600 - 125
    assert tokens.get() is first
    assert tokens.ready() is first
    clock.now += 10
    assert tokens.ready() is None
    second = tokens.get()
    assert second.value != first.value
    assert second.fresh_until >= first.fresh_until
    assert len(simulator.calls(LOG_IN)) == 2


def test_threads_that_find_the_token_too_old_at_once_renew_it_once(simulator: Simulator) -> None:
    clock, simulator.token_lifetime = FakeClock(time.time()), 3600
    tokens = TokenSource(settings_of(simulator), now=clock)
    tokens.get()
    clock.now += 3500
    simulator.token_lifetime = 10_000
    simulator.fault(LOG_IN, Fault.slow(0.5))
    assert len(set(map(repr, at_once(50, tokens.get)))) == 1
    assert len(simulator.calls(LOG_IN)) == 2


def test_a_token_refused_for_all_at_once_is_replaced_once(simulator: Simulator) -> None:
    tokens = TokenSource(settings_of(simulator))
    old = tokens.get()
    got = at_once(50, lambda: tokens.get(refused=old))
    assert {getattr(token, "value", None) for token in got} == {tokens.get().value}
    assert tokens.get() != old
    assert len(simulator.calls(LOG_IN)) == 2
    # One who comes late with the refused token gets the new one.
    assert tokens.get(refused=old) == tokens.get()
    assert len(simulator.calls(LOG_IN)) == 2


# IAM in trouble


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.status(503), DrsServerError),
        (Fault.plain_401(), DrsAuthenticationError),
        (Fault.reset(), DrsUnreachableError),
    ],
    ids=["503", "401", "reset"],
)
def test_threads_that_wait_share_the_trouble(simulator: Simulator, fault: Fault, kind: type[DrsError]) -> None:
    simulator.fault(LOG_IN, slowly(fault), times=None)
    clock = Clock()
    tokens = TokenSource(settings_of(simulator), now=clock)
    got = at_once(50, tokens.get)
    assert {type(error) for error in got} == {kind}
    assert len(set(map(id, got))) == 50  # each its own: a caller adds to it what it was doing
    assert len(simulator.calls(LOG_IN)) == 1
    simulator.clear_faults()
    clock.now += REFUSAL_LASTS
    assert tokens.get().project_id == simulator.project_id


def test_waits_of_a_loop_share_the_trouble(simulator: Simulator) -> None:
    settings = settings_of(simulator)
    simulator.fault(LOG_IN, Fault.status(503), times=None)

    clock = Clock()

    async def ask() -> None:
        client = AsyncDrsClient(settings, TokenSource(settings, now=clock))
        for _ in range(2):
            got = await asyncio.gather(*[client.call(ASK) for _ in range(50)], return_exceptions=True)
            assert {type(error) for error in got} == {DrsServerError}
        assert len(simulator.calls(LOG_IN)) == 1
        simulator.clear_faults()
        clock.now += 1
        assert await client.call(ASK) == STARTED
        await client.close()

    on_a_loop(ask())


@pytest.mark.parametrize(
    ("fault", "asked_at"),
    [
        (Fault.plain_401(), [0, 300, 600]),
        (Fault.status(503), [0, 1, 3, 7, 15, 31, 61, 91, 121]),
        (Fault.too_many(7), [0, 7, 14, 21]),
        (Fault.status(404), [0, 0, 1, 1]),  # IAM endpoint (auth_url) is wrong: no password was refused
    ],
    ids=["refused", "trouble", "asked-to-wait", "mistake"],
)
def test_iam_is_asked_once_per_pause_whoever_asks(simulator: Simulator, fault: Fault, asked_at: list[int]) -> None:
    simulator.fault(LOG_IN, fault, times=None)
    clock, asked = Clock(), list[int]()
    tokens = TokenSource(settings_of(simulator), now=clock)
    for second in range(asked_at[-1] + 1):
        before = len(simulator.calls(LOG_IN))
        for _ in range(2):
            with pytest.raises(DrsError):
                tokens.get()
        asked += [second] * (len(simulator.calls(LOG_IN)) - before)
        clock.now += 1
    assert asked == asked_at


def test_after_a_log_in_that_went_well_the_pauses_begin_anew(simulator: Simulator) -> None:
    clock, simulator.token_lifetime = Clock(), 3600
    tokens = TokenSource(settings_of(simulator), now=clock)
    for pauses in ([1, 2], [1, 2]):
        simulator.fault(LOG_IN, Fault.status(503), times=len(pauses))
        for pause in pauses:
            with pytest.raises(DrsServerError):
                tokens.get()
            clock.now += pause
        tokens.get()
        clock.now += 3600
    assert len(simulator.calls(LOG_IN)) == 6


def test_a_second_factor_is_a_refused_log_in() -> None:
    with Simulator(totp_secret="JBSWY3DPEHPK3PXP") as simulator:
        tokens = TokenSource(settings_of(simulator))
        for _ in range(3):
            with pytest.raises(DrsAuthenticationError, match="IAM wants a second factor"):
                tokens.get()
        assert len(simulator.calls(LOG_IN)) == 1


@pytest.mark.parametrize("ahead", [7200, 0, -7200])
def test_the_life_of_a_token_does_not_go_by_this_machines_clock(
    simulator: Simulator, ahead: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock, simulator.token_lifetime = Clock(), 3600
    monkeypatch.setattr(tokens_module, "time", SimpleNamespace(time=lambda: time.time() + ahead, monotonic=clock))
    tokens = TokenSource(settings_of(simulator))
    for _ in range(3600 - 125):
        tokens.get()
        clock.now += 1
    assert len(simulator.calls(LOG_IN)) == 1
    clock.now += 10
    tokens.get()
    assert len(simulator.calls(LOG_IN)) == 2
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    off = {7200: "2 hours ahead of", -7200: "2 hours behind"}.get(ahead)
    assert warned == ([f"Connection 'drs_test': the clock of this machine is {off} that of IAM; {MEND}"] if off else [])


# A token of the user's own


def issued(simulator: Simulator) -> str:
    """Return a token that was issued to somebody else."""
    return TokenSource(settings_of(simulator)).get().value


def test_an_own_token_with_a_project_id_needs_no_iam(simulator: Simulator, connect: Connect) -> None:
    token = issued(simulator)
    client = connect(with_own_token(simulator, token, auth_url=None))
    assert client.call(ASK) == STARTED
    assert simulator.calls(STATUS)[0].token_id == token_id(token)
    assert [len(simulator.calls(name)) for name in (LOG_IN, LOOK_UP)] == [1, 0]


def test_the_project_of_an_own_token_is_looked_up_once(simulator: Simulator, connect: Connect) -> None:
    token = issued(simulator)
    client = connect(with_own_token(simulator, token, project_id=None, project_name=None))
    for _ in range(3):
        assert client.call(ASK) == STARTED
    assert {entry.token_id for entry in simulator.calls(STATUS)} == {token_id(token)}
    assert [len(simulator.calls(name)) for name in (LOG_IN, LOOK_UP)] == [1, 1]


@pytest.mark.parametrize("project_id", ["known", None])
def test_an_own_token_that_is_refused_cannot_be_replaced(
    simulator: Simulator, connect: Connect, project_id: str | None
) -> None:
    token = issued(simulator)
    client = connect(with_own_token(simulator, token, project_id=simulator.project_id if project_id else None))
    client.call(ASK)
    simulator.revoke_tokens()
    with pytest.raises(DrsAuthenticationError, match="issue a new one and set it"):
        client.call(ASK)
    assert len(simulator.calls(LOG_IN)) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (None, DrsAuthenticationError),  # the made-up token itself
        (Fault.status(503), DrsServerError),
        (Fault.reset(), DrsUnreachableError),
        (Fault.raw(b'{"token": {"expires_at": "2999-01-01T00:00:00.000000Z"}}'), DrsConfigError),
    ],
    ids=["unknown", "503", "reset", "no-project"],
)
def test_a_look_up_that_fails(
    simulator: Simulator, connect: Connect, fault: Fault | None, kind: type[DrsError]
) -> None:
    if fault:
        simulator.fault(LOOK_UP, fault)
    with pytest.raises(kind) as caught:
        connect(with_own_token(simulator, project_id=None, project_name=None)).call(ASK)
    assert type(caught.value) is kind
    assert simulator.calls(STATUS) == []


def test_a_redirect_of_the_look_up_takes_no_token_along(
    simulator: Simulator, elsewhere: Simulator, connect: Connect
) -> None:
    simulator.fault(LOOK_UP, Fault.redirect(elsewhere.url))
    with pytest.raises(DrsError, match="not followed"):
        connect(with_own_token(simulator, project_id=None, project_name=None)).call(ASK)


def test_a_new_token_is_told_before_it_is_used(simulator: Simulator, connect: Connect) -> None:
    told: list[tuple[str | None, int]] = []

    def listen(token: str) -> None:
        told.append((token_id(token), len(simulator.calls(STATUS))))

    settings = settings_of(simulator)
    client = connect(settings, TokenSource(settings, listen))
    client.call(ASK)
    simulator.revoke_tokens()
    client.call(ASK)
    first, _, second = (entry.token_id for entry in simulator.calls(STATUS))
    assert told == [(first, 0), (second, 2)]
