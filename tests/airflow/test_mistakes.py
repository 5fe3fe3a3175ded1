"""The twelve likeliest mistakes of a newcomer, and more: what each message says at first (docs/mistakes.md)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_drs.hooks.drs import DrsHook
from airflow_provider_drs.operators.drs import DrsCompareOperator, DrsStopJobOperator, DrsSwitchoverOperator
from airflow_provider_drs.sensors.drs import DrsJobReadySensor, DrsJobStatusSensor, DrsSwitchoverSensor
from airflow_provider_drs.simulator import Fault, Job, Simulator
from tests.constants import GET_STATUS, JOB, OTHER_JOB

HEAD = 160
CONNECTION = "[Connection 'drs_default'"
NOBODY = "260e27fd-4976-44dc-9948-e1265e4jb999"

PAGE = Path(__file__).parents[2] / "docs" / "mistakes.md"

# In the connection: what is changed of one that works, and what the beginning of the message says, in a task and at the
# Test button alike.
IN_THE_CONNECTION: dict[str, tuple[dict[str, Any], str]] = {
    "no_domain": ({"domain_name": None}, "Domain name (domain_name) is required with IAM user name (login)"),
    "key": (
        {"agency": "ops"},
        "Extra (extra) has the key 'agency', which is no field; did you mean Agency (agency_name)?",
    ),
    "password": ({"password": "wrong"}, "check IAM user name (login), IAM password (password)"),
    "id": ({"project_id": "eu-de_demo"}, "Project id (project_id) is a name, 'eu-de_demo': write it into Project name"),
    "host": ({"host": "https://drs.invalid"}, "DRS endpoint (host)"),
    "ca": ({"verify": None}, "Set Verify TLS (verify) to the CA's file"),
}

# When the task runs: the task, its arguments, and what the beginning of its message names.
IN_A_RUN: dict[str, tuple[Any, dict[str, Any], tuple[str, ...]]] = {
    "blank": (
        DrsJobReadySensor,
        {"job_id": f"{JOB} "},
        (CONNECTION, "job_id", "white space", "Copy it from the console"),
    ),
    "no_id": (
        DrsJobReadySensor,
        {"job_id": "{{ none }}"},
        (CONNECTION, "job_id is None", "Check that task, or the params"),
    ),
    "unknown_job": (
        DrsJobReadySensor,
        {"job_id": NOBODY},
        (CONNECTION, NOBODY, "DRS.M05003", "Check job id, project and Region (region)"),
    ),
    "unknown_switchover": (
        DrsSwitchoverSensor,
        {"job_id": NOBODY},
        (CONNECTION, NOBODY, "DRS.M05003", "Check job id, project and Region (region)"),
    ),
    "misspelt": (
        DrsJobStatusSensor,
        {"job_id": JOB, "target_statuses": "PAUSED"},
        (CONNECTION, "target_statuses", "'PAUSED'", "did you mean PAUSING"),
    ),
    "no_tables": (
        DrsCompareOperator,
        {"job_id": JOB, "compare": "lines"},
        (CONNECTION, "tables is missing", "lines", 'Give tables={"database": ["table"]}'),
    ),
    "lag": (
        DrsJobReadySensor,
        {"job_id": JOB, "max_lag": "{{ none }}"},
        (CONNECTION, "max_lag is None", "Check that task, or the params"),
    ),
    "short": (
        DrsJobReadySensor,
        {"job_id": OTHER_JOB, "timeout": 0.1, "poke_interval": 0.05},
        (OTHER_JOB, "the timeout of 0.1 seconds", "Look at the job"),
    ),
    "no_role": (
        DrsSwitchoverSensor,
        {"job_id": JOB},
        (CONNECTION, "DRS.M00103", "IAM user name (login) needs a DRS role"),
    ),
    "no_connection": (
        DrsJobReadySensor,
        {"job_id": JOB, "drs_conn_id": "nobody"},
        ("[Connection 'nobody']", "The connection is not defined. Create it (type DRS) or set AIRFLOW_CONN_"),
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
    refused = Fault.no_permission()
    faults = {"no_such_call": gone, "no_role": refused}
    told: dict[str, str] = {}

    def note(context: Any) -> None:
        told[context["ti"].task_id] = str(context["exception"])

    with DAG("wait_poke", schedule=None, default_args={"on_failure_callback": note}) as dag:
        last: Any = None
        for task_id, (kind, arguments, _) in IN_A_RUN.items():
            options: dict[str, Any] = {"trigger_rule": "all_done", **arguments}
            if fault := faults.get(task_id):
                options["pre_execute"] = lambda context, fault=fault: drs.fault(GET_STATUS, fault)
            one = kind(task_id=task_id, **options)
            if last is not None:
                last >> one
            last = one
    dag.test()

    assert sorted(told) == sorted(IN_A_RUN)
    for task_id, (_, _, names) in IN_A_RUN.items():
        for name in names:
            assert name in told[task_id][:HEAD], told[task_id]


def test_a_mistake_in_the_connection_is_told_alike_in_a_task_and_at_the_test_button(
    drs: Simulator, airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    drs.add_job(Job(JOB))
    told: dict[str, str] = {}

    def note(context: Any) -> None:
        told[context["ti"].task_id] = str(context["exception"])

    with DAG("wait_poke", schedule=None, default_args={"on_failure_callback": note}) as dag:
        for name, (change, _) in IN_THE_CONNECTION.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_DRS_{name.upper()}", json.dumps(drs.connection(**change)))
            DrsJobReadySensor(
                task_id=name, drs_conn_id=f"drs_{name}", job_id=JOB, transient_error_timeout=0, poke_interval=0.05
            )
    dag.test()

    assert sorted(told) == sorted(IN_THE_CONNECTION)
    for name, (_, says) in IN_THE_CONNECTION.items():
        assert says in told[name][:HEAD], told[name]
        assert f"[Connection 'drs_{name}'" in told[name]
        works, text = DrsHook(f"drs_{name}").test_connection()
        assert not works
        assert says.replace(", IAM password (password)", "") in text[:HEAD], text
        assert "[Connection" not in text


def test_the_page_lists_twelve_and_says_what_the_messages_say() -> None:
    page = PAGE.read_text()
    assert re.findall(r"^(\d+)\. ", page, re.M) == [str(number) for number in range(1, 13)]
    text = " ".join(page.split())
    listed = [says for _, says in IN_THE_CONNECTION.values()]
    listed += [name for _, _, names in IN_A_RUN.values() for name in names if name not in (JOB, OTHER_JOB, NOBODY)]
    listed += [says for _, _, says in IN_THE_FILE[:1]]
    assert [says for says in listed if says not in text] == []


@pytest.mark.parametrize(("kind", "arguments", "says"), IN_THE_FILE)
def test_the_file_tells_what_to_do(kind: Any, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        kind(task_id="x", **arguments)
    assert len(str(refused.value)) <= HEAD
