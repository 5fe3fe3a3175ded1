"""Each variant of the lab, in an Airflow within the process of the tests."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.airflow.cutovers import run
from tests.airflow.waits import airflow_db
from tests.lab.place import Servers, servers
from tests.lab.results import Meddler, Result, judge, wrongs
from tests.lab.run import conf_of, environment_of, place_of
from tests.lab.variants import VARIANTS, Variant, random_variant

__all__ = ["airflow_db"]

# A worker that is killed would be the process of the tests, which has no triggerer.
HERE = {name: variant for name, variant in VARIANTS.items() if not (variant.killed or variant.triggerer)}


@pytest.fixture(scope="module")
def both() -> Iterator[Servers]:
    with servers() as made:
        yield made


def become(variant: Variant, number: int, both: Servers, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    """Run the cutover of a variant, and return what became of it."""
    monkeypatch.setenv("LAB_FOLDER", str(folder))
    from tests.lab.dags import lab

    with place_of(variant, number, both, folder, rate=20, start_lasts=2) as place:
        for key, value in environment_of(place).items():
            monkeypatch.setenv(key, value)
        over = threading.Event()

        def meddle_until_over() -> None:
            meddler = Meddler(variant, place)
            while not over.wait(0.1):
                meddler.meddle()

        beside = threading.Thread(target=meddle_until_over)
        beside.start()
        try:
            ended = run(
                lambda: lab.build("poke", measure_downtime=False),
                dag=lab.DAG_ARGUMENTS,
                run_conf=conf_of(place, variant),
            )
        finally:
            over.set()
            beside.join()
        return judge(place, ended.state, ended.pull, [], list(ended.errors))


@pytest.mark.parametrize("name", HERE)
def test_what_becomes_of_a_cutover(
    name: str, both: Servers, airflow_db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = HERE[name]
    result = become(variant, list(HERE).index(name), both, tmp_path, monkeypatch)
    assert (result.outcome, result.serves, result.thawed) == (variant.outcome, variant.serves, variant.thawed)
    assert wrongs(variant, result) == []
    assert result.is_done == (variant.outcome == "done")


@pytest.mark.parametrize("seed", [0, 5])
def test_nothing_is_wrong_with_a_random_cutover(
    seed: int, both: Servers, airflow_db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = replace(random_variant(random.Random(seed)), killed=None, triggerer=False)
    assert wrongs(variant, become(variant, 10 + seed, both, tmp_path, monkeypatch)) == []
