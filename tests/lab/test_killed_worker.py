"""A worker that is killed while DRS switches, in an Airflow of the lab's own, and a cutover beside it that is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.results import Result
from tests.lab.run import Lab
from tests.lab.variants import VARIANTS

NAMES = ("killed-worker", "complete")


@pytest.fixture(scope="module")
def results() -> Iterator[dict[str, Result]]:
    with Lab(len(NAMES), rate=20, start_lasts=8) as lab:
        yield dict(zip(NAMES, lab.run([VARIANTS[name] for name in NAMES]), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_cutover_is_done_and_no_row_is_lost(name: str, results: dict[str, Result]) -> None:
    result = results[name]
    assert (result.outcome, result.serves, result.thawed) == ("done", "target", True), result
    assert (result.count.lost, result.count.twice) == (0, 0)
    assert result.is_done, result


def test_the_worker_was_killed(results: dict[str, Result]) -> None:
    tries = {name: result.tries["cutover.switchover"] for name, result in results.items()}
    assert tries == {"killed-worker": 2, "complete": 1}
