from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import chain, product, repeat
from typing import Any

import pytest

from airflow_provider_drs.protocol.polling import Outcome
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply
from airflow_provider_drs.protocol.switchover.phases import Phase
from airflow_provider_drs.protocol.switchover.record import Record
from airflow_provider_drs.protocol.switchover.witness import (
    AT_END,
    AT_START,
    ENDS_AT_END,
    ENDS_AT_START,
    Look,
    Side,
    ask_witness,
    end_with_witness,
    look_later,
    word_at_start,
)
from tests.clock import FakeClock
from tests.constants import COMPLETE, FAILED, JOB, START, T0

B, A, N = Side.BEFORE, Side.AFTER, Side.NOBODY
VALUES = {B: "db-1", A: "db-2", N: None}
STATUS = {Outcome.DONE: COMPLETE, Outcome.FAILED: FAILED, Outcome.UNDECIDED: START}


class Address:
    """Who answers at the address, look by look; the last one stays.

    :param takes: seconds that a look takes.
    """

    def __init__(self, *sides: Side, takes: float = 0.0) -> None:
        self.clock = FakeClock(T0)
        self.sides = chain(sides, repeat(sides[-1]))
        self.takes = takes
        self.at: list[float] = []

    def look(self) -> Look:
        self.at.append(self.clock.now)
        self.clock.now += self.takes
        side = next(self.sides)
        return Look(side, VALUES[side], self.clock.now)

    def monotonic(self) -> float:
        return self.clock.now

    def sleep(self, seconds: float) -> None:
        self.clock.now += seconds


@pytest.mark.parametrize(
    ("sides", "ends", "side", "looks"),
    [
        ((B,), ENDS_AT_START, B, 2),
        ((A,), ENDS_AT_START, A, 2),
        ((N,), ENDS_AT_START, N, 2),
        ((B, A), ENDS_AT_START, A, 3),
        ((B, N, B), ENDS_AT_START, B, 4),
        ((B, A) * 40, ENDS_AT_START, N, 61),
        ((A,), ENDS_AT_END, A, 2),
        ((B, N, N, A), ENDS_AT_END, A, 5),
        ((A, B, A, A), ENDS_AT_END, A, 4),
        ((B,), ENDS_AT_END, B, 61),
        ((N,), ENDS_AT_END, N, 61),
        ((*[N] * 59, B), ENDS_AT_END, B, 61),
        ((*[B] * 60, N), ENDS_AT_END, N, 61),
        ((*[B] * 60, A), ENDS_AT_END, N, 61),
        ((B, A, B), ENDS_AT_END, B, 61),
    ],
)
def test_one_look_is_never_believed(sides: tuple[Side, ...], ends: Collection[Side], side: Side, looks: int) -> None:
    address = Address(*sides)
    look = ask_witness(address, ends, 60)
    assert (look.side, len(address.at)) == (side, looks)
    assert all(later - one >= 1.0 for one, later in zip(address.at, address.at[1:], strict=False))


@pytest.mark.parametrize(("within", "takes", "most"), [(60, 10, 80), (0, 10, 21), (0, 0, 1), (60, 0, 61)])
def test_the_looking_ends_in_time(within: float, takes: float, most: float) -> None:
    address = Address(N, takes=takes)
    ask_witness(address, ENDS_AT_END, within)
    assert address.clock.now - T0 <= most
    assert len(address.at) >= 2


def test_two_looks_that_differ_are_both_told() -> None:
    look = ask_witness(Address(B, A), ENDS_AT_START, 0)
    assert str(look) == "not the same twice: before (db-1), then after (db-2)"


@pytest.mark.parametrize(
    ("look", "found"),
    [
        (Look(B, "db-1"), (True, "before (db-1)")),
        (Look(B), (True, "before")),
        (Look(A, "db-2"), (False, "traffic is at db-2 already")),
        (Look(A), (False, "traffic is at after already")),
        (Look(N), (False, "nobody answers")),
        (Look(N, "db-3", problem="neither 'db-1' nor 'db-2' answers, but 'db-3'"),
         (False, "neither 'db-1' nor 'db-2' answers, but 'db-3'")),
    ],
)  # fmt: skip
def test_before_drs_is_asked(look: Look, found: tuple[bool, str]) -> None:
    assert word_at_start(look) == found


def _accepted() -> Record:
    record = Record(JOB, "target", began_at=T0)
    record.read(SwitchoverReply(JOB, None), [], T0)
    record.intend(T0)
    record.accept(T0)
    return record


def _lost() -> Record:
    record = Record(JOB, "target", began_at=T0)
    record.read(SwitchoverReply(JOB, None), [], T0)
    record.intend(T0)
    record.lose("a reset")
    return record


