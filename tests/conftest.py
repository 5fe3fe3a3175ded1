"""Fixtures for all tests. Airflow reads its settings when it is first imported, so they are set here, before that."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-test-"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(__file__).parent / "airflow" / "dags")
os.environ["AIRFLOW__CORE__TEST_CONNECTION"] = "Enabled"
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

from airflow_provider_drs.clients.sync_client import close_kept_clients
from airflow_provider_drs.simulator import Simulator


@pytest.fixture
def drs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A simulated DRS that knows no job yet; the connection ``drs_default`` leads to it."""
    with Simulator() as simulator:
        monkeypatch.setenv("AIRFLOW_CONN_DRS_DEFAULT", json.dumps(simulator.connection()))
        yield simulator
        close_kept_clients()
