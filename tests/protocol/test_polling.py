from __future__ import annotations

import math

import pytest

from airflow_provider_drs.protocol.polling import KeepPolling, Pace
from airflow_provider_drs.protocol.switchover.wait import SwitchoverWait
from tests.protocol.switchover.test_wait import JOB, START, play

INTERVALS = [0.3, 1.0, 5.0, 7.5, 60.0]


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("poll", [1, 2, 3, 4, 8, 20])
def test_exponential_backoff_waits_what_airflow_would(interval: float, poll: int) -> None:
    shortest = max(int(interval * 2 ** (poll - 2)), 1)
    delays = [Pace(interval, exponential_backoff=True, seed=f"wait {n}").delay(poll) for n in range(50)]
    assert all(shortest <= delay < 2 * shortest for delay in delays)
    if shortest > 10:
        assert len(set(delays)) > 5, "waits that were started together stay together"


@pytest.mark.parametrize("interval", INTERVALS)
def test_max_wait_caps_the_growth(interval: float) -> None:
    pace = Pace(interval, exponential_backoff=True, max_wait=90.0)
    delays = [pace.delay(poll) for poll in range(1, 2000)]
    assert max(delays) == 90
    assert delays[-1] == 90
    assert delays[0] < 90


def test_without_exponential_backoff_neither_growth_nor_max_wait_matters() -> None:
    assert {Pace(5.0, max_wait=2.0).delay(poll) for poll in range(1, 50)} == {5.0}


def test_growth_without_a_cap_stays_finite() -> None:
    assert math.isfinite(Pace(3600.0, exponential_backoff=True).delay(10**6))


def test_the_wait_grows_with_its_polls() -> None:
    wait = SwitchoverWait(JOB, Pace(8.0, exponential_backoff=True, seed="x"), rng=lambda: 1.0)
    delays = [v.delay for v in play(wait, *[(at, START) for at in range(6)]) if isinstance(v, KeepPolling)]
    assert delays == [wait.pace.delay(poll) for poll in range(1, 7)]
    assert delays[5] >= 128
