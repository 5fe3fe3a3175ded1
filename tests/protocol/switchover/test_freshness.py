from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_drs.protocol.polling import Instant
from airflow_provider_drs.protocol.switchover.freshness import CONFIRM_AFTER, Confidence, Freshness
from tests.constants import COMPLETE, FAILED, START, T0

FRESH, UNCONFIRMED, NOT_YET, UNDECIDABLE = (
    Confidence.FRESH,
    Confidence.UNCONFIRMED,
    Confidence.NOT_YET,
    Confidence.UNDECIDABLE,
)


def _rule(baseline: str | None = COMPLETE, accepted: bool = True, **more: Any) -> Freshness:
    given = {"settle": None, "decide_within": 60.0, "max_gap": 600.0, "empty_since": True, **more}
    return Freshness(baseline, T0, T0 if accepted else None, **given)


def _at(after: float, dated: bool = True) -> Instant:
    return Instant(T0 + after, 100.0 + after, T0 + after if dated else None)


Seen = tuple[float, str | None]


def _judge(rule: Freshness, *seen: Seen, again: bool = False) -> list[Confidence]:
    """Show the rule statuses; with ``again`` each to another process."""
    found = []
    for after, status in seen:
        at = _at(after)
        if again:
            rule = Freshness.from_dict(json.loads(json.dumps(rule.to_dict())))
            at = Instant(at.wall, after * 7.0, at.server)  # a monotonic clock of its own
        found.append(rule.judge(status, at))
    return found


BOTH = pytest.mark.parametrize("again", [False, True], ids=["one process", "a process a poll"])


@BOTH
@pytest.mark.parametrize(
    ("given", "seen", "expected"),
    [
        # Nothing rests on one read.
        ({}, [(1, START), (2, START), (9, COMPLETE), (10, COMPLETE)], [UNCONFIRMED, NOT_YET, UNCONFIRMED, FRESH]),
        ({}, [(1, FAILED), (2, FAILED)], [UNCONFIRMED, FRESH]),
        ({}, [(1, FAILED), (1.5, FAILED), (2, FAILED)], [UNCONFIRMED, UNCONFIRMED, FRESH]),
        ({}, [(1, START), (2, COMPLETE), (3, COMPLETE)], [UNCONFIRMED, NOT_YET, NOT_YET]),
        (
            {},
            [(1, START), (2, START), (3, COMPLETE), (4, START), (9, FAILED), (10, FAILED)],
            [UNCONFIRMED, NOT_YET, UNCONFIRMED, NOT_YET, UNCONFIRMED, FRESH],
        ),
        # In time, or the first read in time and the second soon after.
        ({}, [(59, START), (60, START), (500, COMPLETE), (501, COMPLETE)], [UNCONFIRMED, NOT_YET, UNCONFIRMED, FRESH]),
        ({}, [(59.5, START), (60.5, START)], [UNCONFIRMED, NOT_YET]),
        ({}, [(59.5, FAILED), (60.5, FAILED)], [UNCONFIRMED, FRESH]),
        ({}, [(59.5, START), (90, START)], [UNCONFIRMED, UNDECIDABLE]),
        ({}, [(61, START)], [UNDECIDABLE]),
        ({}, [(61, FAILED), (62, START), (63, START)], [UNDECIDABLE] * 3),
        ({"accepted": False}, [(59, START), (60, START)], [UNCONFIRMED, NOT_YET]),
        ({"accepted": False}, [(61, FAILED)], [UNDECIDABLE]),
        # After START, an end is ours unless nobody watched for too long.
        ({"started": True}, [(1, START), (600, COMPLETE), (601, COMPLETE)], [NOT_YET, UNCONFIRMED, FRESH]),
        ({"started": True}, [(1, START), (602, COMPLETE), (603, COMPLETE)], [NOT_YET, UNDECIDABLE, UNDECIDABLE]),
        # A baseline that is not known.
        ({"baseline": None, "empty_since": False}, [(1, COMPLETE), (2, COMPLETE)], [NOT_YET] * 2),
        ({"baseline": None, "empty_since": False}, [(1, START), (2, START)], [UNCONFIRMED, NOT_YET]),
        ({"baseline": None, "empty_since": False, "accepted": False}, [(1, START), (2, START)], [NOT_YET] * 2),
        (
            {"baseline": None, "empty_since": False},
            [(1, None), (2, None), (3, COMPLETE), (4, COMPLETE)],
            [NOT_YET, NOT_YET, UNCONFIRMED, FRESH],
        ),
        (
            {"baseline": None, "empty_since": False},
            [(1, None), (2, COMPLETE), (3, COMPLETE)],
            [NOT_YET, NOT_YET, NOT_YET],
        ),
        ({"baseline": None}, [(1, COMPLETE), (2, COMPLETE)], [UNCONFIRMED, FRESH]),
        ({"baseline": COMPLETE}, [(1, None), (2, None), (3, COMPLETE), (4, COMPLETE)], [NOT_YET] * 4),
    ],
)
def test_what_a_status_is_worth(
    given: dict[str, Any], seen: list[Seen], expected: list[Confidence], again: bool
) -> None:
    assert _judge(_rule(**given), *seen, again=again) == expected


