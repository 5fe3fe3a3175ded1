"""The likeliest mistakes of a newcomer: what each message says in its first 160 characters (docs/mistakes.md)."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_drs.operators.drs import DrsCompareOperator, DrsStopJobOperator, DrsSwitchoverOperator
from airflow_provider_drs.sensors.drs import DrsJobReadySensor, DrsJobStatusSensor, DrsSwitchoverSensor
from airflow_provider_drs.simulator import Fault, Job, Simulator
from tests.constants import GET_STATUS, JOB, OTHER_JOB

HEAD = 160
CONNECTION = "Connection 'drs_default'"
NOBODY = "260e27fd-4976-44dc-9948-e1265e4jb999"

# When the task runs: the task, its arguments, and what the beginning of its message names.
IN_A_RUN: dict[str, tuple[Any, dict[str, Any], tuple[str, ...]]] = {
    "blank": (DrsJobReadySensor, {"job_id": f"{JOB} "}, ("job_id", "white space", "Copy it from the console")),
    "no_id": (DrsJobReadySensor, {"job_id": "{{ none }}"}, ("job_id is None", "Check that task, or the params")),
    "unknown_job": (
        DrsJobReadySensor,
        {"job_id": NOBODY},
        (CONNECTION, NOBODY, "DRS.M05003", "Check the job id, the project and Region (region)"),
    ),
    "unknown_switchover": (
        DrsSwitchoverSensor,
        {"job_id": NOBODY},
        (CONNECTION, NOBODY, "DRS.M05003", "Check the job id, the project and Region (region)"),
    ),
    "misspelt": (
        DrsJobStatusSensor,
        {"job_id": JOB, "target_statuses": "PAUSED"},
        ("target_statuses", "'PAUSED'", "did you mean PAUSING"),
    ),
    "no_tables": (
        DrsCompareOperator,
        {"job_id": JOB, "compare": "lines"},
        ("tables is missing", "lines", 'Give tables={"database": ["table"]}'),
    ),
    "lag": (
        DrsJobReadySensor,
        {"job_id": JOB, "max_lag": "{{ none }}"},
        ("max_lag is None", "Check that task, or the params"),
    ),
    "short": (
        DrsJobReadySensor,
        {"job_id": OTHER_JOB, "timeout": 0.1, "poke_interval": 0.05},
        (OTHER_JOB, "the timeout of 0.1 seconds", "Look at the job"),
    ),
    "no_such_call": (
        DrsSwitchoverSensor,
        {"job_id": JOB},
        (CONNECTION, "APIGW.0101", "Check Region (region) and DRS endpoint (host)"),
    ),
}

# When the DAG file is read.
IN_THE_FILE: list[tuple[Any, dict[str, Any], str]] = [
    (DrsJobReadySensor, {"job_id": JOB, "deferrable": "false"}, "deferrable must be True or False, without quotes"),
    (DrsJobReadySensor, {"job_id": JOB, "soft_fail": "true"}, "soft_fail must be True or False, without quotes"),
    (DrsJobReadySensor, {"job_id": JOB, "poke_interval": 0}, "poke_interval must be more than 0 seconds"),
    (DrsStopJobOperator, {"job_id": JOB, "force": "no"}, "force must be true or false"),
    (DrsSwitchoverOperator, {"job_id": JOB, "mode": "source", "dry_run": "yes"}, "dry_run must be true or false"),
]


def test_a_run_tells_what_to_do(drs: Simulator, airflow_db: None) -> None:
    drs.add_job(Job(JOB))
    drs.add_job(Job(OTHER_JOB, status="FULL_TRANSFER_STARTED"))
    gone = Fault.status(404, "APIGW.0101", "The API does not exist or has not been published in the environment.")
    told: dict[str, str] = {}

    def note(context: Any) -> None:
        told[context["ti"].task_id] = str(context["exception"])

    with DAG("wait_poke", schedule=None, default_args={"on_failure_callback": note}) as dag:
        last: Any = None
        for task_id, (kind, arguments, _) in IN_A_RUN.items():
            options: dict[str, Any] = {"trigger_rule": "all_done", **arguments}
            if task_id == "no_such_call":
                options["pre_execute"] = lambda context: drs.fault(GET_STATUS, gone)
            one = kind(task_id=task_id, **options)
            if last is not None:
                last >> one
            last = one
    dag.test()

    assert sorted(told) == sorted(IN_A_RUN)
    for task_id, (_, _, names) in IN_A_RUN.items():
        for name in names:
            assert name in told[task_id][:HEAD], told[task_id]


@pytest.mark.parametrize(("kind", "arguments", "says"), IN_THE_FILE)
def test_the_file_tells_what_to_do(kind: Any, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        kind(task_id="x", **arguments)
    assert len(str(refused.value)) <= HEAD
