"""What is to be held: a goal has a kind, because what a busy machine does to it depends on that."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from statistics import median
from typing import Any


class Kind(Enum):
    """What a figure is.

    ``RATIO`` to a contender in the same round: whatever slows the machine slows both; the median must hold.
    ``COUNT``: no clock takes part, or hardly; each round must hold.
    ``TIME`` depends on the machine and on what else it does; a miss of the median is shown, but fails nothing.
    """

    RATIO = "ratio"
    COUNT = "count"
    TIME = "time"


@dataclass
class Row:
    """One line of the table.

    :param group: the group of measurements, as the command line names it.
    :param figure: what is measured.
    :param values: one of each round; None where a round gave none, which misses any goal.
    :param limit: what it may be at most; None: for the record.
    :param unit: appended to the figures.
    :param note: what a reader must know to read it.
    :param exactly: it must be the limit, not only within it.
    """

    group: str
    figure: str
    values: list[float | None]
    limit: float | None = None
    kind: Kind = Kind.COUNT
    unit: str = ""
    note: str = ""
    exactly: bool = False

    @property
    def value(self) -> float | None:
        """The median; None if a round gave none."""
        known = [value for value in self.values if value is not None]
        return median(known) if known and len(known) == len(self.values) else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None for a row without one."""
        if self.limit is None:
            return None
        if self.value is None:
            return False
        judged = [self.value] if self.kind is not Kind.COUNT else [value for value in self.values if value is not None]
        return all(value == self.limit if self.exactly else value <= self.limit for value in judged)

    @property
    def fails(self) -> bool:
        """Whether this fails the whole run."""
        return self.met is False and self.kind is not Kind.TIME

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {**asdict(self), "kind": self.kind.value, "median": self.value, "met": self.met}


def ratios(runs: list[dict[str, Any]], others: list[dict[str, Any]], name: str) -> list[float | None]:
    """Return a figure's ratio to that of others, round by round."""
    return [
        mine[name] / other[name] if mine.get(name) is not None and other.get(name) else None
        for mine, other in zip(runs, others, strict=True)
    ]
