from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_drs.protocol.errors import DrsArgumentError, DrsRequestError
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply
from airflow_provider_drs.protocol.switchover.phases import (
    Phase,
)
from airflow_provider_drs.protocol.switchover.record import Record, found_already, freshness_of
from tests.constants import COMPLETE, FAILED, JOB, START, T0


def _accepted(baseline: str | None = None, known: bool = True) -> Record:
    record = Record(JOB, "target", began_at=T0)
    record.read(SwitchoverReply(JOB if known else None, baseline), [], T0 + 1)
    record.intend(T0 + 2, T0 + 1.5)
    record.accept(T0 + 3, T0 + 2.5)
    return record


def _end(outcome: str, status: str | None, *observed: str | None, **more: Any) -> dict[str, Any]:
    changes = [{"status": one, "at": f"at {place}"} for place, one in enumerate(observed)]
    seen = {"status": status, "error_code": None, "error_msg": None, "at": T0 + 9, "detection": 1.0}
    return {"outcome": outcome, "seen": {**seen, "observed": changes, **more}, "reason": more.get("reason")}


@pytest.mark.parametrize(
    ("event", "phase", "decided_by"),
    [
        (_end("done", COMPLETE, START, COMPLETE), Phase.DONE, "drs"),
        (_end("failed", FAILED, START, FAILED), Phase.FAILED, "drs"),
        (_end("undecided", START, START), Phase.UNKNOWN, None),
        ({"outcome": "error", "error": {}, "observed": [{"status": START, "at": "at 0"}]}, Phase.ACCEPTED, None),
    ],
)
def test_an_end_is_taken_as_its_event_has_it(event: dict[str, Any], phase: Phase, decided_by: str | None) -> None:
    record = _accepted()
    record.end(event)
    evidence = record.evidence()
    assert (evidence["outcome"], evidence["decided_by"]) == (str(phase), decided_by)
    assert [change["status"] for change in evidence["observed"]][:2] == [None, START]
    assert (evidence["finished_at"] is None) is (phase is Phase.ACCEPTED)


@pytest.mark.parametrize(
    ("seen_before", "told", "observed"),
    [
        ([], [START, COMPLETE], [None, START, COMPLETE]),
        ([START], [START, COMPLETE], [None, START, COMPLETE]),
        ([START], [START, None, START, COMPLETE], [None, START, None, START, COMPLETE]),
        ([None, START], [None, START, COMPLETE], [None, START, COMPLETE]),
        ([START, COMPLETE], [START, COMPLETE], [None, START, COMPLETE]),
    ],
)
def test_what_is_observed_is_in_order_and_ends_with_the_end(
    seen_before: list[str | None], told: list[str | None], observed: list[str | None]
) -> None:
    record = _accepted()

    def changes(statuses: list[str | None]) -> list[dict[str, Any]]:
        return [{"status": status, "at": f"at {place}"} for place, status in enumerate(statuses)]

    record.observe(changes(seen_before))
    record.observe(changes(told))
    record.observe(changes(told))
    assert [change["status"] for change in record.observed] == observed


def test_a_clock_that_is_set_back_comes_to_the_same_time_again() -> None:
    record = _accepted(COMPLETE)
    changes = [
        {"status": status, "at": at} for status, at in ((COMPLETE, "12:00"), (START, "12:01"), (COMPLETE, "12:00"))
    ]
    for number in (1, 2, 3, 3):
        record.observe(changes[:number])
    assert [change["status"] for change in record.observed] == [COMPLETE, START, COMPLETE]


def test_the_mode_of_what_was_joined_is_not_known() -> None:
    record = Record(JOB, "target", began_at=T0)
    record.read(SwitchoverReply(JOB, START), [], T0)
    record.join()
    evidence = record.evidence()
    assert (evidence["mode"], evidence["attached"], evidence["started"]) == (None, True, True)
    assert evidence["posted_at"] is evidence["accepted_at"] is None


def test_what_never_left_was_not_asked() -> None:
    record = Record(JOB, "target", began_at=T0)
    record.read(SwitchoverReply(JOB, None), [], T0)
    record.intend(T0)
    record.unsend("no connection")
    assert (record.phase, record.posted_at, record.reason) == (Phase.READ, None, "no connection")


def test_a_refusal_has_its_code_and_what_is_read_anew_has_not() -> None:
    record = Record(JOB, "target", began_at=T0)
    record.read(SwitchoverReply(JOB, None), [], T0)
    record.intend(T0)
    record.refuse(DrsRequestError("no", error_code="DRS.M01504", error_msg="busy"), T0 + 1)
    assert (record.phase, record.error_code, record.error_msg) == (Phase.REFUSED, "DRS.M01504", "busy")
    record.read(SwitchoverReply(JOB, COMPLETE), [], T0 + 2)
    assert (record.error_code, record.posted_at, record.finished_at) == (None, None, None)
    assert record.baseline == COMPLETE


