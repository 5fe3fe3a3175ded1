"""Fixtures of an Airflow: within the process of the tests, and as a whole of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_drs.simulator import Simulator
from tests.airflow.standalone import Standalone
from tests.airflow.waits import airflow_db, clock

__all__ = ["airflow_db", "clock"]


@pytest.fixture(scope="session")
def cloud() -> Iterator[Simulator]:
    """The DRS of the standalone Airflow."""
    with Simulator() as simulator:
        yield simulator


@pytest.fixture(scope="session")
def kill_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which workers that wait to be killed leave their process ids."""
    return tmp_path_factory.mktemp("kills")


@pytest.fixture(scope="session")
def airflow(
    cloud: Simulator, kill_place: Path, airflow_db: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Standalone]:
    """A standalone Airflow, one for all tests of a group (``GROUPS`` in ``tests/conftest.py``) that share its DAGs."""
    connection = cloud.connection()
    connection["extra"] |= {"region": "eu-de", "console_url": "https://console.example/{region}/{job_id}"}
    environment = {
        "AIRFLOW_CONN_DRS_DEFAULT": json.dumps(connection),
        "AIRFLOW__CORE__PARALLELISM": "8",
        "KILL_DIR": str(kill_place),
    }
    dags = Path(__file__).parent / "standalone_dags"
    with Standalone(tmp_path_factory.mktemp("standalone"), dags, environment, airflow_db) as running:
        yield running
