"""What DRS says about tasks and comparisons, read whatever it looks like."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_drs.protocol import errors
from airflow_provider_drs.protocol.compare.calls import ComparePage, create_compare_task, query_compare_result
from airflow_provider_drs.protocol.errors import DrsError
from airflow_provider_drs.protocol.http import response as responses
from airflow_provider_drs.protocol.http.request import Call
from airflow_provider_drs.protocol.http.response import HttpResponse
from airflow_provider_drs.protocol.jobs.calls import (
    batch_detail,
    batch_progress,
    batch_status,
    checked_job_ids,
    pause_jobs,
    stop_jobs,
)
from airflow_provider_drs.protocol.jobs.replies import (
    Endpoint,
    JobDetail,
    JobProgress,
    JobResult,
    JobState,
    JobSummary,
    listed_jobs,
    number_of_jobs,
)
from tests.protocol.strategies import JOB, any_text, as_json, json_values, outcome, thorough


def read(call: Call[Any], body: object, status: int = 200) -> Any:
    return call.parse(responses.read(HttpResponse(status, {}, json.dumps(body).encode())))


def results(*items: object) -> dict[str, Any]:
    return {"count": len(items), "results": list(items)}


def state(**item: object) -> JobState:
    found: JobState = read(batch_status([JOB]), results(item))[JOB]
    return found


def lag(value: object) -> float | None:
    found: JobProgress = read(batch_progress([JOB]), results({"job_id": JOB, "incre_trans_delay": value}), 202)[JOB]
    return found.lag


def test_status_in_both_spellings_of_the_fields() -> None:
    assert state(id=JOB, status="PAUSEING") == JobState(JOB, "PAUSING")
    for field in ("error_msg", "error_message"):
        failed = state(job_id=JOB, status="STARTJOB_FAILED", error_code="DRS.M1", **{field: "why"})
        assert failed == JobState(JOB, "START_JOB_FAILED", "DRS.M1", "why")


@pytest.mark.parametrize("sent", [" INCRE_TRANSFER_STARTED", "INCRE_TRANSFER_STARTED\n", "incre_transfer_started"])
def test_what_only_looks_healthy_is_not(sent: str) -> None:
    assert state(id=JOB, status=sent).status != "INCRE_TRANSFER_STARTED"


@pytest.mark.parametrize(
    ("sent", "seconds"), [("0", 0.0), (0, 0.0), ("12", 12.0), (3, 3.0), ("0.5", 0.5), ("007", 7.0)]
)
def test_a_lag(sent: object, seconds: float) -> None:
    assert lag(sent) == seconds


@pytest.mark.parametrize(
    "sent",
    [
        "-1",
        -1,
        None,
        "",
        "soon",
        "nan",
        "inf",
        "1e3",
        "1_0",
        "٣",
        "0x1",
        "-0",
        True,
        False,
        [],
        {},
        "9" * 400,
        "1,5",
        "+1",
    ],
)
def test_what_is_no_lag(sent: object) -> None:
    assert lag(sent) is None


def test_a_lag_that_is_missing() -> None:
    assert read(batch_progress([JOB]), results({"id": JOB}))[JOB] == JobProgress(JOB, None)


SECRET = {"db_user": "root", "db_password": "hidden", "ssl_cert_password": "hidden", "ssl_cert_key": "hidden"}


@pytest.mark.parametrize(
    ("sent", "point"),
    [
        ({"db_type": "mysql", "ip": "192.0.2.1", "db_port": 3306, **SECRET}, Endpoint("mysql", "192.0.2.1", 3306)),
        ({"db_type": "mysql", "ip": "192.0.2.1", "db_port": "3306"}, Endpoint("mysql", "192.0.2.1", 3306)),
        ({"db_type": "mongodb", "ip": "a:1,b:2", "db_port": 0}, Endpoint("mongodb", "a:1,b:2")),
        ({"inst_id": "1in01", "inst_name": "orders", "ip": ""}, Endpoint(None, None, None, "orders")),
        ({"inst_id": "1in01", "db_port": True}, Endpoint(None, None, None, "1in01")),
        ({}, Endpoint(None, None)),
        (None, None),
        ("192.0.2.1", None),
    ],
)
def test_the_databases_of_a_job_without_their_passwords(sent: object, point: Endpoint | None) -> None:
    found = read(batch_detail([JOB]), results({"id": JOB, "source_endpoint": sent, "target_endpoint": None}))
    assert found == {JOB: JobDetail(JOB, point, None)}


@pytest.mark.parametrize(
    ("item", "cls"),
    [
        ({"error_code": "DRS.M00304"}, errors.DrsWrongStateError),
        ({"error_code": "DRS.M05003"}, errors.DrsJobNotFoundError),
        ({"error_code": "DRS.M01504"}, errors.DrsBusyError),
        ({}, errors.DrsRequestError),
    ],
)
def test_a_refusal_inside_a_2xx(item: dict[str, Any], cls: type[DrsError]) -> None:
    result: JobResult = read(stop_jobs([JOB]), results({"id": JOB, "status": "failed", **item}), 202)[JOB]
    assert not result.ok
    assert type(result.error("stopping it")) is cls
    assert "stopping it" in str(result.error("stopping it"))


@pytest.mark.parametrize(
    "body",
    [{}, {"results": None}, results(7), results({"status": "success"}), results({"id": JOB, "status": "perhaps"})],
)
def test_an_answer_that_says_nothing_is_not_taken_for_one_that_accepts(body: object) -> None:
    with pytest.raises(errors.DrsInvalidResponseError):
        read(stop_jobs([JOB]), body, 202)


def test_two_answers_about_one_job() -> None:
    with pytest.raises(errors.DrsInvalidResponseError, match="two ways"):
        read(batch_status([JOB]), results({"id": JOB, "status": "A"}, {"id": JOB, "status": "B"}))


def test_a_page_holds_all_that_were_asked_for() -> None:
    ids = [f"job-{number}" for number in range(100)]
    assert batch_status(ids).body == {"jobs": ids, "page_req": {"cur_page": 1, "per_page": 100}}
    assert batch_progress(ids).body == {"jobs": ids}, "it has no pages"
    with pytest.raises(errors.DrsArgumentError, match="100"):
        batch_status([*ids, "one-more"])
    assert "and 97 more" in batch_status(ids).subject


@pytest.mark.parametrize("ids", [[], "", None, 7, b"ab", {"a": 1}, ["a/b"], [None], "a,,b", '["a"', '{"a": 1}x y'])
def test_what_are_no_job_ids(ids: object) -> None:
    with pytest.raises(errors.DrsArgumentError):
        checked_job_ids(ids)


def test_job_control_bodies() -> None:
    assert pause_jobs(["a", "b"], "all").body == {
        "jobs": [{"job_id": "a", "pause_mode": "all"}, {"job_id": "b", "pause_mode": "all"}]
    }
    assert (stop_jobs(["a"]).method, stop_jobs(["a"]).path) == ("DELETE", "/batch-jobs")
    assert stop_jobs(["a"], force=True).body == {"jobs": [{"job_id": "a", "delete_type": "force_terminate"}]}
    with pytest.raises(errors.DrsArgumentError, match="pause_mode"):
        pause_jobs(["a"], "some")


CALLS: list[Call[Any]] = [
    batch_status([JOB]),
    batch_progress([JOB]),
    batch_detail([JOB]),
    stop_jobs([JOB]),
    create_compare_task(JOB, "objects"),
    create_compare_task(JOB, "lines", tables={"shop": []}),
    *(query_compare_result(JOB, kind, "c1") for kind in ("objects", "lines", "contents")),
]
FIELDS = (
    "id", "job_id", "status", "error_code", "error_msg", "error_message", "incre_trans_delay", "transfer_status",
    "db_type", "db_port", "ip", "inst_id", "inst_name",
    "compare_task_id", "compare_task_status", "source_db_name", "source_table_name", "line_compare_result",
    "content_compare_result", "object_type", "object_compare_result", "source_db_value", "target_db_value",
    "line_compare_overview_count", "content_compare_detail_count",
)  # fmt: skip
HOLDERS = (
    "results", "source_endpoint", "target_endpoint",
    "object_level_compare_create_result", "data_level_compare_create_result",
    "object_level_compare_results", "line_compare_results", "content_compare_results", "compare_task_list_results",
    "compare_task_list", "object_compare_overview", "object_compare_details", "line_compare_overview",
    "line_compare_details", "line_compare_detail", "content_compare_overview", "content_compare_details",
    "content_compare_detail", "content_uncompare_detail",
)  # fmt: skip
WORDS = [JOB, "c1", "success", "failed", "SUCCESSFUL", "CONSISTENT", "INCRE_TRANSFER_STARTED", "0", "-1", "DRS.M01504"]
leaves = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(WORDS) | any_text | json_values, max_size=5)
bodies = st.recursive(
    leaves | json_values,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(HOLDERS), inner, max_size=4)
        | st.dictionaries(st.sampled_from(HOLDERS), st.lists(inner, max_size=3), max_size=4)
    ),
    max_leaves=12,
)


@thorough
@given(as_json(bodies), st.sampled_from([200, 202]))
def test_any_json_is_read_or_a_typed_error(body: bytes, status: int) -> None:
    for call in CALLS:
        reply = outcome(lambda call=call: call.parse(responses.read(HttpResponse(status, {}, body))))
        if isinstance(reply, DrsError):
            str(reply)
        elif isinstance(reply, ComparePage):
            assert all(isinstance(item.name, str) for item in reply.items)
        elif isinstance(reply, dict):
            json.dumps([asdict(item) for item in reply.values()], allow_nan=False)
        else:
            assert isinstance(reply, str)


@pytest.mark.parametrize("total", [None, "3", True, 2.0, [1]])
def test_a_task_list_without_a_number_of_tasks_is_garbled(total: object) -> None:
    with pytest.raises(errors.DrsInvalidResponseError):
        number_of_jobs({"total_record": total})


def test_a_task_list_says_how_many_there_are() -> None:
    assert number_of_jobs({"total_record": 12, "jobs": []}) == 12


@pytest.mark.parametrize("jobs", [None, {}, "none", [None], [{"name": "no id"}], [{"id": ""}]])
def test_a_garbled_task_list(jobs: object) -> None:
    with pytest.raises(errors.DrsInvalidResponseError):
        listed_jobs({"total_record": 1, "jobs": jobs})


def test_a_task_list() -> None:
    full = {
        "id": JOB,
        "name": "orders",
        "status": "INCRE_TRANSFER_STARTED",
        "engine_type": "mysql",
        "job_direction": "up",
        "children": [{"id": "child"}],
    }
    assert listed_jobs({"total_record": 2, "jobs": [full, {"id": "other"}]}) == [
        JobSummary(JOB, "orders", "INCRE_TRANSFER_STARTED", "mysql", "up", 1),
        JobSummary("other", None, None),
    ]
