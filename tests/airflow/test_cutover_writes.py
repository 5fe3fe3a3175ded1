"""Airflow's API server goes away at each read and write of a cutover's gate and of its last task."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_provider_drs.cutover_results import CutoverResultOperator, RollbackGate, SwitchoverResultOperator
from tests.airflow.cutovers import evidence

T = TypeVar("T")

FAULTS = ("away before", "answer lost", "away after")
PLACES = ("pull", "states", "push")
TRIES = 4
GATE, DONE = RollbackGate, CutoverResultOperator


class Away(Exception):
    """What Airflow raises while its API server does not answer."""


class Airflow:
    """Runs one task as Airflow does: tries, the push of what it returns, states; its API server goes away.

    :param place: what the task does when the API server goes away: ``pull``, ``states`` or ``push``.
    :param fault: ``away before`` it, ``answer lost``, or ``away after`` it.
    :param tries: for so many tries it is away.
    """

    def __init__(self, outcome: str, place: str, fault: str, tries: int) -> None:
        self.xcoms: dict[tuple[str, str], Any] = {
            ("switchover", key): evidence("switchover", outcome) for key in ("switchover", "return_value")
        }
        self.states = {"switchover": "success" if outcome == "done" else "failed"}
        self.place, self.fault, self.tries = place, fault, tries
        self.away = False
        self.hits = 0

    def run(self, kind: type[SwitchoverResultOperator]) -> str:
        """Return the state that the task ends with."""
        operator = kind(task_id="task", switchover="switchover")
        assert operator.retries == TRIES - 1
        ti = SimpleNamespace(
            dag_id="d", run_id="r", task_id="task", map_index=-1,
            xcom_pull=lambda task_ids, key, map_indexes=None: self._meet(
                "pull", lambda: self.xcoms.get((task_ids, key))
            ),
            get_task_states=lambda **_: self._meet("states", lambda: {"r": self.states}),
        )  # fmt: skip
        switchover = SimpleNamespace(operator_class=type("DrsSwitchoverOperator", (), {}))
        dag = SimpleNamespace(task_dict={"switchover": switchover})
        context: Any = {"ti": ti, "dag": dag}
        for number in range(TRIES):
            self.away = self.away and number < self.tries
            try:
                result = operator.execute(context)
                self._meet("push", partial(self.xcoms.update, {("task", "return_value"): result}))
            except AirflowSkipException:
                return "skipped"
            except AirflowFailException:
                return "failed"
            except Away:
                continue
            return "success"
        return "failed"

    def _meet(self, place: str, call: Callable[[], T]) -> T:
        meets = place == self.place and not self.hits
        self.hits += meets
        self.away = self.away or (meets and self.fault == "away before")
        if self.away:
            raise Away
        found = call()
        self.away = meets
        if meets and self.fault == "answer lost":
            raise Away
        return found


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("kind", "outcome", "state"), [(GATE, "failed", "success"), (GATE, "done", "skipped"), (DONE, "done", "success")]
)
def test_away_for_a_while(
    kind: type[SwitchoverResultOperator], outcome: str, state: str, place: str, fault: str
) -> None:
    """It ends as if nothing had been: they only read, and Airflow tries again."""
    airflow = Airflow(outcome, place, fault, tries=2)
    assert airflow.run(kind) == state
    assert airflow.hits == (0 if state == "skipped" and place == "push" else 1)
    if state == "success":
        assert airflow.xcoms["task", "return_value"]["outcome"] == outcome


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("kind", "outcome"), [(GATE, "failed"), (DONE, "done")])
def test_away_for_good(kind: type[SwitchoverResultOperator], outcome: str, place: str, fault: str) -> None:
    """What cannot be read rolls nothing back, and is no success: what follows the gate runs after its success only."""
    airflow = Airflow(outcome, place, fault, tries=TRIES)
    written = (place, fault) == ("push", "away after")
    assert airflow.run(kind) == ("success" if written else "failed")
    assert airflow.hits == 1


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", ["pull", "states"])
def test_a_cutover_that_is_not_done_is_not_done_for_lack_of_an_answer(place: str, fault: str) -> None:
    for outcome in ("failed", "unknown", "begun"):
        for tries in (2, TRIES):
            assert Airflow(outcome, place, fault, tries).run(DONE) == "failed"
            assert Airflow(outcome, place, fault, tries).run(GATE) in (
                ("success", "failed") if outcome == "failed" else ("skipped", "failed")
            )
