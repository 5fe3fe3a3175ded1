"""The sensor that measures the gap, alone and beside a switchover."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.sensors import downtime as module
from airflow_provider_drs.sensors.drs import DrsDowntimeSensor
from airflow_provider_drs.simulator import Simulator
from tests.airflow.cutovers import job, run
from tests.airflow.waits import Ended, run_task
from tests.clock import FakeClock
from tests.constants import JOB


def _measure(clock: FakeClock, samples: str, **kwargs: Any) -> Ended:
    sides = {"B": "before", "A": "after", "-": None}
    told: Iterator[str] = iter(samples)
    last = samples[-1]
    return run_task(
        lambda task_id, calls: DrsDowntimeSensor(
            task_id=task_id, **calls, **{"witness": lambda: sides[next(told, last)], **kwargs}
        ),
        "poke",
        clock,
    )


def test_it_samples_until_traffic_has_arrived(airflow_db: None, clock: FakeClock) -> None:
    ended = _measure(clock, "BBB----AA")
    assert ended.state == "success", ended.error
    json.dumps(ended.xcom)
    assert ended.xcom["seconds"] == pytest.approx(1.25, abs=0.2)
    assert (ended.xcom["samples"], ended.xcom["unanswered"], ended.xcom["not_measured"]) == (9, 4, None)
    assert [one["side"] for one in ended.xcom["sides"]] == ["before", None, "after"]


def test_what_began_late_is_not_measured(airflow_db: None, clock: FakeClock) -> None:
    ended = _measure(clock, "--AA")
    assert (ended.state, ended.xcom["seconds"]) == ("success", None)
    assert ended.xcom["not_measured"] == "it began when traffic had left"


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("failed", "switch is failed, and traffic has not arrived"),
        ("skipped", "switch is skipped, and traffic has not arrived"),
        ("up_for_retry", "switch has not been running for 30 seconds"),
        (None, "switch has not been running for 30 seconds"),
    ],
)
def test_it_ends_with_the_switchover(
    state: str | None, says: str, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "states_of", lambda context, task_id: {-1: state})
    ended = _measure(clock, "B", switchover="switch")
    assert (ended.state, ended.xcom["not_measured"]) == ("success", says), ended.error
    assert sum(clock.slept) < 60


@pytest.mark.parametrize("state", ["running", "deferred"])
def test_it_goes_on_while_the_switchover_does(
    state: str, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "states_of", lambda context, task_id: {-1: state})
    ended = _measure(clock, "B" * 400 + "AA", switchover="switch")
    assert ended.xcom["seconds"] == pytest.approx(0.25, abs=0.1)


def test_an_airflow_that_is_away_ends_nothing(
    airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> Any:
        raise OSError

    monkeypatch.setattr(module, "states_of", away)
    ended = _measure(clock, "B" * 400 + "AA", switchover="switch")
    assert ended.xcom["seconds"] is not None


def test_a_cutover_has_what_was_measured_in_its_evidence(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    """This Airflow runs one task at a time: the sensor is too late, or comes first and gives way to the switchover."""
    drs.add_job(job())
    ended = run(
        lambda: cutover(
            job_id=JOB,
            mode="target",
            witness=lambda: "after" if drs.switched(JOB) else "before",
            measure_downtime=True,
        )
    )
    assert ended.state == "success", ended.errors
    measured = ended.pull("cutover.done")["downtime"]
    assert measured == ended.pull("cutover.downtime")
    assert measured["not_measured"] in (
        "it began when traffic had left",
        "cutover.switchover has not been running for 30 seconds",
    )
    downtime, switchover = (ended.dag.get_task(f"cutover.{name}") for name in ("downtime", "switchover"))
    assert downtime.upstream_task_ids == switchover.upstream_task_ids
    assert downtime.downstream_task_ids == {"cutover.done"}
    assert (downtime.priority_weight, downtime.weight_rule) == (1, "absolute")


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: DrsDowntimeSensor(task_id="t", witness=None), TypeError, "witness must be"),  # type: ignore[arg-type]
        (lambda: DrsDowntimeSensor(task_id="t", witness=len, mode="reschedule"), ValueError, "mode"),  # type: ignore[arg-type]
        (lambda: DrsDowntimeSensor(task_id="t", witness=lambda: None, interval=0), ValueError, "interval"),
        (lambda: cutover(job_id=JOB, mode="target", measure_downtime=True), ValueError, "needs a witness"),
    ],
)
def test_wrong_arguments(make: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        make()
