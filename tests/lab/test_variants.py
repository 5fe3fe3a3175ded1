"""Each variant of the lab, in an Airflow within the process of the tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.airflow.cutovers import run
from tests.airflow.waits import airflow_db
from tests.lab.place import Servers, servers
from tests.lab.results import judge, meddle
from tests.lab.run import SWITCHOVER, conf_of, environment_of, place_of
from tests.lab.variants import VARIANTS

__all__ = ["airflow_db"]

# A worker that is killed would be the process of the tests.
HERE = {name: variant for name, variant in VARIANTS.items() if not variant.killed}


@pytest.fixture(scope="module")
def both() -> Iterator[Servers]:
    with servers() as made:
        yield made


@pytest.mark.parametrize("name", HERE)
def test_what_becomes_of_a_cutover(
    name: str, both: Servers, airflow_db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_FOLDER", str(tmp_path))
    from tests.lab.dags import lab

    variant = HERE[name]
    with place_of(variant, list(HERE).index(name), both, tmp_path, rate=20, start_lasts=2) as place:
        for key, value in environment_of(place).items():
            monkeypatch.setenv(key, value)
        over = threading.Event()

        def meddle_until_over() -> None:
            while not over.wait(0.1):
                meddle(variant, place)

        beside = threading.Thread(target=meddle_until_over)
        beside.start()
        try:
            ended = run(lambda: lab.build("poke"), dag=lab.DAG_ARGUMENTS, run_conf=conf_of(place))
        finally:
            over.set()
            beside.join()
        evidence: Mapping[str, Any] = ended.pull(SWITCHOVER, "switchover")
        result = judge(place, ended.state, evidence, [])

    assert (result.outcome, result.serves, result.thawed) == (variant.outcome, variant.serves, variant.thawed)
    assert (result.count.lost, result.count.twice) == (0, 0)
    assert result.is_done == (variant.outcome == "done")
