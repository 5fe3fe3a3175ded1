"""A resource that all waits of an event loop share: made once, lent to all, closed by the last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

F = TypeVar("F")


class Shareable(Protocol):
    """A resource that can be shared."""

    @property
    def stale(self) -> bool:
        """Whether it must not be reused, because the connection it was made from no longer works."""

    async def close(self) -> None:
        """Close it; it has no user any more."""


S = TypeVar("S", bound=Shareable)


@dataclass
class _Shared(Generic[S]):
    made: asyncio.Future[S]
    users: int = 0

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
        made: asyncio.Future[Shareable] = asyncio.ensure_future(make())
        shared = _shared[place] = _Shared(ignore_if_unawaited(made))
    shared.users += 1
    try:
        yield cast(S, await asyncio.shield(shared.made))
    finally:
        shared.users -= 1
        if not shared.users:
            if _shared.get(place) is shared:
                del _shared[place]
            await _close(shared.made)


_closing = set[asyncio.Task[None]]()


async def _close(made: asyncio.Future[Shareable]) -> None:
    closing = asyncio.ensure_future(_close_once_made(made))
    _closing.add(closing)
    closing.add_done_callback(_closing.discard)
    if made.done():
        # Shielded: a user who is cancelled once more, as by a triggerer that wakes and then ends, leaves nothing open.
        await asyncio.shield(closing)
    # Else every user was cancelled while it was being made. Making it goes on: before Airflow 3.2, cancelling a request
    # to the supervisor half way ends the triggerer.


async def _close_once_made(made: asyncio.Future[Shareable]) -> None:
    await asyncio.wait([made])
    if not made.cancelled() and made.exception() is None:
        await made.result().close()


def ignore_if_unawaited(future: asyncio.Future[F]) -> asyncio.Future[F]:
    """Return the future; asyncio does not log its error even if nobody awaits it any more."""
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future
