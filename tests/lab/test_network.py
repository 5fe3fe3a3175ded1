"""A real address that moves between network namespaces, where this machine has them."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_drs.simulator import Job
from airflow_provider_drs.witness import SqlWitness
from tests.constants import JOB
from tests.lab.application import WHO
from tests.lab.network import ALL, Network, missing, network
from tests.lab.place import Place, Servers, servers
from tests.lab.test_place import switch, wait_for_lag

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="module")
def wires() -> Iterator[Network]:
    with network() as made:
        yield made


@pytest.fixture(scope="module")
def both(wires: Network) -> Iterator[Servers]:
    with servers(wires) as made:
        yield made


def test_traffic_and_the_witness_follow_the_address(
    both: Servers, wires: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Place("moved", both, tmp_path / "place", Job(JOB, start_lasts=2), network=wires) as place:
        assert ipaddress.ip_address(place.host) in ALL
        monkeypatch.setenv("AIRFLOW_CONN_VIP", json.dumps(place.connection()))
        witness = SqlWitness("vip", WHO, before="source", after="target", timeout=2)
        assert witness.side() == "before"
        place.freeze()
        wait_for_lag(place)
        switch(place)
        assert witness.side() == "after"
        place.thaw()
        place.until(lambda: place.acknowledged()[-1][2] == "target", "a write at the target")
        wires.move(place.host, None)
        assert witness.side() is None
        wires.move(place.host, "target")
        assert witness.side() == "after"
        count = place.count("target")
        assert (count.lost, count.twice) == (0, 0)
        assert [side for _, side in place.answers if side][:2] == ["source", "target"]
