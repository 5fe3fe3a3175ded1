"""How jobs are named, and when their switchovers end: the same for the stub's users in all processes."""

from __future__ import annotations


def job_id(index: int) -> str:
    """Return an id in the form of a real one, which is no UUID."""
    return f"{index:08x}-4976-44dc-9948-e1265e4jb201"


def run_id(index: int) -> int:
    """Return a run of dbt Cloud, whose ids are numbers."""
    return 10_000_000 + index


def spread(count: int, begin: float, seconds: float) -> list[float]:
    """Return a time for each of ``count`` waits, spread evenly, in an order that is not the one they began in.

    In the same order each job would end at the same point between two of its polls.
    """
    stride = next(x for x in (7919, 7907, 7901) if count % x)
    return [begin + (index * stride % count) * seconds / count for index in range(count)]
