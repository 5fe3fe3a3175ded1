from __future__ import annotations

import json
from itertools import pairwise

import pytest

from airflow_provider_drs.protocol.polling import utc
from airflow_provider_drs.protocol.switchover.downtime import MAX_SIDES, Downtime
from airflow_provider_drs.protocol.switchover.witness import Look, Side
from tests.constants import T0

SIDES = {"B": Side.BEFORE, "A": Side.AFTER, "-": Side.NOBODY}


def _measure(samples: str, problem: str = "") -> tuple[Downtime, list[bool]]:
    downtime = Downtime()
    return downtime, [downtime.take(Look(SIDES[one], at=T0 + place / 4)) for place, one in enumerate(samples)]


@pytest.mark.parametrize(
    ("samples", "seconds", "not_measured"),
    [
        ("BBBAA", 0.25, None),
        ("BB----AA", 1.25, None),
        ("BB--B--AA", 0.75, None),
        ("B-A-AA", 1.0, None),
        ("BABAA", 0.25, None),
        ("AA", None, "it began when traffic had left"),
        ("--AA", None, "it began when traffic had left"),
        ("BBBB", None, "it failed"),
        ("BB--A", None, "it failed"),
        ("BBAB", None, "it failed"),
    ],
)
def test_the_gap_between_the_last_of_the_old_side_and_the_first_of_the_new(
    samples: str, seconds: float | None, not_measured: str | None
) -> None:
    downtime, arrived = _measure(samples)
    result = downtime.result("" if arrived[-1] else "it failed")
    json.dumps(result)
    assert (result["seconds"], result["not_measured"]) == (seconds, not_measured)
    assert (result["samples"], result["unanswered"]) == (len(samples), samples.count("-"))
    assert arrived[:-1] == [False] * (len(samples) - 1)
    assert arrived[-1] is samples.endswith("AA")
    assert (result["first_after"] is None) is not arrived[-1]


def test_who_answered_and_when() -> None:
    result = _measure("BB--AA")[0].result()
    assert result["sides"] == [
        {"side": side, "from": utc(T0 + first), "to": utc(T0 + last)}
        for side, first, last in (("before", 0, 0.25), (None, 0.5, 0.75), ("after", 1.0, 1.25))
    ]
    assert (result["last_before"], result["first_after"]) == (utc(T0 + 0.25), utc(T0 + 1.0))


def test_an_address_that_flaps_for_hours_does_not_fill_an_xcom() -> None:
    result = _measure("BA" * 1000 + "A")[0].result()
    assert len(result["sides"]) <= MAX_SIDES
    assert result["seconds"] == 0.25
    assert all(one["from"] <= later["from"] for one, later in pairwise(result["sides"]))


def test_nothing_was_sampled() -> None:
    assert Downtime().result()["not_measured"] == "traffic has not arrived"
