"""A plugin for pytest: ``drs_simulator``, a DRS for the tests of your own DAGs. Nothing happens unless it is asked for.

``docs/simulator.md`` has an example.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_drs.simulator import Simulator


@pytest.fixture
def drs_simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A simulated DRS with its IAM, to which the connection ``drs_default`` leads for the time of the test."""
    # Every run of pytest in this environment loads this module, and few need the server.
    served: Simulator = pytest.importorskip("airflow_provider_drs.simulator").Simulator()
    with served as simulator:
        monkeypatch.setenv("AIRFLOW_CONN_DRS_DEFAULT", json.dumps(simulator.connection()))
        # There is no scheduler in dag.test() for which the end of a deferral would be held.
        monkeypatch.setenv("AIRFLOW__DRS__DEFERRAL_HOLD", "0")
        yield simulator
