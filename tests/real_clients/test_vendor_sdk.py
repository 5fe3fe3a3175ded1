"""The vendor's SDK against the simulator: signed requests over TLS, responses read strictly by the SDK's own models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_drs.simulator import Simulator

from .conftest import ENDED, FAILING, JOBS, NOBODY, RUNNING, WAITING, run_script


def account(simulator: Simulator) -> dict[str, Any]:
    names = ("url", "ca_file", "project_id", "access_key", "secret_key", "security_token")
    return {name: getattr(simulator, name) for name in names} | {"jobs": [RUNNING, WAITING, FAILING, ENDED, NOBODY]}


@pytest.fixture(scope="module")
def told(cloud: Simulator) -> dict[str, Any]:
    """What the SDK told of each call."""
    return run_script("vendor_sdk.py", account(cloud))


def read(told: dict[str, Any], call: str) -> Any:
    return json.loads(told[call]["read"])


@pytest.mark.parametrize(
    ("call", "status"),
    [
        ("list", 200),
        ("status", 200),
        ("detail", 200),
        ("progress", 202),
        ("create lines", 200),
        ("create contents", 200),
        ("result of objects", 200),
        ("result of lines", 200),
        ("result of contents", 200),
        ("result of nothing", 200),
        ("start", 202),
        ("pause", 200),
        ("retry", 200),
        ("delete", 202),
    ],
)
def test_every_response_is_what_the_sdks_models_say(told: dict[str, Any], call: str, status: int) -> None:
    assert (told[call]["status"], told[call]["differences"]) == (status, [])


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        ("create without tables", 400, "DRS.M00201"),
        ("result for nobody", 400, "DRS.M05003"),
        ("wrong key", 401, "APIG.0301"),
    ],
)
def test_errors_are_read_by_the_sdk(told: dict[str, Any], call: str, status: int, code: str) -> None:
    assert (told[call]["status"], told[call]["code"]) == (status, code)
    assert told[call]["text"]


def test_the_sdk_reads_jobs(told: dict[str, Any]) -> None:
    listed = {job["id"]: job for job in read(told, "list")["jobs"]}
    assert set(listed) == {RUNNING, WAITING, FAILING, ENDED}
    assert listed[RUNNING]["create_time"] == "2026-01-01 00:00:00"
    assert [(job["id"], job.get("status")) for job in read(told, "status")["results"]] == [
        (RUNNING, "INCRE_TRANSFER_STARTED"),
        (FAILING, "INCRE_TRANSFER_FAILED"),
        (NOBODY, None),
    ]
    assert read(told, "status")["count"] == 3
    assert read(told, "progress")["results"][0]["incre_trans_delay"] == "0"
    assert read(told, "detail")["results"][0]["create_time"] == "1767225600000"


def test_the_sdk_reads_comparisons(told: dict[str, Any]) -> None:
    [overview] = read(told, "result of objects")["object_level_compare_results"]["object_compare_overview"]
    assert overview["object_compare_result"] == "INCONSISTENT"
    lines = read(told, "result of lines")
    [database] = lines["line_compare_results"]["line_compare_details"]
    assert {table["source_table_name"] for table in database["line_compare_detail"]} == {"orders", "items", "log"}
    contents = read(told, "result of contents")["content_compare_results"]
    [database] = contents["content_compare_details"]
    assert [table["source_table_name"] for table in database["content_uncompare_detail"]] == ["log"]
    assert [difference["source_table_name"] for difference in contents["content_compare_diffs"]] == ["items"]
    kinds = [task["compare_type"] for task in lines["compare_task_list_results"]["compare_task_list"]]
    assert kinds == ["object_comparison", "lines", "contents"]


def test_the_sdk_controls_jobs(told: dict[str, Any], cloud: Simulator) -> None:
    outcomes = {
        call: [(result["id"], result["status"], result.get("error_code")) for result in read(told, call)["results"]]
        for call in ("start", "pause", "retry", "delete")
    }
    gone = (NOBODY, "failed", "DRS.M05003")
    assert outcomes == {
        "start": [(WAITING, "success", None), gone],
        "pause": [(RUNNING, "success", None), gone],
        "retry": [(RUNNING, "success", None), (FAILING, "success", None)],
        "delete": [(RUNNING, "success", None), (ENDED, "success", None), gone],
    }
    assert cloud.controlled(RUNNING) == ["pause", "retry", "terminate"]


def test_the_models_are_read_strictly() -> None:
    with Simulator(jobs=JOBS, contradictions=["error_field"], security_token="temporary") as simulator:
        told = run_script("vendor_sdk.py", account(simulator))
    assert told["status"]["differences"] == [
        "$.results[1].error_msg is unknown to QueryJobStatusResp",
        "$.results[2].error_msg is unknown to QueryJobStatusResp",
    ]
