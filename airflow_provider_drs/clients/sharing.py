"""What all waits of an event loop share: made once, lent to all, closed by the last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

F = TypeVar("F")


class Shareable(Protocol):
    """What can be shared."""

    @property
    def stale(self) -> bool:
        """Whether it must not be lent again, because the connection it was made from no longer works."""

    async def close(self) -> None:
        """Close it; nobody uses it any more."""


S = TypeVar("S", bound=Shareable)


@dataclass
class _Shared:
    made: asyncio.Future[Any]
    users: int = 0

    @property
    def stale(self) -> bool:
        made = self.made
        return made.done() and (made.cancelled() or made.exception() is not None or made.result().stale)


_shared: dict[tuple[asyncio.AbstractEventLoop, Hashable], _Shared] = {}


@asynccontextmanager
async def shared(key: Hashable, make: Callable[[], Awaitable[S]]) -> AsyncIterator[S]:
    """Lend what all users of ``key`` on this event loop share; the last to leave closes it.

    What is spent is not lent again, so that whoever comes next, a retry for one, has it made anew.

    :param make: makes it for the first user: one look-up of the connection, however many begin at once.
    """
    place = (asyncio.get_running_loop(), key)
    shared = _shared.get(place)
    if shared is None or shared.stale:
        shared = _shared[place] = _Shared(ignore_if_unawaited(asyncio.ensure_future(make())))
    shared.users += 1
    try:
        yield await asyncio.shield(shared.made)
    finally:
        shared.users -= 1
        if not shared.users:
            if _shared.get(place) is shared:
                del _shared[place]
            await _close(shared.made)


_left = set[asyncio.Task[None]]()


async def _close(made: asyncio.Future[Any]) -> None:
    if not made.done():
        # Every user was cancelled while it was made. The making goes on: before Airflow 3.2 a request to its
        # supervisor that is cancelled half way ends the triggerer.
        closing = asyncio.ensure_future(_close_once_made(made))
        _left.add(closing)
        closing.add_done_callback(_left.discard)
    elif not made.cancelled() and made.exception() is None:
        await made.result().close()


async def _close_once_made(made: asyncio.Future[Any]) -> None:
    await asyncio.wait([made])
    await _close(made)


def ignore_if_unawaited(future: asyncio.Future[F]) -> asyncio.Future[F]:
    """Return the future, with its error taken note of even if all who waited for it are gone."""
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future
