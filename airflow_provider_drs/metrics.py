"""Airflow's metrics of this provider; ``docs/metrics.md`` lists them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import Stats

from airflow_provider_drs.clients.observer import Observer

if TYPE_CHECKING:
    from airflow_provider_drs import protocol


class Metrics(Observer):
    """Hands what the clients and the waits report on to Airflow's stats; nothing where metrics are off."""

    def __init__(self) -> None:
        self._waits = 0
        self._good: dict[str, float] = {}

    def called(self, name: str, seconds: float, error: protocol.DrsError | None, conn_id: str) -> None:
        """Count a poll or another call, its duration, and its error by class; set the age of the last good response."""
        Stats.incr("drs.polls", tags={"call": name})
        Stats.timing("drs.poll_duration", seconds * 1000, tags={"call": name})
        if error is not None:
            Stats.incr(f"drs.errors.{type(error).__name__}")  # plain StatsD drops tags
        now = time.monotonic()
        good = self._good[conn_id] = now if error is None else self._good.get(conn_id, now - seconds)
        Stats.gauge(f"drs.response_age.{_in_a_name(conn_id)}", now - good)

    def waiting(self, more: int) -> None:
        """Set the number of waits in progress in this process."""
        self._waits += more
        Stats.gauge("drs.waits", self._waits)

    def worst_off(self, seconds: float, conn_id: str) -> None:
        """Set for how long the wait that is worst off has been without a good response."""
        Stats.gauge(f"drs.oldest_wait.{_in_a_name(conn_id)}", seconds)

    def switched(self, outcome: str) -> None:
        """Count a try of a switchover by how it has ended.

        :param outcome: that of the evidence.
        """
        Stats.incr(f"drs.switchovers.{outcome}")

    def renewed(self) -> None:
        """Count a new token."""
        Stats.incr("drs.token_renewals")

    def ended(self, event: Mapping[str, object]) -> None:
        """Record the detection delay: how long at most the end of a switchover had stood before it was seen.

        :param event: the end of a wait; one without a delay is ignored.
        """
        seen = event.get("seen")
        seconds = seen.get("detection") if isinstance(seen, Mapping) else None
        if isinstance(seconds, (int, float)):
            Stats.timing("drs.detection_delay", seconds * 1000)


def _in_a_name(conn_id: str) -> str:
    """Return what the name of a metric may have of a connection's id."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", conn_id)


@cache
def metrics() -> Metrics:
    """Return this process's metrics."""
    return Metrics()
