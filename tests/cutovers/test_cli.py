"""The command line: what it prints, and its exit codes."""

from __future__ import annotations

import argparse
import json
from typing import Any

import pytest
import yaml

from airflow_provider_drs import cli
from airflow_provider_drs.simulator import Job, Simulator
from tests.constants import FAILED, JOB, OTHER_JOB, SWITCH
from tests.cutovers.conftest import ORDERS


def out(capsys: pytest.CaptureFixture[str], *arguments: str, output: str = "json") -> tuple[int, Any]:
    code = cli.main([*arguments, "--output", output])
    text = capsys.readouterr().out
    return code, json.loads(text) if output == "json" else text


def test_status(drs: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    drs.add_job(Job(JOB))
    code, [row] = out(capsys, "status", JOB)
    assert (code, row["job_id"], row["switchover"], row["job_status"]) == (0, JOB, None, "INCRE_TRANSFER_STARTED")


def test_watching_ends_with_the_switchover(drs: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    drs.add_job(Job(JOB, running=True, start_lasts=1, final=FAILED, error_code="DRS.M01501", error_msg="no"))
    code = cli.main(["status", JOB, "--watch", "--interval", "0.1", "--output", "plain"])
    lines = capsys.readouterr().out.splitlines()
    assert (code, FAILED in lines[-1], "DRS.M01501" in lines[-1]) == (1, True, True)


def test_jobs(drs: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    drs.add_job(Job(JOB))
    drs.add_job(Job(OTHER_JOB, engine_type="postgresql", db_use_type="migration"))

    def listed(*arguments: str) -> list[tuple[str, str]]:
        code, rows = out(capsys, "jobs", *arguments)
        assert code == 0
        return [(row["use"], row["job_id"]) for row in rows]

    assert listed() == [("sync", JOB)], "DRS lists those of MySQL unless an engine is named"
    assert listed("--engine", "postgresql") == [("migration", OTHER_JOB)]
    assert listed("--use", "sync", "--engine", "postgresql") == []


def test_docs(capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = out(capsys, "docs")
    assert (code, {"runbook", "connection", "switchover"} <= {row["page"] for row in rows}) == (0, True)
    code, text = out(capsys, "docs", "runbook", "--section", "closing-an-unknown-outcome", output="plain")
    assert (code, text.startswith("### Closing an unknown outcome")) == (0, True)
    assert out(capsys, "docs", "runbook", output="plain")[1].startswith("# Runbook")


@pytest.mark.parametrize(
    ("arguments", "code"), [(["docs", "nothing"], 2), (["docs", "runbook", "--section", "x y z"], 1)]
)
def test_a_page_that_is_not_there(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == code
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(("lag", "max_lag", "code"), [(0, "0", 0), (7, "5", 1), (7, "10", 0)])
def test_ready(drs: Simulator, capsys: pytest.CaptureFixture[str], lag: int, max_lag: str, code: int) -> None:
    drs.add_job(Job(JOB, lag_script=[lag]))
    found, [row] = out(capsys, "ready", JOB, "--max-lag", max_lag)
    assert (found, row["ready"], row["lag_seconds"]) == (code, code == 0, lag)


def test_a_job_that_drs_does_not_list_is_not_ready(drs: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    drs.add_job(Job(JOB))
    code, rows = out(capsys, "ready", JOB, OTHER_JOB)
    assert (code, [row["ready"] for row in rows]) == (1, [True, False])


def test_a_plan_switches_nothing(drs: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    drs.add_job(Job(JOB, lag_script=[3]))
    code, guards = out(capsys, "plan", JOB, "--mode", "target", "--max-lag", "1")
    assert (code, {g["name"]: g["ok"] for g in guards}["lag_seconds"]) == (1, False)
    code, text = out(capsys, "plan", JOB, "--mode", "target", output="table")
    assert code == 0
    assert "Nothing was sent" in text
    assert not [entry for entry in drs.journal if entry.call == SWITCH]


@pytest.mark.parametrize("output", cli.FORMATS)
def test_forms(drs: Simulator, capsys: pytest.CaptureFixture[str], output: str) -> None:
    drs.add_job(Job(JOB))
    assert cli.main(["status", JOB, "--output", output]) == 0
    text = capsys.readouterr().out
    assert JOB in text.replace("\n", "")
    if output == "yaml":
        assert yaml.safe_load(text)[0]["job_id"] == JOB


def test_cutovers_and_report(cutovers: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = out(capsys, "cutovers", "--dag", ORDERS)
    assert (code, next(row["outcome"] for row in rows), len(rows)) == (cli.PERSON, "unknown", 3)
    code, rows = out(capsys, "cutovers", "--dag", ORDERS, "--outcome", "done")
    assert (code, len(rows)) == (0, 1)
    code, text = out(capsys, "report", ORDERS, "done", output="table")
    assert (code, text.count("## Switchover")) == (0, 1)
    assert out(capsys, "report", ORDERS, "nowhere", output="table")[0] == 1


def test_doctor(drs: Simulator, airflow_db: Any, capsys: pytest.CaptureFixture[str]) -> None:
    drs.add_job(Job(JOB))
    _, rows = out(capsys, "doctor", "--job", JOB)
    found = {row["check"]: row["ok"] for row in rows}
    assert found["connection"] is found["name"] is found["IAM and DRS"] is found["clock"] is found["read a job"] is True
    assert found["switch"] is None
    assert found["triggerer"] is False  # this Airflow has none


def test_trouble_is_one_line_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", JOB, "--conn-id", "nowhere"]) == cli.TROUBLE
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["status"],
        ["plan", JOB],
        ["plan", JOB, "--mode", "both"],
        ["ready", JOB, "--max-lag", "-1"],
        ["ready", JOB, "--max-lag", "inf"],
        ["status", JOB, "--interval", "0"],
        ["switch", JOB],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == cli.USAGE


def test_airflow_has_the_same_commands() -> None:
    [group] = cli.airflow_commands()
    assert group.name == "drs"
    parser = argparse.ArgumentParser()
    own = parser.add_subparsers()
    cli.add_commands(own)
    assert {command.name for command in group.subcommands} == set(own.choices)


def test_airflows_own_command_ends_with_the_same_code(drs: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    from airflow.cli.cli_parser import get_parser

    drs.add_job(Job(JOB, lag_script=[9]))
    options = get_parser().parse_args(["drs", "ready", JOB, "--output", "json"])
    with pytest.raises(SystemExit) as ended:
        options.func(options)
    assert ended.value.code == 1
    assert json.loads(capsys.readouterr().out)[0]["lag_seconds"] == 9
