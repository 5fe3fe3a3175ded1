"""What was asked of the simulator and what it responded, without anything secret."""

from __future__ import annotations

import hashlib
import itertools
import re
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

MASK: Final = "***"
_SECRET_NAME: Final = re.compile(r"pass|pwd|secret|token|authorization|cookie|credential", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """One request.

    ``at`` is when it arrived (seconds since the epoch), ``path`` is as it came over the wire, ``status`` the HTTP
    status of the response, or None while there is none yet and when the connection was cut instead. ``body`` is the
    JSON object that was sent, if one was. ``token_id`` tells one token from another: it is the beginning of the
    SHA-256 of X-Auth-Token. Header names are in lower case; passwords and tokens are masked everywhere. ``answered``
    becomes true once the simulator has finished with the request.
    """

    at: float
    call: str
    method: str
    path: str
    query: Mapping[str, str]
    job_id: str | None
    status: int | None
    body: dict[str, Any] | None
    token_id: str | None
    headers: Mapping[str, str]
    answered: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The entry's JSON form."""
        return asdict(self)


def token_id(token: str | None) -> str | None:
    """A short name for a token, which does not reveal it; None for no token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()[:12] if token else None


def masked(value: Any, secret: bool = False) -> Any:
    """A copy of a JSON value without its passwords and tokens; ``secret``: what stands under it is one."""
    if isinstance(value, Mapping):
        # "password" is also the object around the user in a request for a token. The user stays legible.
        return {
            name: masked(inner, bool(_SECRET_NAME.search(name)) or (secret and name != "user"))
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [masked(inner, secret) for inner in value]
    return MASK if secret and value is not None else value


class Journal:
    """The last ``limit`` requests in the order they arrived; safe to use from several threads."""

    def __init__(self, limit: int = 200_000) -> None:
        self._limit = limit
        self._entries: dict[int, Entry] = {}
        self._numbers = itertools.count()
        self._changed = threading.Condition()

    def add_request(self, entry: Entry) -> int:
        """Add a request; returns its number, for `add_status`."""
        with self._changed:
            number = next(self._numbers)
            self._entries[number] = entry
            if len(self._entries) > self._limit:
                del self._entries[next(iter(self._entries))]
            self._changed.notify_all()
            return number

    def add_status(self, number: int, status: int | None) -> None:
        """Add how a request ended: the HTTP status, or None when the connection was cut."""
        with self._changed:
            if number in self._entries:
                self._entries[number] = replace(self._entries[number], status=status, answered=True)
            self._changed.notify_all()

    def entries(self, call: str | None = None) -> list[Entry]:
        """A snapshot of all requests, or of those of one call."""
        with self._changed:
            return [entry for entry in self._entries.values() if call is None or entry.call == call]

    def wait_for(self, call: str, count: int, timeout: float, answered: bool = True) -> list[Entry]:
        """Block until ``count`` requests of a call are there, and answered unless ``answered`` is false.

        Returns these requests. Raises TimeoutError after ``timeout`` seconds.
        """

        def found() -> list[Entry]:
            return [
                entry for entry in self._entries.values() if entry.call == call and (entry.answered or not answered)
            ]

        with self._changed:
            if not self._changed.wait_for(lambda: len(found()) >= count, timeout):
                seen = len(found())
                raise TimeoutError(f"{seen} of {count} calls of {call} came within {timeout:g} s")
            return found()