@BOTH
@pytest.mark.parametrize(
    ("given", "seen", "last"),
    [
        ({}, [(0, COMPLETE), (15, COMPLETE), (30, COMPLETE)], FRESH),
        ({}, [(0, COMPLETE), (15, COMPLETE), (29, COMPLETE)], NOT_YET),
        ({}, [(0, COMPLETE), (30, COMPLETE)], FRESH),
        # By two polls at least, and without a gap.
        ({}, [(31, COMPLETE)], NOT_YET),
        ({}, [(0, COMPLETE), (31, COMPLETE)], NOT_YET),
        ({}, [(0, COMPLETE), (31, COMPLETE), (59, COMPLETE), (61, COMPLETE)], FRESH),
        ({}, [(0, COMPLETE), (15, START), (31, COMPLETE), (32, COMPLETE)], NOT_YET),
        # An unchanged FAILED never, and nothing where DRS did not accept.
        ({"baseline": FAILED}, [(0, FAILED), (15, FAILED), (31, FAILED), (59, FAILED)], NOT_YET),
        ({"baseline": FAILED}, [(0, FAILED), (15, FAILED), (31, FAILED), (61, FAILED)], UNDECIDABLE),
        ({"accepted": False}, [(0, COMPLETE), (15, COMPLETE), (31, COMPLETE)], NOT_YET),
        ({"settle": None}, [(0, COMPLETE), (15, COMPLETE), (31, COMPLETE)], NOT_YET),
        # It may be on its way when the time is up, but must not begin then.
        ({}, [(40, COMPLETE), (55, COMPLETE), (69, COMPLETE)], NOT_YET),
        ({}, [(40, COMPLETE), (55, COMPLETE), (70, COMPLETE)], FRESH),
        ({}, [(61, COMPLETE), (75, COMPLETE), (92, COMPLETE)], UNDECIDABLE),
        ({"settle": 90.0}, [(0, COMPLETE), (45, COMPLETE), (90, COMPLETE)], FRESH),
        ({"settle": 0.0}, [(0, COMPLETE)], NOT_YET),
        ({"settle": 0.0}, [(0, COMPLETE), (1, COMPLETE)], FRESH),
    ],
)
def test_an_unchanged_complete_is_trusted_once_it_has_been_seen_to_stand(
    given: dict[str, Any], seen: list[Seen], last: Confidence, again: bool
) -> None:
    assert _judge(_rule(**{"settle": 30.0, **given}), *seen, again=again)[-1] is last


@pytest.mark.parametrize("step", [-7200.0, 31.0, 7200.0])
def test_within_a_process_no_wall_clock_counts(step: float) -> None:
    rule = _rule(settle=30.0)
    for after, stepped in ((0.0, 0.0), (5.0, step), (20.0, step), (29.0, step)):
        assert rule.judge(COMPLETE, Instant(T0 + after + stepped, 100 + after)) is NOT_YET
    assert rule.judge(COMPLETE, Instant(T0 + 30 + step, 130.0)) is FRESH