def _event(outcome: Outcome) -> dict[str, Any]:
    seen = {"status": STATUS[outcome], "error_code": None, "error_msg": None, "at": T0 + 9, "detection": 1.0}
    reason = "nothing tells" if outcome is Outcome.UNDECIDED else None
    return {"outcome": str(outcome), "reason": reason, "seen": {**seen, "observed": []}}


ROWS = {
    (Outcome.DONE, A): (Phase.DONE, "drs", None),
    (Outcome.DONE, B): (Phase.DISPUTED, None, "is complete, but at the virtual IP address: before (db-1)"),
    (Outcome.DONE, N): (Phase.DISPUTED, None, "is complete, but at the virtual IP address: nobody answers"),
    (Outcome.FAILED, B): (Phase.FAILED, "drs", None),
    (Outcome.FAILED, A): (Phase.FAILED, "drs", None),
    (Outcome.FAILED, N): (Phase.DISPUTED, None, "failed, and nobody tells where traffic is: nobody answers"),
    (Outcome.UNDECIDED, A): (Phase.DONE, "witness", "nothing tells; at the virtual IP address now: after (db-2)"),
    (Outcome.UNDECIDED, B): (Phase.UNKNOWN, None, "nothing tells; at the virtual IP address now: before (db-1)"),
    (Outcome.UNDECIDED, N): (Phase.UNKNOWN, None, "nothing tells; at the virtual IP address now: nobody answers"),
}


@pytest.mark.parametrize("make", [_accepted, _lost])
@pytest.mark.parametrize(("words", "end"), ROWS.items())
def test_what_both_words_come_to(
    words: tuple[Outcome, Side], end: tuple[Phase, str | None, str | None], make: Callable[[], Record]
) -> None:
    record = make()
    outcome, side = words
    end_with_witness(record, _event(outcome), Address(side), 60)
    phase, decided_by, reason = end
    evidence = record.evidence()
    assert (record.phase, evidence["decided_by"]) == (phase, decided_by)
    assert (evidence["status"], evidence["finished_at"] is None) == (STATUS[outcome], False)
    assert evidence["reason"] == reason if reason is None else reason in evidence["reason"]
    witness = evidence["witness"]
    assert (witness["at_start"], witness["decided"]) == (None, decided_by == "witness")
    told = {"side": None if side is N else str(side), "value": VALUES[side]}
    assert {name: witness["at_end"][name] for name in told} == told
    assert witness["at_end"]["at"].startswith("20")


def test_the_tables_have_every_word() -> None:
    ends = (Outcome.DONE, Outcome.FAILED, Outcome.UNDECIDED)
    assert AT_END.keys() == ROWS.keys() == set(product(ends, Side))
    assert AT_START.keys() == set(Side)


def test_an_error_leaves_it_open_and_nobody_is_asked() -> None:
    record, address = _accepted(), Address(A)
    end_with_witness(record, {"outcome": "error", "error": {}}, address, 60)
    assert (record.phase, record.witness, address.at) == (Phase.ACCEPTED, None, [])


def test_a_record_of_an_earlier_version_has_no_witness() -> None:
    stored = _accepted().to_dict()
    del stored["witness"]
    assert Record.from_dict(stored).evidence()["witness"] is None


@pytest.mark.parametrize(
    ("outcome", "known", "later", "side", "looks"),
    [
        ("disputed", None, (N, A), "after", 3),
        ("disputed", None, (N, B), "before", 3),
        ("disputed", None, (N,), None, 61),
        ("disputed", None, (A, B) * 40, None, 61),
        ("disputed", "before", (A,), "before", 0),
        ("unknown", None, (A,), "after", 2),
        # It may still run.
        ("unknown", None, (B,), None, 61),
        *((outcome, None, (A,), None, 0) for outcome in ("begun", "intended", "accepted", "lost", "failed", None)),
    ],
)
def test_what_can_be_told_later(
    outcome: str | None, known: str | None, later: tuple[Side, ...], side: str | None, looks: int
) -> None:
    address = Address(*later)
    before = {"side": known, "value": known, "at": None}
    evidence = {"outcome": outcome, "witness": {"at_start": before, "at_end": before, "decided": False}}
    told = look_later(evidence, address, 60)
    assert (told["witness"]["at_end"]["side"], len(address.at)) == (side, looks)
    assert {**told, "witness": {**told["witness"], "at_end": before}} == evidence


def test_where_the_evidence_has_no_witness_it_can_be_told_too() -> None:
    assert look_later({"outcome": "disputed"}, Address(A), 60)["witness"]["at_end"]["side"] == "after"
    assert look_later({}, Address(A), 60) == {}
