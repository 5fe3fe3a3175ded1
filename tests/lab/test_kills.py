"""Workers, triggerer and forwarder are killed while cutovers run, in an Airflow of the lab's own with a scheduler."""

from __future__ import annotations

import random
from datetime import datetime

import pytest

from tests.lab.results import Result, wrongs
from tests.lab.run import Lab
from tests.lab.variants import VARIANTS, Variant, random_variant

NAMED = ("complete", "killed-worker", "killed-triggerer", "killed-forwarder")
SEEDS = (11, 23)
ALL = {**{name: VARIANTS[name] for name in NAMED}, **{str(seed): random_variant(random.Random(seed)) for seed in SEEDS}}


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    with Lab(len(ALL), rate=20, start_lasts=6) as lab:
        ended: list[tuple[Variant, Result]] = list(lab.run(ALL.values()))
    return {name: result for name, made in ALL.items() for variant, result in ended if variant is made}


@pytest.mark.parametrize("name", NAMED)
def test_the_cutover_is_done_and_no_row_is_lost(name: str, results: dict[str, Result]) -> None:
    result = results[name]
    assert (result.outcome, result.serves, result.thawed) == ("done", "target", True), result
    assert (result.count.lost, result.count.twice) == (0, 0)
    assert result.is_done, result


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_wrong_with_a_cutover(name: str, results: dict[str, Result]) -> None:
    assert wrongs(ALL[name], results[name]) == [], (ALL[name], results[name])


def test_the_worker_was_killed(results: dict[str, Result]) -> None:
    # The others may have a second try, too: on a busy machine Airflow itself fails a deferral now and then.
    assert _tries(results["killed-worker"], "cutover.switchover") >= 2


def _tries(result: Result, task_id: str) -> int:
    [tries] = [each.tries for each in result.tasks if each.task_id == task_id]
    return tries


def test_two_random_cutovers_have_kills() -> None:
    """Seeds whose cutovers are left alone would say nothing."""
    made = [ALL[str(seed)] for seed in SEEDS]
    assert all(variant.killed or variant.triggerer for variant in made)
    assert any(variant.forwarder for variant in made)


def test_the_downtime_was_measured_beside_the_switchover(results: dict[str, Result]) -> None:
    """By a sensor that began before DRS switched and ended with it, under a real scheduler."""
    result = results["complete"]
    downtime = result.done["downtime"]
    assert downtime["not_measured"] is None, downtime
    sides = [each["side"] for each in downtime["sides"]]
    assert (sides[0], sides[-1]) == ("before", "after")
    last, first = (datetime.fromisoformat(downtime[name]).timestamp() for name in ("last_before", "first_after"))
    assert downtime["seconds"] == pytest.approx(first - last, abs=0.002)
    [asked] = result.asked_at
    began = {each.task_id.removeprefix("cutover."): each.began for each in result.tasks}
    ended = {each.task_id.removeprefix("cutover."): each.ended or 0 for each in result.tasks}
    assert began["downtime"] < last < first <= ended["downtime"] <= began["done"]
    assert max(began["downtime"], began["switchover"]) < asked < first
