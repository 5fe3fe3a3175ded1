"""What a mode does to the traffic is a reading, and there are three."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_drs.simulator import Job, Simulator, Vip
from airflow_provider_drs.simulator.drs.address import Address
from airflow_provider_drs.simulator.drs.reading import Reading
from tests.constants import COMPLETE, JOB
from tests.waiting import PATIENCE, until

from .conftest import Api
from .test_command import running
from .test_vip import sides, who

__all__ = ["sides"]

# Which database serves after each of these switchovers, one after the other.
MODES = ["target", "target", "source", "source"]
SERVING = {
    "named": ["target", "target", "source", "source"],
    "other": ["source", "source", "target", "target"],
    "toggle": ["target", "source", "target", "source"],
}


@pytest.mark.parametrize("reading", Reading)
def test_which_database_serves(reading: Reading) -> None:
    address = Address(Vip(0, "h:1", "h:2"), reading.serving)
    assert [address.side(MODES[: place + 1], COMPLETE, place) for place in range(4)] == SERVING[reading]


def test_there_is_no_other_reading() -> None:
    with pytest.raises(ValueError, match="no reading of mode is called 'both'; there are named, other, toggle"):
        Simulator(reading="both")


@pytest.mark.parametrize("by_command", [False, True], ids=["Python", "command"])
def test_the_simulator_moves_by_its_reading(sides: dict[str, Any], by_command: bool) -> None:
    address = Vip(0, **sides)
    like_it = Simulator(tls=False, reading="other", jobs=[Job(JOB, start_lasts=0)], vips=[address])
    command = running(
        *("--no-tls", "--reading", "other", "--job", f"{JOB},start_lasts=0"),
        *("--vip", f"0={sides['source']},{sides['target']}"),
    )
    with command if by_command else like_it as served:
        if isinstance(served, dict):
            like_it.port, address.port = (int(served[name].rpartition(":")[2]) for name in ("DRS", "VIP"))
        api = Api(like_it)
        with api.session:
            api.log_in()
            assert who(address) == "source"
            assert api.switch(mode="source").json()["status"] == "success"
            until(lambda: who(address) == "target", PATIENCE, "the move")
