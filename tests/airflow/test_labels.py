"""What Airflow shows of the instances of mapped tasks: the job, in place of a number."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_drs.operators.compare import DrsCompareOperator
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.operators.jobs import DrsStopJobOperator
from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor
from airflow_provider_drs.sensors.jobs import DrsJobReadySensor, DrsJobStatusSensor
from airflow_provider_drs.simulator import Job, Simulator
from tests.airflow.cutovers import run
from tests.constants import COMPLETE, START, numbered_job

pytestmark = pytest.mark.usefixtures("clock")

JOBS = [numbered_job(1), numbered_job(2)]


@pytest.mark.parametrize(
    ("kind", "more", "shown"),
    [
        (DrsSwitchoverOperator, {"mode": "target"}, JOBS),
        (DrsJobReadySensor, {}, JOBS),
        (DrsJobReadySensor, {"map_index_template": "job {{ task.job_id[-4:] }}"}, [f"job {job[-4:]}" for job in JOBS]),
    ],
)
def test_a_mapped_task_shows_its_job(
    kind: Any, more: dict[str, Any], shown: list[str], drs: Simulator, airflow_db: None
) -> None:
    for job in JOBS:
        drs.add_job(Job(job, status_script=[None], status_after_switch=[START, COMPLETE]))
    ended = run(lambda: kind.partial(task_id="mapped", **more).expand(job_id=JOBS))
    assert ended.state == "success"
    assert {ti.map_index: ti.rendered_map_index for ti in ended.run.get_task_instances()} == dict(enumerate(shown))


KINDS = (DrsSwitchoverOperator, DrsCompareOperator, DrsStopJobOperator)


@pytest.mark.parametrize("kind", [*KINDS, DrsSwitchoverSensor, DrsJobReadySensor, DrsJobStatusSensor])
def test_each_kind_has_a_label(kind: Any) -> None:
    with DAG("d", schedule=None):
        mapped = kind.partial(task_id="mapped").expand(job_id=JOBS)
    assert "task.job_id" in mapped.map_index_template
