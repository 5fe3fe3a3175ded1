"""Runs a sensor or an operator in a real Airflow, in each mode, with a clock that jumps instead of passing."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import event
from structlog.testing import capture_logs

import airflow_provider_drs
from tests.clock import FakeClock
from tests.constants import JOB

# Deferred polls are due on the next beat of the shared polls.
A_TICK = 0.101

# The clients keep the time of the machine: connections and tokens are real.
PACKAGES_WITH_A_FAKE_CLOCK = ("operators", "sensors", "task", "witness")


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

    @property
    def news(self) -> list[tuple[str, str]]:
        """The lines without that which tells, before a wait is deferred, what it waits for."""
        return [(level, text) for level, text in self.lines if not text.startswith("Deferring: ")]


@pytest.fixture(scope="session")
def airflow_db() -> Path:
    """A migrated metadata database, this process's own; return its file."""
    from airflow.configuration import conf
    from airflow.utils.db import initdb

    initdb()
    gc.collect()  # what is garbage must not be frozen: a socket in it would never warn
    gc.freeze()  # it has imported most of Airflow, see tests/conftest.py
    return Path(conf.get("database", "sql_alchemy_conn").removeprefix("sqlite:///"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClock]:
    """The clock by which operators, sensors, triggers and Airflow's own sensor live."""
    from airflow.models.taskreschedule import TaskReschedule
    from airflow.sdk.bases import sensor as airflow_sensor

    from airflow_provider_drs.clients import tokens
    from airflow_provider_drs.clients.polling import streams
    from airflow_provider_drs.sensors.base import DrsSensor
    from airflow_provider_drs.triggers.base import DrsTrigger

    # In the past, so that Airflow finds what was put off by reschedule mode to be due.
    clock = FakeClock(time.time() - 30 * 86400)
    decide = DrsSensor._get_next_poke_interval

    def decide_and_jump(sensor: Any, *args: Any) -> float:
        delay = decide(sensor, *args)
        if sensor.reschedule:
            clock.sleep(delay)
        return delay

    async def wait_until(trigger: DrsTrigger, name: str) -> None:
        left = (trigger.handover or {}).get(name, 0.0) - clock.time()
        if left > 0:
            clock.sleep(left)

    def date_by_the_clock(_mapper: Any, _connection: Any, row: Any) -> None:
        row.start_date = clock.started_at()

    monkeypatch.setattr(DrsSensor, "_get_next_poke_interval", decide_and_jump)
    monkeypatch.setattr(DrsTrigger, "_until", wait_until)
    for module in (airflow_sensor, tokens, *_modules_with_time()):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(streams, "Clock", clock.of_streams)
    monkeypatch.setattr(airflow_sensor, "timezone", clock)
    # Airflow dates a reschedule by the database's clock, which is not faked.
    event.listen(TaskReschedule, "before_insert", date_by_the_clock)
    yield clock
    event.remove(TaskReschedule, "before_insert", date_by_the_clock)


def _modules_with_time() -> list[ModuleType]:
    """Return the modules of this provider that read the time in the name of a task."""
    found = []
    for info in pkgutil.walk_packages(airflow_provider_drs.__path__, f"{airflow_provider_drs.__name__}."):
        if info.name.split(".")[1] in PACKAGES_WITH_A_FAKE_CLOCK:
            module = importlib.import_module(info.name)
            found += [module] if vars(module).get("time") is time else []
    assert found, "no module reads the time: the clock of these tests would be no one's"
    return found


def run_wait(mode: str, clock: FakeClock | None = None, **kwargs: Any) -> Ended:
    """Run a DAG of one ``DrsSwitchoverSensor`` in ``mode`` and return how it ended."""
    from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor

    return run_one(DrsSwitchoverSensor, mode, clock, **{"job_id": JOB, **kwargs})


def run_one(kind: type[Any], mode: str, clock: FakeClock | None = None, **kwargs: Any) -> Ended:
    """Run a DAG of one task of ``kind`` in ``mode`` and return how it ended."""
    options = {**in_mode(mode), **kwargs}
    return run_task(lambda task_id, callbacks: kind(task_id=task_id, **callbacks, **options), mode, clock)


def in_mode(mode: str) -> dict[str, Any]:
    """Return what lets a sensor or an operator wait in ``mode``."""
    options: dict[str, dict[str, Any]] = {
        "poke": {},
        "reschedule": {"mode": "reschedule"},
        "deferrable": {"deferrable": True},
    }
    return options[mode]


def run_task(make: Callable[[str, dict[str, Any]], Any], mode: str, clock: FakeClock | None = None) -> Ended:
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
