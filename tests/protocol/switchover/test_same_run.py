from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_drs.protocol.polling import utc
from airflow_provider_drs.protocol.switchover.phases import Phase
from airflow_provider_drs.protocol.switchover.record import Record
from airflow_provider_drs.protocol.switchover.same_run import (
    SameRun,
    may_have_switched,
    order_of,
    progress_of,
    same_run,
    when,
)
from tests.constants import JOB, T0

ME = ("me", -1)


def _left(task: str, phase: Phase, order: int, at: float = 0.0, index: int | None = -1) -> dict[str, Any]:
    record = Record(JOB, "target", phase, posted_at=T0 + at, order=order)
    return {**record.evidence(), "task_id": task, "map_index": index}


def _mine(phase: Phase, order: int, at: float = 0.0) -> Record:
    return Record(JOB, "target", phase, posted_at=T0 + at, order=order)


DOUBT = {**Record(JOB, "target", Phase.UNKNOWN).evidence(), "task_id": "lost", "map_index": -1}


@pytest.mark.parametrize(
    ("found", "saved", "expected"),
    [
        ([], None, SameRun("", "", 1)),
        ([], _mine(Phase.DONE, 4), SameRun("", "", 5)),
        ([_left("me", Phase.ACCEPTED, 3)], None, SameRun("", "", 4)),
        # Of its own under which nothing was asked: free again.
        ([], _mine(Phase.BEGUN, 1), SameRun("", "", 1)),
        ([], _mine(Phase.READ, 4), SameRun("", "", 4)),
        ([], _mine(Phase.REFUSED, 4), SameRun("", "", 5)),
        ([_left("a", Phase.DONE, 4)], _mine(Phase.READ, 4), SameRun("", "", 5)),
        ([_left("a", Phase.DONE, 1)], None, SameRun("", "", 2)),
        ([_left("a", Phase.DONE, 1), _left("b", Phase.FAILED, 2)], _mine(Phase.DONE, 3), SameRun("", "", 4)),
        ([_left("a", Phase.DONE, 2)], _mine(Phase.DONE, 1), SameRun("", "a", 3)),
        ([_left("a", Phase.DONE, 2), _left("b", Phase.FAILED, 3)], _mine(Phase.DONE, 1), SameRun("", "b", 4)),
        # Whatever the clocks say.
        ([_left("a", Phase.DONE, 2, -7200)], _mine(Phase.DONE, 1), SameRun("", "a", 3)),
        ([_left("a", Phase.DONE, 1, 7200)], _mine(Phase.DONE, 2), SameRun("", "", 3)),
        # Up to 0.2 they were not numbered: then the clock tells.
        ([_left("a", Phase.DONE, 0, 5)], _mine(Phase.DONE, 0), SameRun("", "a", 1)),
        ([_left("a", Phase.DONE, 0, -5)], _mine(Phase.DONE, 0), SameRun("", "", 1)),
        ([_left("a", Phase.DONE, 0, 5)], _mine(Phase.DONE, 1), SameRun("", "", 2)),
        # Two tasks that did not see each other.
        ([_left("a", Phase.DONE, 1, 5)], _mine(Phase.DONE, 1), SameRun("", "a", 2)),
        *(
            ([_left("a", phase, 1)], None, SameRun("a", "", 2))
            for phase in (Phase.INTENDED, Phase.ACCEPTED, Phase.LOST, Phase.UNKNOWN)
        ),
        ([_left("a", Phase.ACCEPTED, 1, index=3)], None, SameRun("a[3]", "", 2)),
        ([_left("a", Phase.ACCEPTED, 1, index=None)], None, SameRun("a", "", 2)),
        ([_left("me", Phase.ACCEPTED, 1, index=3)], None, SameRun("me[3]", "", 2)),
        # Of which nothing is known, may have been last.
        ([DOUBT], _mine(Phase.DONE, 1), SameRun("lost", "lost", 2)),
        ([DOUBT, _left("a", Phase.DONE, 2)], _mine(Phase.DONE, 1), SameRun("lost", "lost", 3)),
    ],
)
def test_what_others_have_done(found: list[dict[str, Any]], saved: Record | None, expected: SameRun) -> None:
    assert same_run(found, ME, saved) == same_run(found[::-1], ME, saved) == expected


def test_it_does_not_look_at_itself() -> None:
    """But at what it has done before: the number goes on."""
    assert same_run([_left("me", Phase.UNKNOWN, 5, 9)], ME, _mine(Phase.DONE, 1)) == SameRun("", "", 6)


@pytest.mark.parametrize("phase", Phase)
def test_what_has_not_switched_for_certain(phase: Phase) -> None:
    assert may_have_switched(Record(JOB, "target", phase).evidence()) is (
        phase not in ("begun", "read", "already", "refused")
    )
    assert may_have_switched({})


def test_the_newer_of_two_evidences_of_a_task() -> None:
    """A refusal that was asked again is older than the intent of the next number."""
    in_order = [
        *(_left("me", Phase.REFUSED, 1, 1), _left("me", Phase.LOST, 1, 1), _left("me", Phase.ACCEPTED, 1, 1)),
        *(_left("me", Phase.DONE, 1, 1), _left("me", Phase.INTENDED, 5, 2), _left("me", Phase.UNKNOWN, 5, 2)),
    ]
    assert [progress_of(one) for one in in_order] == sorted({progress_of(one) for one in in_order})
    assert progress_of(_left("me", Phase.READ, 1, 1)) == progress_of(_left("me", Phase.INTENDED, 1, 1))


def test_when_is_when_it_was_asked_or_first_seen() -> None:
    record = Record(JOB, "target", finished_at=T0 + 4)
    assert when(record.evidence()) == utc(T0 + 4)
    record.observed = [{"status": None, "at": utc(T0 + 3)}]
    assert when(record.evidence()) == utc(T0 + 3)
    record.accepted_at = T0 + 2
    assert when(record.evidence()) == utc(T0 + 2)
    record.posted_at = T0 + 1
    assert when(record.evidence()) == utc(T0 + 1)
    assert order_of(record.evidence()) == (0, utc(T0 + 1))
    assert when({}) == ""
