"""Airflow's API server goes away at each write: what is known is neither lost nor changed, and DRS is asked once.

The whole table, with the real operator in the world of the histories; tests/airflow/test_switchover_operator_writes.py
runs some of its rows, those of each kind, in a real Airflow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_drs import exceptions
from airflow_provider_drs.protocol.switchover.freshness import DEFAULT_DECIDE_WITHIN
from tests.airflow.api_faults import FAULTS, FOR_EVER, name_of
from tests.constants import COMPLETE, FAILED, OPERATOR_MODES
from tests.histories import world as world_of
from tests.histories.world import AN_ATTEMPT, End, History, Plan, Try, World, run_try

# Every write of a switchover that ends well, in their order.
WRITES = (
    *("switchover: begun", "return_value: begun", "saved: begun"),
    *("switchover: intended", "return_value: intended", "saved: intended"),
    *("saved: accepted", "switchover: accepted", "return_value: accepted"),
    *("saved: START", "switchover: START", "return_value: START"),
)
ENDS = ("saved: {}", "switchover: {}", "return_value: {}")

# What a try that Airflow's API server leaves alone from then on ends with, and what its retry makes of it.
TO_THE_END_OF_THE_TRY = [
    # (write, fault): outcome of the retry, POSTs
    (("saved: begun", "away before"), "done", 1),
    (("saved: begun", "response lost"), "done", 1),
    (("saved: begun", "away after"), "done", 1),
    (("saved: intended", "away before"), "done", 1),
    # What was stored says that DRS was about to be asked. It was not, but that could not be stored any more.
    (("saved: intended", "response lost"), "unknown", 0),
    (("saved: intended", "away after"), "done", 1),
    (("saved: accepted", "away before"), "done", 1),
    (("saved: accepted", "response lost"), "done", 1),
    (("saved: accepted", "away after"), "done", 1),
    (("saved: START", "away before"), "done", 1),
    (("saved: START", "response lost"), "done", 1),
    (("saved: START", "away after"), "done", 1),
    (("saved: done", "away before"), "done", 1),
    (("saved: done", "response lost"), "done", 1),
    (("saved: done", "away after"), "done", 1),
    (("switchover: done", "away before"), "done", 1),
    (("return_value: done", "response lost"), "done", 1),
]


@pytest.fixture(autouse=True, scope="module")
def _decides_as_by_default() -> Iterator[None]:
    """In the histories a switchover is nobody's after a minute, and a retry comes later than that.

    The table has each write of a worker, at the end too.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world_of, "DECIDE_WITHIN", DEFAULT_DECIDE_WITHIN)
        patch.setattr(world_of, "END_FROM_TRIGGER", False)
        world_of._operator.cache_clear()
        yield
    world_of._operator.cache_clear()


class AwayWorld(World):
    """An API server that is away at one write, for some time."""

    def __init__(self, history: History, write: str, fault: str, lasts: float) -> None:
        super().__init__(history)
        self.meets, self.fault, self.lasts = write, fault, lasts
        self.away_until = 0.0
        self.hits = 0

    def write(self, what: str, value: Any, make: Any) -> None:
        name = name_of(what, value)
        meets = name == self.meets and not self.hits
        if meets:
            self.hits += 1
            if self.fault == "away before":
                self.away_until = self.time + self.lasts
        if self.time < self.away_until:
            self._fail()
        super().write(what, value, make)
        if meets and self.fault != "away before":
            self.away_until = self.time + self.lasts
            if self.fault == "response lost":
                self._fail()

    def _fail(self) -> None:
        self.pass_(AN_ATTEMPT)
        raise RuntimeError("nobody answers")


def _run(way: str, final: str, write: str, fault: str, lasts: float) -> tuple[AwayWorld, End, int]:
    """Return the world, how the last try ended, and how many there were: one more where the first fails."""
    this = Try(deferrable=way == "deferrable")
    world = AwayWorld(History((Plan(0.0, 100.0, final),)), write, fault, lasts)
    ended = run_try(world, this)
    if ended.error is None:
        return world, ended, 1
    world.away_until = 0.0
    return world, run_try(world, this), 2


@pytest.mark.parametrize("final", [COMPLETE, FAILED])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("write", [*WRITES, *ENDS])
@pytest.mark.parametrize("way", OPERATOR_MODES)
def test_away_for_a_while(way: str, write: str, fault: str, final: str) -> None:
    """It ends as if nothing had been: no write is so important that the work stops, none so small that it is lost."""
    outcome = "done" if final == COMPLETE else "failed"
    world, ended, tries = _run(way, final, write.format(outcome), fault, 45.0)
    assert (world.hits, world.posts) == (1, 1)
    assert ended.outcome == outcome, ended.error
    assert tries == (1 if final == COMPLETE else 2)
    assert type(ended.error) is (type(None) if final == COMPLETE else exceptions.DrsSwitchoverFailedError)


@pytest.mark.parametrize("final", [COMPLETE, FAILED])
@pytest.mark.parametrize(("at", "outcome", "posts"), TO_THE_END_OF_THE_TRY)
@pytest.mark.parametrize("way", OPERATOR_MODES)
def test_away_to_the_end_of_the_try(way: str, at: tuple[str, str], outcome: str, posts: int, final: str) -> None:
    """The retry ends as DRS has it; unknown only where what is stored cannot tell."""
    ended_well = "done" if final == COMPLETE else "failed"
    expected = ended_well if outcome == "done" else outcome
    world, ended, _ = _run(way, final, at[0].replace("done", ended_well), at[1], FOR_EVER)
    assert (world.hits, world.posts) == (1, posts)
    assert ended.outcome == expected, ended.error
    errors = {"failed": exceptions.DrsSwitchoverFailedError, "unknown": exceptions.DrsSwitchoverUnknownError}
    assert expected == "done" or type(ended.error) is errors[expected]
    assert posts or "the response to it was lost" not in str(ended.error)
    assert posts or ended.evidence["accepted_at"] is None
