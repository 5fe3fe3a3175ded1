"""What grows: straight lines through samples, and how much each may rise over a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# By how much each may rise from the first measured sample to the last, as a straight line through all has it.
BOUNDS: Mapping[str, float] = {"sockets": 5, "tasks": 15, "threads": 5, "masks": 0.5, "memory": 8}


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the straight line through points, by least squares.

    :raises ValueError: fewer than two points, or all at one time.
    """
    if len({at for at, _ in points}) < 2:
        raise ValueError("a line takes two points")
    middle = sum(at for at, _ in points) / len(points), sum(value for _, value in points) / len(points)
    above = sum((at - middle[0]) * (value - middle[1]) for at, value in points)
    return above / sum((at - middle[0]) ** 2 for at, _ in points)


def rises(samples: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return by how much each figure has risen over the samples, which have their time under ``at``."""
    seconds = samples[-1]["at"] - samples[0]["at"]
    return {name: slope([(one["at"], one[name]) for one in samples]) * seconds for name in BOUNDS}


def too_steep(risen: Mapping[str, float]) -> list[str]:
    """Return the names of those that rise by more than they may."""
    return [name for name, value in risen.items() if value > BOUNDS[name]]
