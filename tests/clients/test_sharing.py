"""The client that the waits of an event loop share: made once, closed by the last, made anew when it is no good."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_drs.clients.async_client import AsyncDrsClient
from airflow_provider_drs.clients.polling.streams import PollStreams
from airflow_provider_drs.clients.sharing import shared
from airflow_provider_drs.clients.tokens import TokenSource
from airflow_provider_drs.protocol.errors import DrsAuthenticationError, DrsConfigError, DrsTransientError
from airflow_provider_drs.protocol.polling import Pace
from airflow_provider_drs.protocol.settings import Settings, read_settings
from airflow_provider_drs.protocol.switchover.wait import SwitchoverWait
from airflow_provider_drs.simulator import Fault, Simulator
from tests.constants import JOB

from .helpers import ASK, STARTED, STATUS, at_once, counting_connections_to, on_a_loop, settings_of

# Nobody is asked where this leads.
NOWHERE = read_settings("drs_test", host="http://127.0.0.1:9", extra={"token": "t", "project_id": "p"})


class Watched(AsyncDrsClient):
    """A client that says when it is closed."""

    closed = 0

    async def close(self) -> None:
        self.closed += 1
        await super().close()


class Maker:
    """Makes clients, and keeps account of them; waits for ``gate`` if there is one."""

    def __init__(self, settings: Callable[[], Settings] = lambda: NOWHERE) -> None:
        self.settings = settings
        self.gate: asyncio.Event | None = None
        self.begun = asyncio.Event()
        self.calls = 0
        self.made: list[Watched] = []

    async def __call__(self) -> AsyncDrsClient:
        self.calls += 1
        self.begun.set()
        if self.gate is not None:
            await self.gate.wait()
        settings = self.settings()
        self.made.append(Watched(settings, TokenSource(settings)))
        return self.made[-1]

    @property
    def closed(self) -> list[int]:
        return [client.closed for client in self.made]


async def stay(make: Maker, until: asyncio.Event, key: str = "drs_test") -> AsyncDrsClient:
    async with shared(key, make) as client:
        await until.wait()
        return client


async def turns(count: int = 10) -> None:
    """Let everything on the loop that can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_hundred_users_share_one_client_and_the_last_closes_it() -> None:
    async def main() -> None:
        make, end = Maker(), asyncio.Event()
        make.gate = asyncio.Event()
        first, *others = [asyncio.ensure_future(stay(make, end)) for _ in range(100)]
        await make.begun.wait()
        make.gate.set()
        await turns()
        for user in others:
            user.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        assert (make.calls, make.closed) == (1, [0])
        end.set()
        assert await first is make.made[0]
        assert make.closed == [1]

    on_a_loop(main())


def test_after_the_last_a_new_one_is_made() -> None:
    async def main() -> None:
        make, end = Maker(), asyncio.Event()
        end.set()
        assert await stay(make, end) is not await stay(make, end)
        assert make.closed == [1, 1]

    on_a_loop(main())


def test_each_connection_has_its_own() -> None:
    async def main() -> None:
        make, end = Maker(), asyncio.Event()
        end.set()
        async with shared("one", make) as one, shared("other", make) as other:
            assert one is not other
        assert make.closed == [1, 1]

    on_a_loop(main())


def test_an_error_in_a_users_work_is_that_users() -> None:
    async def main() -> None:
        make = Maker()

        async def fails() -> None:
            async with shared("drs_test", make):
                raise ZeroDivisionError

        async with shared("drs_test", make):
            with pytest.raises(ZeroDivisionError):
                await fails()
            assert (make.calls, make.closed) == (1, [0])
        assert make.closed == [1]

    on_a_loop(main())


def test_a_connection_that_cannot_be_read_is_the_error_of_all_and_read_anew_by_the_next() -> None:
    outcomes: list[Any] = [DrsConfigError("no such connection"), NOWHERE]

    def settings() -> Settings:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def main() -> None:
        make, end = Maker(settings), asyncio.Event()
        make.gate = asyncio.Event()
        users = [asyncio.ensure_future(stay(make, end)) for _ in range(20)]
        await make.begun.wait()
        await turns()
        make.gate.set()
        got = await asyncio.gather(*users, return_exceptions=True)
        assert [str(error) for error in got] == ["no such connection"] * 20
        assert make.calls == 1
        end.set()
        assert await stay(make, end) is make.made[0]
        assert (make.calls, make.closed) == (2, [1])

    on_a_loop(main())


