"""The stub's control port, blocking: for the harness and for the processes that are measured alike."""

from __future__ import annotations

import json
import socket
from typing import Any


class Control:
    """Commands to the stub, over a connection that is kept.

    :param port: of the stub's control.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._file = self._socket.makefile("rb")

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()

    def configure(self, **values: Any) -> None:
        """Set ``delay``, ``token_life`` or ``fault``."""
        self._ask("configure", **values)

    def counts(self) -> dict[str, Any]:
        """Return ``at`` (seconds since the epoch), ``cpu`` of the stub, ``tls`` connections, and requests by kind."""
        return dict(self._ask("counts"))

    def finish(self, times: dict[str, float]) -> None:
        """Let switchovers be complete at set times."""
        self._ask("finish", times=times)

    def gaps(self) -> dict[str, Any]:
        """Return ``jobs``, ``largest_gap`` between two polls of one, ``fewest_polls`` of one."""
        return dict(self._ask("gaps"))

    def polls(self, job_id: str) -> int:
        """Return how often a job was polled."""
        return int(self._ask("polls", job_id=job_id))

    def reset(self) -> None:
        """Begin counting anew, with all jobs in progress."""
        self._ask("reset")

    def times(self, kind: str) -> list[float]:
        """Return when requests of a kind came."""
        return list(self._ask("times", kind=kind))

    def token(self) -> str:
        """Return a token that lives for a day, for contenders that cannot log in."""
        return str(self._ask("token"))

    def _ask(self, name: str, **arguments: Any) -> Any:
        self._socket.sendall(json.dumps([name, arguments]).encode() + b"\n")
        return json.loads(self._file.readline())


def polls(counts: dict[str, Any]) -> int:
    """Return the polls among the counts, whoever made them."""
    return sum(int(counts.get(kind, 0)) for kind in ("status", "http", "dbt"))
