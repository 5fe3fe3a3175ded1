"""The record of a switchover: which phase follows from which step, and that it comes back from the store as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from airflow_provider_drs.protocol.errors import DrsArgumentError, DrsError
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply
from airflow_provider_drs.protocol.switchover.record import (
    OPEN,
    TRANSITIONS,
    UNCHANGED,
    IllegalTransitionError,
    Phase,
    Record,
    Step,
    freshness_of,
)
from tests.constants import COMPLETE, FAILED, JOB, START, T0

SEEN: dict[str, Any] = {
    **{"status": COMPLETE, "error_code": None, "error_msg": None, "at": T0 + 9, "detection": 5.0, "progress": None},
    "observed": [],
}
TAKE: dict[Step, Callable[[Record], None]] = {
    Step.READ: lambda record: record.read(SwitchoverReply(JOB, None), [], T0),
    Step.INTEND: lambda record: record.intend(T0),
    Step.UNSEND: lambda record: record.unsend("no connection"),
    Step.JOIN: lambda record: record.join(),
    Step.DOUBT: lambda record: record.doubt("nobody knows"),
    Step.ACCEPT: lambda record: record.accept(T0),
    Step.LOSE: lambda record: record.lose("cut"),
    Step.REFUSE: lambda record: record.refuse(DrsError("no"), T0),
    Step.RESUME: lambda record: record.resume(1),
    Step.SHOW: lambda record: record.show(),
    Step.COMPLETE: lambda record: record.end({"outcome": "done", "seen": SEEN}),
    Step.FAIL: lambda record: record.end({"outcome": "failed", "seen": SEEN}),
    Step.GIVE_UP: lambda record: record.end({"outcome": "undecided", "reason": "late", "seen": SEEN}),
}
# What follows, step by step. A line that is missing here must not be possible.
FOLLOWS = {
    Step.READ: {"begun": "read", "read": "read", "refused": "read"},
    Step.DOUBT: {"begun": "unknown", "read": "unknown"},
    Step.INTEND: {"read": "intended"},
    Step.JOIN: {"read": "accepted"},
    Step.UNSEND: {"intended": "read"},
    Step.ACCEPT: {"intended": "accepted"},
    Step.LOSE: {"intended": "lost"},
    Step.REFUSE: {"intended": "refused"},
    Step.RESUME: {"intended": "lost", "accepted": "accepted", "lost": "lost", "unknown": "lost"},
    Step.SHOW: {"accepted": "accepted", "lost": "accepted"},
    Step.COMPLETE: {"accepted": "done", "lost": "done"},
    Step.FAIL: {"accepted": "failed", "lost": "failed"},
    Step.GIVE_UP: {"accepted": "unknown", "lost": "unknown"},
}


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("step", Step, ids=lambda step: step.name)
def test_what_follows(step: Step, phase: Phase) -> None:
    record = Record(JOB, "target", phase=phase)
    before = deepcopy(record)
    follows = FOLLOWS[step].get(str(phase))
    if follows is None:
        with pytest.raises(IllegalTransitionError, match=f"{step.name} cannot follow the phase {phase}"):
            TAKE[step](record)
        assert record == before, "and nothing was noted"
    else:
        TAKE[step](record)
        assert record.phase == follows


def test_the_table_says_no_more() -> None:
    assert {(step, str(phase), str(after)) for (phase, step), after in TRANSITIONS.items()} == {
        (step, phase, after) for step, rows in FOLLOWS.items() for phase, after in rows.items()
    }


def test_only_what_was_not_asked_for_or_was_refused_has_changed_nothing() -> None:
    assert {Phase.BEGUN, Phase.READ, Phase.REFUSED} == UNCHANGED
    assert {Phase.INTENDED, Phase.ACCEPTED, Phase.LOST, Phase.UNKNOWN} == OPEN
    asks = [phase for phase, step in TRANSITIONS if step in (Step.INTEND, Step.UNSEND)]
    assert {Phase.READ, Phase.INTENDED} == set(asks), "DRS is asked behind guards, and an intent only is taken back"


def _accepted(**more: Any) -> Record:
    record = Record(JOB, "target", began_at=T0, settle=None, decide_within=60.0, **more)
    record.read(SwitchoverReply(JOB, None), [{"name": "lag_seconds", "ok": True}], T0 + 1)
    record.intend(T0 + 2, server=T0 + 1.5)
    record.accept(T0 + 3)
    return record


def test_it_comes_back_from_the_store_as_it_was() -> None:
    record = _accepted(max_tries=2, actor={"dag_id": "d"}, approvals=[{"by": "me"}], earlier=[{"outcome": "failed"}])
    record.observe([{"status": START, "at": "t"}])
    assert Record.from_dict({**json.loads(json.dumps(record.to_dict())), "of a later version": 1}) == record


def test_an_unknown_phase_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="paused"):
        Record.from_dict({"job_id": JOB, "mode": "target", "phase": "paused"})


def test_reading_again_forgets_what_was_refused() -> None:
    record = _accepted()
    record.phase = Phase.INTENDED
    record.refuse(DrsError("no", error_code="DRS.M01503"), T0 + 4)
    assert (record.error_code, record.finished_at) == ("DRS.M01503", T0 + 4)
    record.read(SwitchoverReply(None, COMPLETE), [], T0 + 5)
    assert (record.error_code, record.finished_at, record.posted_at) == (None, None, None)
    assert (record.baseline, record.baseline_known) == (COMPLETE, False)


def test_an_intent_whose_worker_died_stays_doubtful() -> None:
    record = _accepted()
    record.phase = Phase.INTENDED
    record.resume(1)
    record.resume(1)
    assert record.unsure
    assert "nothing tells whether it did" in record.freshness().request_state


def test_what_is_observed_again_is_not_added_again() -> None:
    record = _accepted()
    changes = [*record.observed, {"status": START, "at": "a"}]
    record.observe(changes)
    record.observe([*changes, {"status": START, "at": "b"}, {"status": COMPLETE, "at": "c"}])
    assert [change["status"] for change in record.observed] == [None, START, COMPLETE]


@pytest.mark.parametrize(("outcome", "phase"), [("done", "done"), ("failed", "failed"), ("undecided", "unknown")])
def test_the_end_of_a_wait(outcome: str, phase: str) -> None:
    record = _accepted()
    record.end({"outcome": outcome, "reason": "late", "seen": {**SEEN, "error_code": "DRS.M9"}})
    evidence = record.evidence()
    assert (evidence["outcome"], evidence["status"], evidence["error_code"]) == (phase, COMPLETE, "DRS.M9")
    assert evidence["decided_by"] == (None if phase == "unknown" else "drs")
    assert evidence["seconds"] == {"guards": 1.0, "switchover": 7.0, "detection": 5.0}


def test_an_error_leaves_the_switchover_open() -> None:
    record = _accepted()
    record.end({"outcome": "error", "error": {}, "observed": [{"status": START, "at": "a"}]})
    assert record.phase is Phase.ACCEPTED
    assert record.observed[-1]["status"] == START


def test_the_mode_of_what_was_joined_is_not_known() -> None:
    record = Record(JOB, "target")
    record.read(SwitchoverReply(JOB, START), [], T0)
    record.join()
    assert (record.evidence()["mode"], record.evidence()["posted_at"]) == (None, None)
    assert freshness_of(record.evidence()).started


def test_the_evidence_tells_a_sensor_which_switchover_is_meant() -> None:
    record = _accepted()
    for phase in ("accepted", "lost", "done", "failed", "unknown"):
        found = freshness_of(json.loads(json.dumps({**record.evidence(), "outcome": phase})))
        assert (found.baseline, found.posted_at, found.accepted_at) == (None, T0 + 2, T0 + 3)
        assert (found.decide_within, found.settle, found.empty_since) == (60.0, None, True)


@pytest.mark.parametrize(
    "evidence",
    [
        None, "text", {}, [], {"outcome": "done"},
        *({**_accepted().evidence(), "outcome": outcome} for outcome in ("begun", "read", "intended", "refused", "?")),
        {**_accepted().evidence(), "posted_at": None},
        {**_accepted().evidence(), "posted_at": "yesterday"},
        {**_accepted().evidence(), "observed": None, "started": None},
    ],
)  # fmt: skip
def test_what_is_no_evidence_of_a_switchover(evidence: Any) -> None:
    with pytest.raises(DrsArgumentError, match="is not the XCom of a DrsSwitchoverOperator that has switched"):
        freshness_of(evidence)


def test_without_a_flag_what_was_observed_tells_whether_it_has_begun() -> None:
    """Records up to 0.2."""
    for status, started in ((START, True), (FAILED, False), (None, False)):
        record = _accepted()
        record.started = None
        record.observe([{"status": status, "at": "a"}])
        assert record.freshness().started is started
