"""Is a status the outcome of our switchover? Every row in one process, and with each read in another."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_drs.protocol.polling import Instant
from airflow_provider_drs.protocol.switchover.freshness import Confidence, Freshness
from tests.constants import COMPLETE, FAILED, START, T0

OURS, NOT_YET, UNDECIDABLE = Confidence.FRESH, Confidence.NOT_YET, Confidence.UNDECIDABLE
ACCEPTED: dict[str, Any] = {"accepted_at": T0}
LOST: dict[str, Any] = {"accepted_at": None}
KNOWN_EMPTY: dict[str, Any] = {"baseline": None, "empty_since": True}  # DRS named the job and told no status
UNKNOWN_BEFORE: dict[str, Any] = {"baseline": None, "empty_since": False}
SETTLE, DECIDE_WITHIN, MAX_GAP = 30.0, 120.0, 600.0


@dataclass(frozen=True)
class Case:
    """What was known, what was read how many seconds after the request, and what the last of it is worth."""

    name: str
    known: dict[str, Any]
    reads: tuple[tuple[float, str | None], ...]
    worth: Confidence
    why: str = ""

    def __str__(self) -> str:
        return self.name


def _at(status: str | None, *seconds: float) -> tuple[tuple[float, str | None], ...]:
    return tuple((at, status) for at in seconds)


CASES = [
    *(
        Case(f"{final} after {before}, {how}", {**told, **known}, _at(final, 5), OURS)
        for how, told in (("accepted", ACCEPTED), ("lost", LOST))
        for before, known, finals in (
            ("nothing", KNOWN_EMPTY, (COMPLETE, FAILED)),
            (COMPLETE, {"baseline": COMPLETE}, (FAILED,)),
            (FAILED, {"baseline": FAILED}, (COMPLETE,)),
        )
        for final in finals
    ),
    *(
        Case(f"START, then {final} as before", {**told, "baseline": final}, (*_at(START, 5), *_at(final, 20)), OURS)
        for told in (ACCEPTED, LOST)
        for final in (COMPLETE, FAILED)
    ),
    Case("START is no end", {**ACCEPTED, **KNOWN_EMPTY}, _at(START, 5, 10, 500, 1000), NOT_YET),
    Case(
        "a long switchover, watched",
        {**ACCEPTED, **KNOWN_EMPTY},
        (*_at(START, 5, 500, 1000), *_at(COMPLETE, 1500)),
        OURS,
    ),
    Case(
        "nobody watched after START",
        {**ACCEPTED, **KNOWN_EMPTY},
        (*_at(START, 5), *_at(COMPLETE, 700)),
        UNDECIDABLE,
        "nobody watched for",
    ),
    Case("COMPLETE stands, not long enough", {**ACCEPTED, "baseline": COMPLETE}, _at(COMPLETE, 1, 10, 20), NOT_YET),
    Case("COMPLETE has stood", {**ACCEPTED, "baseline": COMPLETE}, _at(COMPLETE, 1, 11, 21, 32), OURS),
    Case(
        "COMPLETE stands, never trusted",
        {**ACCEPTED, "baseline": COMPLETE, "settle": None},
        _at(COMPLETE, 1, 60, 130),
        UNDECIDABLE,
        "no START seen in time",
    ),
    Case(
        "COMPLETE stands, the answer was lost",
        {**LOST, "baseline": COMPLETE},
        _at(COMPLETE, 1, 60, 130),
        UNDECIDABLE,
        "to it was lost",
    ),
    Case("FAILED stands", {**ACCEPTED, "baseline": FAILED}, _at(FAILED, 1, 60, 130), UNDECIDABLE, "DRS accepted it"),
    Case("FAILED stands, in time", {**ACCEPTED, "baseline": FAILED}, _at(FAILED, 1, 60, 100), NOT_YET),
    Case("START comes late", {**ACCEPTED, **KNOWN_EMPTY}, (*_at(None, 5, 60), *_at(START, 130)), UNDECIDABLE),
    Case("an end comes late", {**ACCEPTED, **KNOWN_EMPTY}, (*_at(None, 5, 60), *_at(COMPLETE, 130)), UNDECIDABLE),
    Case("nothing comes", {**LOST, **KNOWN_EMPTY}, _at(None, 5, 60, 130), UNDECIDABLE),
    Case(
        "what comes once it is undecidable",
        {**LOST, "baseline": COMPLETE},
        (*_at(COMPLETE, 130), *_at(START, 135), *_at(FAILED, 140)),
        UNDECIDABLE,
    ),
    Case("nothing was known, lost, START", {**LOST, **UNKNOWN_BEFORE}, (*_at(START, 5), *_at(COMPLETE, 9)), NOT_YET),
    Case("nothing was known, accepted, START", {**ACCEPTED, **UNKNOWN_BEFORE}, (*_at(START, 5), *_at(FAILED, 9)), OURS),
    Case("nothing was known, COMPLETE", {**ACCEPTED, **UNKNOWN_BEFORE}, _at(COMPLETE, 5), NOT_YET),
    Case(
        "nothing was known, COMPLETE later",
        {**ACCEPTED, **UNKNOWN_BEFORE},
        _at(COMPLETE, 5, 130),
        UNDECIDABLE,
        "nothing tells whether that is new",
    ),
    Case("nothing was known, null since then", {**LOST, **UNKNOWN_BEFORE}, (*_at(None, 5), *_at(COMPLETE, 9)), OURS),
]


@pytest.mark.parametrize("again", [False, True], ids=["one process", "a process a read"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_a_status_is_worth(case: Case, again: bool) -> None:
    freshness = Freshness(
        posted_at=T0, **{"settle": SETTLE, "decide_within": DECIDE_WITHIN, "max_gap": MAX_GAP, **case.known}
    )
    worth = None
    for at, status in case.reads:
        for second in (0.0, 1.0):  # each status is read twice, so that none is a stale one
            if again:
                freshness = Freshness.from_dict(json.loads(json.dumps(freshness.to_dict())))
            steady = None if again else 7.0 + at + second
            worth = freshness.judge(status, Instant(T0 + at + second, steady))
    assert worth is case.worth, freshness
    assert case.why in freshness.why


@pytest.mark.parametrize("names_job", [True, False])
def test_an_empty_result_says_nothing_either_way(names_job: bool) -> None:
    """DRS's "empty result" does not name the job: what comes after it need not be new."""
    freshness = Freshness(baseline=None, posted_at=T0, accepted_at=None)
    for at in (1.0, 2.0):
        freshness.judge(None, Instant(T0 + at), names_job=names_job)
    for at in (3.0, 4.0):
        worth = freshness.judge(COMPLETE, Instant(T0 + at))
    assert worth is (OURS if names_job else NOT_YET)


def test_fields_of_another_version_are_ignored() -> None:
    freshness = Freshness(COMPLETE, posted_at=T0, accepted_at=T0, started=True, why="lost", request_state="so")
    assert Freshness.from_dict({**freshness.to_dict(), "later": 1}) == freshness