@pytest.mark.parametrize(
    ("phase", "after", "unsure"),
    [
        (Phase.INTENDED, Phase.LOST, True),
        (Phase.LOST, Phase.LOST, False),
        (Phase.UNKNOWN, Phase.LOST, False),
        (Phase.DISPUTED, Phase.LOST, False),
        (Phase.ACCEPTED, Phase.ACCEPTED, False),
    ],
)
def test_a_further_try_resumes(phase: Phase, after: Phase, unsure: bool) -> None:
    record = Record(JOB, "target", phase, posted_at=T0)
    record.resume(7)
    assert (record.phase, record.unsure, record.max_tries) == (after, unsure, 7)
    assert bool(record.freshness().why) is (phase is Phase.DISPUTED)
    record.resume(8)
    assert record.unsure is unsure, "it stays so"


def test_a_doubt_is_no_record() -> None:
    record = Record(JOB, "target")
    record.doubt("nothing tells")
    assert record.is_doubt
    assert not _accepted().is_doubt
    assert not Record(JOB, "target", Phase.UNKNOWN, posted_at=T0).is_doubt
    assert not Record(JOB, "target", Phase.UNKNOWN, attached=True).is_doubt


def test_it_is_plain_json_and_comes_back_whole() -> None:
    record = _accepted(COMPLETE)
    record.end(_end("done", COMPLETE, START, COMPLETE))
    record.earlier = [record.evidence()]
    data = json.loads(json.dumps(record.to_dict()))
    assert Record.from_dict(data) == record
    assert json.loads(json.dumps(record.evidence())) == record.evidence()
    assert Record.from_dict({**data, "of_a_later_version": 1}) == record


def test_a_record_of_an_earlier_version() -> None:
    """Version 0.2 had ``who``, and neither ``started`` nor ``order``."""
    old = {"job_id": JOB, "mode": "target", "phase": "accepted", "posted_at": T0, "who": {"task_id": "t"}}
    record = Record.from_dict({**old, "observed": [{"status": START, "at": "then"}]})
    assert (record.actor, record.order, record.freshness().started) == ({"task_id": "t"}, 0, True)
    assert not Record.from_dict({**old, "observed": [{"status": COMPLETE, "at": "then"}]}).freshness().started


@pytest.mark.parametrize("baseline", [None, COMPLETE])
@pytest.mark.parametrize("known", [True, False])
def test_the_evidence_tells_a_sensor_what_the_record_tells_the_operator(baseline: str | None, known: bool) -> None:
    record = _accepted(baseline, known)
    assert record.baseline_known is known
    # Its times are those of JSON, to the microsecond.
    assert freshness_of(json.loads(json.dumps(record.evidence()))) == record.freshness()


@pytest.mark.parametrize(
    "evidence",
    [
        *(None, 7, "text", [], {}, {"outcome": "accepted"}),
        Record(JOB, "target", Phase.READ).evidence(),
        Record(JOB, "target", Phase.REFUSED, posted_at=T0).evidence(),
        Record(JOB, "target", Phase.INTENDED, posted_at=T0).evidence(),
        Record(JOB, "target", Phase.UNKNOWN).evidence(),
        {**_accepted().evidence(), "posted_at": "yesterday"},
    ],
)
def test_what_is_no_evidence_of_a_switchover(evidence: Any) -> None:
    with pytest.raises(DrsArgumentError, match="is not the XCom of a DrsSwitchoverOperator"):
        freshness_of(evidence)


def test_where_traffic_was_there_already_nothing_is_waited_for() -> None:
    record = Record(JOB, "target")
    record.read(SwitchoverReply(JOB, COMPLETE), [], T0)
    record.find(T0 + 1)
    evidence = record.evidence()
    at = evidence["finished_at"]
    told = {"job_id": JOB, "status": COMPLETE, "first_polled_at": at, "done_at": at, "polls": 0}
    assert found_already(evidence) == told
    for other in (None, 7, {}, _accepted().evidence(), {**evidence, "outcome": "read"}):
        assert found_already(other) is None
    for broken in ({"outcome": "already"}, {**evidence, "finished_at": None}, {**evidence, "finished_at": "soon"}):
        with pytest.raises(DrsArgumentError, match="is not the XCom of a DrsSwitchoverOperator"):
            found_already(broken)


def test_it_knows_how_long_things_took() -> None:
    record = _accepted()
    record.end(_end("done", COMPLETE, START, COMPLETE))
    assert record.evidence()["seconds"] == {"guards": 1.0, "switchover": 7.0, "detection": 1.0}