@pytest.mark.parametrize("all_of_them", [False, True])
def test_users_cancelled_while_the_connection_is_read(all_of_them: bool) -> None:
    async def main() -> None:
        make, end = Maker(), asyncio.Event()
        make.gate = asyncio.Event()
        users = [asyncio.ensure_future(stay(make, end)) for _ in range(3)]
        await make.begun.wait()
        await turns()
        for user in users if all_of_them else users[:2]:
            user.cancel()
        await turns()
        make.gate.set()
        end.set()
        got = await asyncio.gather(*users, return_exceptions=True)
        kinds = [type(outcome) for outcome in got]
        assert kinds == [asyncio.CancelledError] * 2 + [asyncio.CancelledError if all_of_them else Watched]
        await turns()
        # The look-up is never cut short, and what it makes is closed even if nobody is left to use it.
        assert make.closed == [1]
        # Whoever comes now finds nothing left of it.
        assert await stay(make, end) is make.made[-1]
        assert set(make.closed) == {1}

    on_a_loop(main())


def test_a_user_that_comes_when_another_is_cancelled_gets_the_client() -> None:
    async def main() -> None:
        make, end = Maker(), asyncio.Event()
        make.gate = asyncio.Event()
        first = asyncio.ensure_future(stay(make, end))
        await make.begun.wait()
        first.cancel()
        second = asyncio.ensure_future(stay(make, end))
        await turns()
        make.gate.set()
        end.set()
        assert await second is make.made[-1]
        assert first.cancelled()
        assert set(make.closed) == {1}

    on_a_loop(main())


