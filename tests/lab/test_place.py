"""The lab without Airflow: the place tells right from wrong, before a cutover is judged by it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_drs.simulator import Job
from tests.constants import JOB
from tests.lab.place import Place, Servers, servers
from tests.simulator.conftest import Api
from tests.waiting import until


@pytest.fixture(scope="module")
def both() -> Iterator[Servers]:
    with servers() as made:
        yield made


def switch(place: Place) -> None:
    """Ask DRS for a switchover, and wait until the target answers."""
    api = Api(place.simulator)
    api.log_in()
    with api.session:
        assert api.switch(JOB, "target").status_code == 202
    until(lambda: place.answers[-1][1] == "target", 60, "the target")


def wait_for_lag(place: Place) -> None:
    api = Api(place.simulator)
    api.log_in()
    with api.session:
        until(lambda: api.lag() == "0", 60, "lag 0")


def test_no_row_is_lost_where_the_application_is_frozen_and_all_has_arrived(both: Servers, tmp_path: Path) -> None:
    with Place("frozen", both, tmp_path / "place", Job(JOB, start_lasts=1)) as place:
        before = len(place.acknowledged())
        place.freeze()
        wait_for_lag(place)
        switch(place)
        place.thaw()
        place.until(lambda: place.acknowledged()[-1][2] == "target", "a write at the target")
        count = place.count("target")
        assert (count.lost, count.twice) == (0, 0)
        assert count.found == count.acknowledged > before
        assert [side for _, side in place.answers if side] == ["source", "target"]


def test_a_row_that_has_not_arrived_is_counted_as_lost(both: Servers, tmp_path: Path) -> None:
    with Place("hasty", both, tmp_path / "place", Job(JOB, start_lasts=1)) as place:
        wait_for_lag(place)
        place.pause_replication()
        written = len(place.acknowledged())
        place.until(lambda: len(place.acknowledged()) > written + 20, "writes that do not arrive")
        began = time.time()
        assert place.lag() >= 1
        assert time.time() - began < 10
        switch(place)
        place.until(lambda: place.acknowledged()[-1][2] == "target", "a write at the target")
        assert place.count("target").lost > 20
