"""How a process that serves until it is told to end is told so."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def ended_by_signal() -> Iterator[threading.Event]:
    """Lend an event that SIGTERM and SIGINT set, in place of ending the process; afterwards they do as before."""
    ended = threading.Event()
    kept = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield ended
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