class ClosesInSteps(Watched):
    """A client that waits while it closes, as streams do for their workers."""

    async def close(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await super().close()


def test_the_last_user_cancelled_once_more_while_it_closes_leaves_nothing_open() -> None:
    """As in a triggerer that stood still: it ends each wait that another has taken over, and then itself."""

    async def main() -> None:
        client = ClosesInSteps(NOWHERE, TokenSource(NOWHERE))

        async def make() -> AsyncDrsClient:
            return client

        async def use() -> None:
            async with shared("drs_test", make):
                await asyncio.Event().wait()

        user = asyncio.ensure_future(use())
        await turns()
        user.cancel()
        await turns()
        assert (user.done(), client.closed) == (False, 0)
        user.cancel()
        await turns()
        assert (user.cancelled(), client.closed) == (True, 1)

    on_a_loop(main())


@pytest.mark.parametrize("error", [DrsConfigError("no such connection"), asyncio.CancelledError()])
def test_a_lookup_that_has_just_failed_is_not_shared_with_who_comes_then(error: BaseException) -> None:
    async def main() -> None:
        make, end = Maker(), asyncio.Event()
        end.set()
        later: list[asyncio.Task[AsyncDrsClient]] = []

        async def fails() -> AsyncDrsClient:
            # It begins when the look-up has failed and those who waited for it do not know yet.
            later.append(asyncio.ensure_future(stay(make, end)))
            raise error

        async def waits() -> None:
            async with shared("drs_test", fails):
                pytest.fail("there is no client")

        got = await asyncio.gather(waits(), waits(), return_exceptions=True)
        assert [type(outcome) for outcome in got] == [type(error)] * 2
        assert await later[0] is make.made[0]
        assert make.closed == [1]

    on_a_loop(main())


def test_each_event_loop_has_its_own() -> None:
    def one_loop() -> tuple[int, list[int]]:
        async def main() -> tuple[int, list[int]]:
            make, end = Maker(), asyncio.Event()
            end.set()
            await asyncio.gather(*[stay(make, end) for _ in range(5)])
            return make.calls, make.closed

        return asyncio.run(main())

    assert at_once(2, one_loop) == [(1, [1])] * 2


# With a service


def test_the_users_share_token_and_connections(simulator: Simulator) -> None:
    async def main() -> None:
        with counting_connections_to(simulator.port) as between:
            settings = settings_of(simulator, host=f"https://127.0.0.1:{between.port}")
            make = Maker(lambda: settings)

            async def wait_for_it() -> None:
                async with shared("drs_test", make) as client:
                    for _ in range(3):
                        assert await client.call(ASK) == STARTED

            async with shared("drs_test", make) as client:
                await client.call(ASK)
                for _ in range(5):
                    await wait_for_it()
            assert between.connections == 1
            await asyncio.gather(*[wait_for_it() for _ in range(20)])
            assert between.connections <= 21
        assert (make.calls, make.closed) == (2, [1, 1])

    on_a_loop(main())
    assert len(simulator.calls(STATUS)) == 1 + 15 + 60
    assert len(simulator.calls("tokens")) == 2  # a source of its own for each client of this test


def test_after_a_refused_log_in_the_connection_is_read_anew(simulator: Simulator) -> None:
    passwords = ["wrong", simulator.password]

    async def main() -> None:
        make = Maker(lambda: settings_of(simulator, password=passwords.pop(0)))
        async with shared("drs_test", make) as first:
            with pytest.raises(DrsAuthenticationError):
                await first.call(ASK)
            # The first has not left yet, as other waits of the same connection may not have.
            async with shared("drs_test", make) as second:
                assert second is not first
                async with shared("drs_test", make) as third:
                    assert third is second
                assert await second.call(ASK) == STARTED
                assert make.closed == [0, 0]
            assert make.closed == [0, 1]
        assert make.closed == [1, 1]

    on_a_loop(main())


def test_trouble_that_passes_does_not_make_a_new_client(simulator: Simulator) -> None:
    simulator.fault("tokens", Fault.too_many("0.01"))
    simulator.fault(STATUS, Fault.status(503))

    async def main() -> None:
        make = Maker(lambda: settings_of(simulator))
        async with shared("drs_test", make) as first:
            for _ in range(2):
                with pytest.raises(DrsTransientError):
                    await first.call(ASK)
                await asyncio.sleep(0.02)
            async with shared("drs_test", make) as second:
                assert second is first
                assert await second.call(ASK) == STARTED
        assert make.closed == [1]

    on_a_loop(main())


# More than the closing has points at which it waits; the last of these cancellations come after its end.
ROUNDS = 14


@pytest.mark.parametrize("after", range(ROUNDS))
@pytest.mark.parametrize("later", [None, 1, 50])
def test_a_second_cancellation_leaves_nothing_open(after: int, later: int | None, simulator: Simulator) -> None:
    """A triggerer that wakes cancels the waits that another has taken over, and once more when it stops.

    The second cancellation is that of the end of the loop, which cancels every task, or comes ``later`` rounds before.
    asyncio tells the handler of the loop of a connector that nobody has closed; a socket is a ResourceWarning.
    """
    simulator.fault(STATUS, Fault.slow(1), times=None)
    unclosed: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: unclosed.append(context["message"]))
        settings = settings_of(simulator)

        async def make() -> PollStreams:
            return PollStreams(AsyncDrsClient(settings, TokenSource(settings)))

        async def wait() -> None:
            async with shared("drs_test", make) as polls:
                with polls.follow(SwitchoverWait(JOB, Pace(1.0))) as follower:
                    await follower.next()

        user = asyncio.ensure_future(wait())
        await asyncio.to_thread(simulator.wait_for, STATUS, answered=False)
        user.cancel()
        await turns(after)
        if later is not None:
            user.cancel()
            await turns(later)

    asyncio.run(main())
    gc.collect()
    assert unclosed == []


@pytest.mark.parametrize("after", range(3))
def test_a_client_made_just_before_the_end_of_the_loop_is_closed(after: int) -> None:
    """Its only user was cancelled before."""
    unclosed: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unclosed.append(context["message"]))
        make = Maker()
        make.gate = asyncio.Event()
        user = asyncio.ensure_future(stay(make, asyncio.Event()))
        await make.begun.wait()
        user.cancel()
        await turns()
        make.gate.set()
        await turns(after)

    asyncio.run(main())
    gc.collect()
    assert unclosed == []
