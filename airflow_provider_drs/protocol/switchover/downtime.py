"""For how long nobody was served: from the last answer of the old side to the first one of the new."""

from __future__ import annotations

from airflow_provider_drs.protocol.errors import Json
from airflow_provider_drs.protocol.polling import utc
from airflow_provider_drs.protocol.switchover.witness import Look, Side

# Of the changes of side; the first and the last tell most.
MAX_SIDES = 100


class Downtime:
    """Samples of who answers at the virtual IP address, until traffic has arrived: seen twice in a row."""

    def __init__(self) -> None:
        self._samples = self._unanswered = 0
        self._sides: list[tuple[Side, float, float]] = []
        self._last_before: float | None = None
        self._arrived = False

    def take(self, look: Look) -> bool:
        """Take a sample; return whether traffic has arrived."""
        self._samples += 1
        self._unanswered += look.side is Side.NOBODY
        if look.side is Side.BEFORE:
            self._last_before = look.at
        if self._sides and self._sides[-1][0] is look.side:
            self._arrived = look.side is Side.AFTER
            self._sides[-1] = (look.side, self._sides[-1][1], look.at)
        else:
            if len(self._sides) >= MAX_SIDES:
                del self._sides[MAX_SIDES // 2]
            self._sides.append((look.side, look.at, look.at))
        return self._arrived

    def result(self, problem: str = "") -> Json:
        """Return what was measured, as plain JSON; times in UTC, ISO 8601.

        :param problem: why the measuring has ended before traffic has arrived.
        :return: ``{"last_before", "first_after", "seconds", "samples", "unanswered", "sides": [{"side", "from", "to"}],
            "not_measured"}``; ``not_measured`` says why ``seconds`` is None.
        """
        first_after = self._sides[-1][1] if self._arrived else None
        if first_after is None:
            problem = problem or "traffic has not arrived"
        elif self._last_before is None:
            problem = "it began when traffic had left"
        else:
            problem = ""
        return {
            "last_before": None if self._last_before is None else utc(self._last_before),
            "first_after": None if first_after is None else utc(first_after),
            "seconds": None if problem else round((first_after or 0.0) - (self._last_before or 0.0), 3),
            "samples": self._samples,
            "unanswered": self._unanswered,
            "sides": [
                {"side": None if side is Side.NOBODY else str(side), "from": utc(first), "to": utc(last)}
                for side, first, last in self._sides
            ],
            "not_measured": problem or None,
        }
