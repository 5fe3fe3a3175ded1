"""Waiting for what another thread or process is still doing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

INTERVAL = 0.1
# Seconds in which something comes that must come, on the slowest machine too. Only a failure takes so long.
PATIENCE = 600.0


def until(
    found: Callable[[], T | None], seconds: float, what: str, *, over: Callable[[], bool] = lambda: False,
    tell: Callable[[], str] = lambda: "", interval: float = INTERVAL,
) -> T:  # fmt: skip
    """Return what ``found`` returns once that is true.

    :param seconds: how long to wait at most.
    :param what: what is waited for, for the message.
    :param over: whether whoever is to bring it about is gone, so that no wait can help.
    :param tell: what to add to the message.
    :param interval: seconds between two looks.
    :raises AssertionError: it has not come.
    """
    end = time.monotonic() + seconds
    while True:
        gone = over()
        if value := found():
            return value
        if gone or time.monotonic() >= end:
            raise AssertionError(f"waited for {what} in vain{tell()}")
        time.sleep(interval)
