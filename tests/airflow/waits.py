"""Runs a sensor in a real Airflow, in each of the three modes, with a clock that jumps instead of passing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

JOB = "260e27fd-4976-44dc-9948-e1265e4jb201"
MODES = ("poke", "reschedule", "deferrable")
# Deferred polls are due on the next beat of ``poll_streams``.
A_TICK = 0.026


class JumpingClock:
    """Stands in for ``time`` and ``asyncio``: sleeping moves it on at once, and is written down."""

    def __init__(self) -> None:
        # In the past, so that Airflow finds what was put off by reschedule mode to be due.
        self.started = self.now = time.time() - 30 * 86400
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        if seconds:
            self.slept.append(seconds)
        self.now += seconds

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Stand in for the timer of a loop: what is to be done later is done next."""
        self.sleep(max(when - self.now, 0.0))
        loop = asyncio.get_running_loop()
        return loop.call_at(loop.time(), callback)

    def of_streams(self) -> SimpleNamespace:
        """Stand in for the clock of the shared polls."""
        return SimpleNamespace(now=self.time, wall=self.time, call_at=self.call_at)

    def utcnow(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)


@dataclass
class Ended:
    """How a run ended: the task's state, its XCom, what it raised, and what this provider logged."""

    state: str
    xcom: Any
    error: BaseException | None
    lines: list[tuple[str, str]]
    slept: list[float] = field(default_factory=list)
    tries: int = 1
    evidence: Any = None

    def levels(self, level: str) -> list[str]:
        return [text for name, text in self.lines if name == level]


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """A migrated metadata database."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> JumpingClock:
    """The clock by which sensor and trigger live."""
    from airflow.sdk.bases import sensor as airflow_sensor
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    from airflow_provider_drs import task as our_task
    from airflow_provider_drs.clients.polling import streams as poll_streams
    from airflow_provider_drs.sensors import base as our_sensor

    clock = JumpingClock()
    decide = our_sensor.DrsSensor._get_next_poke_interval

    def decide_and_jump(sensor: Any, *args: Any) -> float:
        delay = decide(sensor, *args)
        if sensor.reschedule:
            clock.sleep(delay)
        return delay

    def first_rescheduled(_: Any, context: Any) -> datetime | None:
        return datetime.fromtimestamp(clock.started, UTC) if context.get("task_reschedule_count") else None

    monkeypatch.setattr(our_sensor.DrsSensor, "_get_next_poke_interval", decide_and_jump)
    monkeypatch.setattr(RuntimeTaskInstance, "get_first_reschedule_date", first_rescheduled)
    for module in (airflow_sensor, our_task):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(poll_streams, "Clock", clock.of_streams)
    monkeypatch.setattr(airflow_sensor, "timezone", clock)
    return clock


def run_wait(mode: str, clock: JumpingClock | None = None, **kwargs: Any) -> Ended:
    """Run a DAG of one ``DrsSwitchoverSensor`` in ``mode`` and return how it ended."""
    from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor

    in_mode: dict[str, Any] = {"reschedule": {"mode": "reschedule"}, "deferrable": {"deferrable": True}}.get(mode, {})
    options = {"job_id": JOB} | in_mode | kwargs
    return run_task(
        lambda task_id, callbacks: DrsSwitchoverSensor(task_id=task_id, **(callbacks | options)), mode, clock
    )


def run_task(make: Callable[[str, dict[str, Any]], Any], mode: str, clock: JumpingClock | None = None) -> Ended:
    """Run a DAG of the one task that ``make`` returns for a task id and callbacks; return how it ended."""
    from airflow.sdk import DAG

    errors: list[BaseException | None] = []

    def note(context: Any) -> None:
        errors.append(context.get("exception"))

    with DAG(f"wait_{mode}", schedule=None) as dag:
        make("wait", {"on_failure_callback": note, "on_retry_callback": note})
    if clock:
        clock.slept.clear()
    with capture_logs() as captured:
        run = dag.test()
    ti = run.get_task_instance("wait")
    assert ti is not None
    return Ended(
        state=str(ti.state),
        xcom=ti.xcom_pull(task_ids="wait"),
        evidence=ti.xcom_pull(task_ids="wait", key="switchover"),
        error=errors[-1] if errors else None,
        lines=[(str(x["log_level"]), str(x["event"])) for x in captured if JOB in str(x["event"]) and "ti=" not in x],
        slept=list(clock.slept) if clock else [],
        tries=ti.try_number,
    )
