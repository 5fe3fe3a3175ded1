"""Two runs that are started together switch one after the other: what the documentation advises keeps them apart.

DRS's journal is the judge. How each run ends is not: the second may find the first's switchover over, and switch again.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from airflow_provider_drs.simulator import Job, Simulator
from tests.airflow.standalone import Standalone
from tests.constants import SWITCH, numbered_job

# Seconds from the request to START, and from START to the end: long beside what lies between the starts of two tasks.
START_AFTER, LASTS = 5, 15
CASES = [
    (means, way) for means in ("max_active_runs", "pool", "max_active_tis_per_dag") for way in ("poke", "deferrable")
]
Case = tuple[str, str]


def _job(case: Case) -> str:
    return numbered_job(600 + CASES.index(case))


@pytest.fixture(scope="session")
def runs(cloud: Simulator, airflow: Standalone) -> dict[Case, list[str]]:
    """Start two runs of each DAG; return their ids."""
    airflow.send("POST", "/pools", {"name": "switchovers", "slots": 1, "include_deferred": True})
    for case in CASES:
        cloud.add_job(Job(_job(case), no_switchover="null", start_after=START_AFTER, start_lasts=LASTS))
    # One request after the other: of two at once, one may hold SQLite's lock and wait for the loop of the API server,
    # on which the other waits for that lock: for a minute, its timeout.
    return {case: [airflow.start("two_runs_" + "_".join(case), job_id=_job(case)) for _ in range(2)] for case in CASES}


def test_all_are_started(runs: dict[Case, list[str]]) -> None:
    """Other tests run meanwhile, see ``GROUPS`` in ``tests/conftest.py``."""
    assert all(len(set(two)) == 2 for two in runs.values())


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_one_switchover_at_a_time(
    case: Case, cloud: Simulator, airflow: Standalone, runs: dict[Case, list[str]]
) -> None:
    dag_id = "two_runs_" + "_".join(case)
    for run in runs[case]:
        airflow.state(dag_id, run, "success", "failed", task_id="switch")
    asked = [entry.at for entry in cloud.calls(SWITCH) if entry.job_id == _job(case)]
    assert 1 <= len(asked) <= 2
    assert all(later - earlier >= START_AFTER + LASTS for earlier, later in pairwise(asked)), asked
