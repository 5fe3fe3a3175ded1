"""``execution_timeout`` of Airflow's, which ends a task from outside: the evidence stays, the switchover goes on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_drs import exceptions
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.simulator import Job, Simulator
from tests.airflow.waits import Ended, in_mode, run_task
from tests.clock import FakeClock
from tests.constants import COMPLETE, FAILED, GET_STATUS, JOB, START, SWITCH
from tests.waiting import PATIENCE


def _switch(way: str, clock: FakeClock | None = None, **kwargs: Any) -> Ended:
    options = {"job_id": JOB, "mode": "target", "settle": None, **kwargs}
    return run_task(
        lambda task_id, calls: DrsSwitchoverOperator(task_id=task_id, **calls, **in_mode(way), **options), way, clock
    )


def _ring_once_start_is_seen(drs: Simulator, then: Callable[[], None] = lambda: None) -> None:
    """Ring the alarm clock that Airflow has set for the task, as if its hour were over."""

    def ring() -> None:
        # Two reads of the baseline, two of START: what the fourth has shown is written down when the fifth comes.
        drs.wait_for(GET_STATUS, 5, timeout=PATIENCE)
        os.kill(os.getpid(), signal.SIGALRM)
        then()

    threading.Thread(target=ring, daemon=True).start()


def test_it_ends_a_worker_and_leaves_the_evidence(drs: Simulator, airflow_db: None) -> None:
    from airflow.sdk.exceptions import AirflowTaskTimeout

    drs.add_job(Job(JOB, status_script=[None], status_after_switch=[START]))
    _ring_once_start_is_seen(drs)
    ended = _switch("poke", poll_interval=0.2, execution_timeout=timedelta(hours=1))
    assert (ended.state, type(ended.error)) == ("failed", AirflowTaskTimeout)
    for evidence in (ended.evidence, ended.xcom):
        assert (evidence["outcome"], evidence["started"]) == ("accepted", True)
        assert [change["status"] for change in evidence["observed"]] == [None, START]
        assert evidence["posted_at"]


@pytest.mark.parametrize(("final", "state"), [(COMPLETE, "success"), (FAILED, "failed")])
def test_a_retry_resumes(final: str, state: str, drs: Simulator, airflow_db: None) -> None:
    script: list[str | None] = [START]
    drs.add_job(Job(JOB, status_script=[None], status_after_switch=script))
    _ring_once_start_is_seen(drs, lambda: script.append(final))
    ended = _switch(
        "poke", poll_interval=0.2, execution_timeout=timedelta(hours=1), retries=1, retry_delay=timedelta(0)
    )
    assert (ended.state, ended.tries) == (state, 2), ended.error
    assert len(drs.calls(SWITCH)) == 1


@pytest.mark.parametrize("phase", ["begun", "intended", "accepted"])
def test_at_a_write(
    phase: str, drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether DRS was asked is told as it was."""
    from airflow.sdk.exceptions import AirflowTaskTimeout
    from airflow.sdk.execution_time.context import TaskStateStoreAccessor

    put = TaskStateStoreAccessor.set
    rung: list[str] = []

    def alarm(store: Any, key: str, value: Any, **more: Any) -> None:
        if value["phase"] == phase and not rung:
            rung.append(phase)
            raise AirflowTaskTimeout("the alarm clock of Airflow")
        put(store, key, value, **more)

    monkeypatch.setattr(TaskStateStoreAccessor, "set", alarm)
    drs.add_job(Job(JOB, status_script=[None], status_after_switch=[START, COMPLETE]))
    ended = _switch("poke", clock)
    asked = phase == "accepted"
    assert type(ended.error) is AirflowTaskTimeout
    assert len(drs.calls(SWITCH)) == (1 if asked else 0)
    assert ended.evidence["outcome"] == {"intended": "read"}.get(phase, phase)
    assert bool(ended.evidence["posted_at"]) is asked

    rung.clear()
    drs.add_job(Job(JOB, status_script=[None], status_after_switch=[START, COMPLETE]))
    again = _switch("poke", clock, retries=1, retry_delay=timedelta(0))
    assert (again.state, again.xcom["outcome"]) == ("success", "done"), again.error


@pytest.mark.parametrize(("execution_timeout", "lasts"), [(60, 60), (7200, 600), (None, 600)])
def test_a_deferred_wait_ends_by_it(
    execution_timeout: int | None, lasts: int, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    """Airflow itself does not watch a deferred task: the trigger does."""
    drs.add_job(Job(JOB, status_script=[None], status_after_switch=[START]))
    limit = None if execution_timeout is None else timedelta(seconds=execution_timeout)
    ended = _switch("deferrable", clock, timeout=600, execution_timeout=limit)
    assert type(ended.error) is exceptions.DrsSwitchoverUnknownError
    assert ended.evidence["outcome"] == "unknown"
    assert clock.now - clock.started == pytest.approx(lasts, abs=3)