@pytest.mark.parametrize(
    ("wall", "server", "last"),
    [(31.0, 31.0, FRESH), (31.0, 5.0, NOT_YET), (5.0, 31.0, NOT_YET), (-7200.0, 31.0, NOT_YET), (31.0, None, FRESH)],
)
def test_between_processes_what_has_stood_is_what_the_smaller_difference_says(
    wall: float, server: float | None, last: Confidence
) -> None:
    rule = _rule(settle=30.0, decide_within=1000.0, posted_by_server=T0)
    for after in (0.0, 20.0):
        rule.judge(COMPLETE, _at(after, dated=server is not None))
    rule = Freshness.from_dict(rule.to_dict())
    assert rule.judge(COMPLETE, Instant(T0 + wall, 700.0, None if server is None else T0 + server)) is last


@pytest.mark.parametrize(
    ("wall", "server", "last"),
    [
        *((5.0, 5.0, UNCONFIRMED), (61.0, 5.0, UNDECIDABLE), (5.0, 61.0, UNDECIDABLE), (5.0, None, UNCONFIRMED)),
        *((-7200.0, 5.0, UNCONFIRMED), (-7200.0, 61.0, UNDECIDABLE), (-7200.0, None, UNDECIDABLE)),
    ],
)
def test_between_processes_the_time_is_up_by_the_larger_difference(
    wall: float, server: float | None, last: Confidence
) -> None:
    rule = _rule(posted_by_server=T0)
    assert rule.judge(START, Instant(T0 + wall, 700.0, None if server is None else T0 + server)) is last


def test_the_gap_between_processes_is_the_larger_difference() -> None:
    for wall, server, last in ((5.0, 601.0, UNDECIDABLE), (601.0, 5.0, UNDECIDABLE), (600.0, 600.0, NOT_YET)):
        rule = _rule(started=True, watched=[T0, T0])
        assert rule.judge(START, Instant(T0 + wall, 1.0, T0 + server)) is last


def test_the_empty_result_says_nothing_either_way() -> None:
    rule = _rule(None, empty_since=False)
    for after in (1.0, 2.0, 3.0):
        assert rule.judge(None, _at(after), names_job=False) is NOT_YET
    assert rule.judge(COMPLETE, _at(4.0)) is NOT_YET
    assert rule.judge(COMPLETE, _at(5.0)) is NOT_YET
    # Nor does it stand between the two reads of a status.
    rule = _rule()
    seen = ((START, 1.0), (None, 2.0), (START, 3.0))
    found = [rule.judge(status, _at(after), names_job=status is not None) for status, after in seen]
    assert found == [UNCONFIRMED, NOT_YET, NOT_YET]
    assert rule.started


@pytest.mark.parametrize(
    ("given", "seen", "says", "never"),
    [
        ({}, COMPLETE, "DRS accepted it, and the status stands at SWITCH_VIP_COMPLETE as before", "lost"),
        ({}, FAILED, "stands at SWITCH_VIP_FAILED, with no START", "as before"),
        ({"accepted": False}, COMPLETE, "DRS's response to it was lost", "accepted"),
        (
            {"accepted": False, "request_state": "an earlier try was about to ask"},
            COMPLETE,
            "an earlier try was",
            "lost",
        ),
        ({"baseline": None, "empty_since": False}, COMPLETE, "nothing tells whether that is new", "as before"),
        ({"baseline": None, "empty_since": False}, None, "DRS says nothing now", "as before"),
    ],
)
def test_why_it_cannot_be_told(given: dict[str, Any], seen: str | None, says: str, never: str) -> None:
    rule = _rule(**given)
    assert rule.judge(seen, _at(61.0), names_job=False) is UNDECIDABLE
    assert says in rule.why
    assert never not in rule.why


def test_fields_of_other_versions_are_ignored() -> None:
    data = {**_rule().to_dict(), "of_a_later_version": 1}
    del data["seen"]
    assert Freshness.from_dict(data) == _rule()
    assert CONFIRM_AFTER == 1.0
