"""What the word of a witness comes to: who answers at the virtual IP address. The only place that decides it.

DRS's word tells what DRS believes it has done, the witness where traffic is. Neither is believed on one look.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from airflow_provider_drs.protocol.errors import Json
from airflow_provider_drs.protocol.polling import Outcome, utc
from airflow_provider_drs.protocol.switchover.freshness import CONFIRM_AFTER
from airflow_provider_drs.protocol.switchover.phases import Phase, Step
from airflow_provider_drs.protocol.switchover.record import Record


class Side(StrEnum):
    """Who answers at the address, by the words of the user."""

    BEFORE = "before"
    AFTER = "after"
    NOBODY = "nobody"


@dataclass(frozen=True)
class Look:
    """One look at the address.

    :param side: who answered; an answer that is neither ``before`` nor ``after`` counts as nobody's.
    :param value: what was answered, as text; None where nothing was.
    :param at: when, seconds since the epoch.
    :param problem: what was wrong with the answer, "" for nothing.
    """

    side: Side
    value: str | None = None
    at: float = 0.0
    problem: str = ""

    def to_dict(self) -> Json:
        """Return the look as the evidence has it: ``{"side", "value", "at"}``, the side None for nobody."""
        return {"side": None if self.side is Side.NOBODY else str(self.side), "value": self.value, "at": utc(self.at)}

    def __str__(self) -> str:
        if self.side is Side.NOBODY:
            return self.problem or "nobody answers"
        return str(self.side) if self.value is None else f"{self.side} ({self.value})"


class WitnessRuntime(Protocol):
    """What asking a witness needs from the outside."""

    def look(self) -> Look:
        """Return who answers at the address now; what goes wrong with that is nobody."""

    def monotonic(self) -> float:
        """Return seconds on a clock that only goes forward."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


#: What is wrong with each word before DRS is asked; None: nothing, the guard holds.
AT_START: dict[Side, str | None] = {
    Side.BEFORE: None,
    Side.AFTER: "traffic is at {value} already",
    Side.NOBODY: "{look}",
}

_MOVED_NOT = "DRS says that the switchover is complete, but at the virtual IP address: {look}"
_FAILED_AND_SILENT = "DRS says that the switchover failed, and nobody tells where traffic is: {look}"
_NOW = "at the virtual IP address now: {look}"

#: What follows from DRS's word at the end (by the freshness rule) and the witness's, and what the reason says of it.
AT_END: dict[tuple[Outcome, Side], tuple[Step, str]] = {
    (Outcome.DONE, Side.AFTER): (Step.COMPLETE, ""),
    (Outcome.DONE, Side.BEFORE): (Step.DISPUTE, _MOVED_NOT),
    (Outcome.DONE, Side.NOBODY): (Step.DISPUTE, _MOVED_NOT),
    (Outcome.FAILED, Side.BEFORE): (Step.FAIL, ""),
    (Outcome.FAILED, Side.AFTER): (Step.FAIL, ""),
    (Outcome.FAILED, Side.NOBODY): (Step.DISPUTE, _FAILED_AND_SILENT),
    (Outcome.UNDECIDED, Side.AFTER): (Step.COMPLETE, _NOW),
    (Outcome.UNDECIDED, Side.BEFORE): (Step.GIVE_UP, _NOW),
    (Outcome.UNDECIDED, Side.NOBODY): (Step.GIVE_UP, _NOW),
}

# Before DRS is asked any word will do; afterwards traffic may still move, and only its arrival ends the looking.
ENDS_AT_START = frozenset(Side)
ENDS_AT_END = frozenset({Side.AFTER})
#: Where nobody knew at the end who serves, what can tell later, by the outcome. That traffic has not left says nothing
#: of a switchover that may still run.
TELLS_LATER: dict[Phase, frozenset[Side]] = {
    Phase.DISPUTED: frozenset({Side.BEFORE, Side.AFTER}),
    Phase.UNKNOWN: frozenset({Side.AFTER}),
}


def ask_witness(runtime: WitnessRuntime, ends: Collection[Side], within: float) -> Look:
    """Look until two looks in a row, about a second apart, have shown the same side of ``ends``, or time is up.

    :param within: seconds after which no further look begins; two are taken in any case.
    :return: the last look; where the last two looks differ, one of nobody, with both in its problem.
    """
    until = runtime.monotonic() + within
    last = runtime.look()
    while True:
        runtime.sleep(CONFIRM_AFTER)
        look = runtime.look()
        alike = look.side is last.side
        if alike and look.side in ends:
            return look
        if runtime.monotonic() >= until:
            break
        last = look
    if alike:
        return look
    return Look(Side.NOBODY, look.value, look.at, f"not the same twice: {last}, then {look}")


def word_at_start(look: Look) -> tuple[bool, str]:
    """Return whether the guard ``witness`` holds, and what was found."""
    wrong = AT_START[look.side]
    return wrong is None, (wrong or "{look}").format(value=look.value or look.side, look=look)


def look_later(evidence: Json, runtime: WitnessRuntime, within: float) -> Json:
    """Return the evidence of a switchover with who serves now, where nobody knew at its end and that can be told now.

    :param within: seconds for which the witness is asked at most.
    """
    told = evidence.get("witness") or {}
    ends = TELLS_LATER.get(evidence.get("outcome"))  # type: ignore[arg-type]
    if ends is None or (told.get("at_end") or {}).get("side"):
        return evidence
    look = ask_witness(runtime, ends, within)
    return {**evidence, "witness": {**told, "at_end": look.to_dict()}} if look.side in ends else evidence


def end_with_witness(record: Record, event: Json, runtime: WitnessRuntime, within: float) -> None:
    """Ask the witness about the end of a wait, and end the record as both words have it.

    :param event: the end; an error leaves the switchover open, and nobody is asked.
    :param within: seconds for which traffic may still be on its way.
    """
    outcome = Outcome(event["outcome"])
    if outcome is Outcome.ERROR:
        record.end(event)
        return
    look = ask_witness(runtime, ENDS_AT_END, within)
    record.tell("at_end", look.to_dict())
    step, says = AT_END[outcome, look.side]
    record.end(event, step, says.format(look=look))
