"""What the gate and the end of a cutover make of what they find, without a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_drs.cutover_results import Situation, decide, with_decision
from airflow_provider_drs.protocol.switchover.phases import Phase
from tests.airflow.cutovers import evidence

SWITCHOVER = "cutover.switchover"
OUTCOMES = sorted({*Phase, "begun", "something new"})
STATES = ("success", "failed", "skipped", "upstream_failed", "removed", "running", "not known", None)
WELL = {"check": "success"}
NOT_WELL = {"check": "failed", "other": "success"}


def _own(outcome: str = "done", minute: int | None = 1, **more: Any) -> dict[str, Any]:
    return evidence(SWITCHOVER, outcome, minute, **more)


def _found(outcome: str | None, state: str | None, verification: dict[str, Any], **more: Any) -> Situation:
    own = _own(outcome) if outcome else {}
    return Situation(SWITCHOVER, own, state, more.pop("last", own or None), verification)


@pytest.mark.parametrize("verification", [{}, WELL, NOT_WELL, {"check": "upstream_failed"}], ids=str)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("outcome", [*OUTCOMES, None])
def test_only_what_is_certain_is_rolled_back(
    outcome: str | None, state: str | None, verification: dict[str, str]
) -> None:
    roll_back, reason = decide(_found(outcome, state, verification))
    failed = outcome == "failed" and state == "failed"
    not_verified = outcome == "done" and state in ("success", "failed") and verification == NOT_WELL
    assert roll_back is (failed or not_verified)
    assert "\n" not in reason
    if not roll_back and outcome in ("intended", "accepted", "lost", "unknown", "something new"):
        assert "a person decides" in reason
    assert ("nothing was changed" in reason) is (outcome in ("begun", "read", "already", "refused"))
    assert ("there was no switchover" in reason) is (outcome is None and state in (None, "upstream_failed"))
    if outcome is None and state not in (None, "upstream_failed"):
        assert "a person must look" in reason


@dataclass
class Sent:
    """What a gate finds, and its decision."""

    name: str
    roll_back: bool
    says: str
    own: dict[str, Any] = field(default_factory=_own)
    state: str = "success"
    verification: dict[str, str | None] = field(default_factory=lambda: dict(NOT_WELL))
    last: dict[str, Any] | None = None


ROWS = [
    Sent("not verified", True, "complete, and of its verification check failed"),
    Sent("verified", False, "no task of its verification failed", verification=dict(WELL)),
    Sent("no verification", False, "no task of its verification failed", verification={}, state="failed"),
    Sent("one still runs", False, "{'b': 'running'} have not ended", verification={"a": "failed", "b": "running"}),
    Sent("one has no state yet", False, "have not ended", verification={"a": "failed", "b": None}),
    Sent("one is not known", False, "have not ended", verification={"a": "failed", "b": "not known"}),
    Sent("one was retried", False, "have not ended", verification={"a": "up_for_retry"}),
    Sent("failed", True, "DRS reports that the switchover failed", own=_own("failed"), state="failed"),
    *(
        Sent(
            f"failed, and {side} serves", rolls_back, says, _own("failed", witness={"at_end": {"side": side}}), "failed"
        )
        for side, rolls_back, says in (
            ("before", False, "traffic never left"),
            ("after", True, "DRS reports that the switchover failed"),
            (None, True, "DRS reports that the switchover failed"),
        )
    ),
    Sent("disputed", False, "a person decides", own=_own("disputed"), state="failed"),
    Sent("there already", False, "nothing was changed", own=_own("already")),
    Sent(
        "failed, and marked success",
        False,
        "'failed', and a person has marked cutover.switchover success",
        own=_own("failed"),
    ),
    Sent("unknown, and marked success", False, "a person has marked", own=_own("unknown")),
    Sent("unknown, decided by a person", False, "a person", own=_own("unknown", decided_by="person"), state="failed"),
    Sent("done, decided by a person", False, "a person", own=_own(decided_by="person")),
    Sent("joined", False, "had not asked for", own=_own(mode=None, attached=True)),
    Sent(
        "rolled back already",
        False,
        "cutover.switchover is not the last switchover of this run, that of task back (mode source, outcome done, "
        "asked for at 2026-11-23T12:05:00+00:00) is",
        last=evidence("back", minute=5, mode="source"),
    ),
    Sent("a rollback that failed", False, "not the last", last=evidence("back", "failed", 5)),
    Sent("a rollback nobody knows of", False, "not the last", last=evidence("back", "unknown", 5)),
    Sent(
        "failed, rolled back, cleared, switched again",
        True,
        "of its verification check failed",
        own=_own(minute=9, earlier=[_own("failed", 1)]),
    ),
    Sent("the same, joined by another task", True, "failed", last=evidence("b", minute=None, attached=True)),
    Sent(
        "a stranger's, joined later",
        False,
        "that of task b (mode None, outcome done)",
        last=evidence("b", minute=None, attached=True, mode=None, accepted_at="2026-11-23T12:30:00+00:00"),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_gate(row: Sent) -> None:
    found = Situation(SWITCHOVER, row.own, row.state, row.last or row.own, row.verification)
    roll_back, reason = decide(found)
    assert (roll_back, row.says in reason) == (row.roll_back, True), reason


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_whose_word_it_is(outcome: str, state: str | None) -> None:
    found = _own(outcome, decided_by="drs")
    told = with_decision(found, state)
    person = state == "success" and outcome not in ("done", "already")
    assert told == {**found, "decided_by": "person" if person else "drs"}
    assert found["decided_by"] == "drs", "it is not changed in place"
