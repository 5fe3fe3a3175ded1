"""Airflow's metrics of this provider; ``docs/metrics.md`` lists them."""

from __future__ import annotations

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

    def called(self, name: str, seconds: float, error: protocol.DrsError | None) -> None:
        """Count a poll or another call, its duration, and its error by class."""
        Stats.incr("drs.polls", tags={"call": name})
        Stats.timing("drs.poll_duration", seconds * 1000, tags={"call": name})
        if error is not None:
            Stats.incr(f"drs.errors.{type(error).__name__}")  # plain StatsD drops tags

    def waiting(self, more: int) -> None:
        """Set the number of waits in progress in this process."""
        self._waits += more
        Stats.gauge("drs.waits", self._waits)

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


@cache
def metrics() -> Metrics:
    """Return this process's metrics."""
    return Metrics()
