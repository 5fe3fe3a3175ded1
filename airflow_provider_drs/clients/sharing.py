"""A resource that all waits of an event loop share: made once, lent to all, closed by the last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar, cast

F = TypeVar("F")


class Shareable(Protocol):
    """A resource that can be shared."""

    @property
    def stale(self) -> bool:
        """Whether it must not be reused, because the connection it was made from no longer works."""

    async def close(self) -> None:
        """Close it; it has no user any more. Cancelled at any of its waits, it closes all the same."""


S = TypeVar("S", bound=Shareable)


class _Shared(Generic[S]):
    def __init__(self, make: Callable[[], Awaitable[S]]) -> None:
        self.users = 0
        self.made = ignore_if_unawaited(asyncio.ensure_future(self._make(make)))

    async def _make(self, make: Callable[[], Awaitable[S]]) -> S:
        made = await make()
        if not self.users:
            # All were cancelled while it was being made. Making it went on: before Airflow 3.2, cancelling a request
            # to the supervisor half way ends the triggerer.
            await made.close()
        return made

    @property
    def stale(self) -> bool:
        made = self.made
        return made.done() and (made.cancelled() or made.exception() is not None or made.result().stale)


_shared: dict[tuple[asyncio.AbstractEventLoop, Hashable], _Shared[Shareable]] = {}


@asynccontextmanager
async def shared(key: Hashable, make: Callable[[], Awaitable[S]]) -> AsyncIterator[S]:
    """Lend the resource that all users of ``key`` on this event loop share; the last to leave closes it.

    A stale resource is not reused; the next user gets a new one.

    :param make: makes it for the first user: one look-up of the connection, however many users begin at once.
    """
    place = (asyncio.get_running_loop(), key)
    shared = _shared.get(place)
    if shared is None or shared.stale:
        shared = _shared[place] = _Shared(make)
    shared.users += 1
    try:
        yield cast(S, await asyncio.shield(shared.made))
    finally:
        shared.users -= 1
        if not shared.users:
            if _shared.get(place) is shared:
                del _shared[place]
            made = shared.made
            if made.done() and not made.cancelled() and made.exception() is None:
                # Not in a task of its own: a loop that ends would cancel that before its first step, and close nothing.
                await made.result().close()


def ignore_if_unawaited(future: asyncio.Future[F]) -> asyncio.Future[F]:
    """Return the future; asyncio does not log its error even if nobody awaits it any more."""
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future
