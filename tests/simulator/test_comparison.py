from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_drs.simulator import Job, Simulator
from tests.clock import FakeClock
from tests.constants import JOB

from .conftest import Api

RESULTS = {
    "shop.orders": "CONSISTENT",
    "shop.items": "INCONSISTENT",
    "shop.log": "CAN_NOT_COMPARE",
    "crm.people": "CONSISTENT",
}
EVERYTHING = [{"db_name": name} for name in ("shop", "crm", "demo")]
ASKED = {
    "objects": "object_level_compare_id",
    "lines": "line_compare_id",
    "contents": "content_compare_id",
}


def create(api: Api, kind: str, **info: object) -> Any:
    if kind == "objects":
        body: dict[str, object] = {"object_level_compare_type": "objects"}
    else:
        data = {"conflict_policy": "cancel", "compare_type": kind, "compare_object_infos": EVERYTHING, **info}
        body = {"data_level_compare_info": data}
    response = api.call("create-compare-task", {"job_id": JOB, **body})
    assert response.status_code == 200, response.text
    assert response.json()["job_id"] == JOB
    level = "object" if kind == "objects" else "data"
    return response.json()[f"{level}_level_compare_create_result"]


def result(api: Api, kind: str | None = None, task_id: str = "", page: int = 1, per_page: int = 10) -> Any:
    body = {"job_id": JOB, "current_page": page, "per_page": per_page}
    response = api.call("query-compare-result", {**body, **({ASKED[kind]: task_id} if kind else {})})
    assert response.status_code == 200
    return response.json()


def listed(api: Api) -> list[tuple[str, str]]:
    listed = result(api)["compare_task_list_results"]
    assert listed["compare_task_list_count"] == len(listed["compare_task_list"])
    return [(task["compare_type"], task["compare_task_status"]) for task in listed["compare_task_list"]]


def tables(response: Any, what: str) -> dict[str, str]:
    """Table -> result, from the response about lines or contents."""
    return {
        f"{database['source_db_name']}.{table['source_table_name']}": table[f"{what}_compare_result"]
        for database in response[f"{what}_compare_results"][f"{what}_compare_details"]
        for part in (f"{what}_compare_detail", f"{what}_uncompare_detail")
        for table in database.get(part, [])
    }


@pytest.mark.parametrize(("kind", "what"), [("lines", "line"), ("contents", "content")])
def test_a_comparison_of_data_runs_and_names_the_tables(
    simulator: Simulator, api: Api, clock: FakeClock, kind: str, what: str
) -> None:
    simulator.add_job(Job(JOB, compare_seconds=5, compare_results=RESULTS))
    task_id = create(api, kind)["compare_task_id"]
    running = result(api, kind, task_id)
    assert set(tables(running, what).values()) == {"COMPARING"}
    assert listed(api) == [(kind, "RUNNING")]
    clock.now += 5
    ended = result(api, kind, task_id)
    assert tables(ended, what) == RESULTS
    assert ended[f"{what}_compare_results"]["compare_task_id"] == task_id
    overview = ended[f"{what}_compare_results"][f"{what}_compare_overview"]
    by_database = {database["source_db_name"]: database[f"{what}_compare_result"] for database in overview}
    assert by_database == {"shop": "INCONSISTENT", "crm": "CONSISTENT"}
    assert listed(api) == [(kind, "SUCCESSFUL")]


def test_contents_tell_apart_what_cannot_be_compared(simulator: Simulator, api: Api, clock: FakeClock) -> None:
    simulator.add_job(Job(JOB, compare_seconds=0, compare_results=RESULTS))
    response = result(api, "contents", create(api, "contents")["compare_task_id"])
    shop = response["content_compare_results"]["content_compare_details"][0]
    assert [table["source_table_name"] for table in shop["content_uncompare_detail"]] == ["log"]
    assert shop["content_uncompare_detail_count"] == 1
    assert shop["content_compare_detail"][1] == {
        "source_db_name": "shop",
        "target_db_name": "shop",
        "source_table_name": "items",
        "target_table_name": "items",
        "source_row_num": 100,
        "target_row_num": 99,
        "diff_row_num": 1,
        "line_compare_result": "INCONSISTENT",
        "content_compare_result": "INCONSISTENT",
    }
    [difference] = response["content_compare_results"]["content_compare_diffs"]
    assert (difference["source_db_name"], difference["source_table_name"]) == ("shop", "items")


def test_a_comparison_of_objects_counts_and_names_them(simulator: Simulator, api: Api, clock: FakeClock) -> None:
    simulator.add_job(Job(JOB, compare_results={"shop.orders": "CONSISTENT", "shop.items": "INCONSISTENT"}))
    task_id = create(api, "objects")["compare_task_id"]
    assert result(api, "objects", task_id)["object_level_compare_results"]["object_compare_overview"] == [
        {
            "object_type": "TABLE",
            "object_compare_result": "COMPARING",
            "source_count": 2,
            "target_count": 2,
            "diff_count": 0,
        }
    ]
    clock.now += 1
    ended = result(api, "objects", task_id)["object_level_compare_results"]
    [overview] = ended["object_compare_overview"]
    assert (overview["object_compare_result"], overview["diff_count"]) == ("INCONSISTENT", 1)
    [missing] = [table for table in ended["object_compare_details"]["TABLE"] if not table["target_db_value"]]
    assert (missing["source_db_name"], missing["source_db_value"]) == ("shop", "items")


def test_objects_and_data_can_be_asked_for_at_once(api: Api) -> None:
    info = {"conflict_policy": "keep", "compare_type": "lines", "compare_object_infos": EVERYTHING}
    body = {"job_id": JOB, "object_level_compare_type": "objects", "data_level_compare_info": info}
    response = api.call("create-compare-task", body).json()
    ids = {response[f"{level}_level_compare_create_result"]["compare_task_id"] for level in ("object", "data")}
    assert len(ids) == 2
    assert listed(api) == [("object_comparison", "RUNNING"), ("lines", "RUNNING")]


@pytest.mark.parametrize("final", ["FAILED", "CANCELLED", "TIMEOUT_INTERRUPT"])
def test_a_comparison_can_end_without_a_result(simulator: Simulator, api: Api, final: str) -> None:
    simulator.add_job(Job(JOB, compare_seconds=0, compare_final=final))
    response = result(api, "lines", create(api, "lines")["compare_task_id"])
    assert listed(api) == [("lines", final)]
    assert tables(response, "line") == {"demo.orders": "FAILED_TO_COMPARE"}


def test_a_comparison_can_begin_later_and_of_some_tables_only(simulator: Simulator, api: Api, clock: FakeClock) -> None:
    simulator.add_job(Job(JOB, compare_results=RESULTS))
    some = [{"db_name": "shop", "table_name": ["orders", "items"]}, {"db_name": "crm"}]
    begins = str(int(clock.now + 10) * 1000)
    task_id = create(api, "lines", start_time=begins, compare_object_infos=some)["compare_task_id"]
    assert listed(api) == [("lines", "WAITING_FOR_RUNNING")]
    waiting = dict.fromkeys(("shop.orders", "shop.items", "crm.people"), "WAITING_FOR_COMPARISON")
    assert tables(result(api, "lines", task_id), "line") == waiting
    clock.now += 10
    assert listed(api) == [("lines", "RUNNING")]
    clock.now += 1
    assert tables(result(api, "lines", task_id), "line") == {name: RESULTS[name] for name in waiting}


def test_a_running_comparison_is_cancelled_or_kept(api: Api) -> None:
    create(api, "lines")
    assert create(api, "lines", conflict_policy="keep")["error_code"] == "DRS.M01504"
    assert create(api, "contents", conflict_policy="keep")["error_code"] == "DRS.M01504"
    assert "compare_task_id" in create(api, "objects")
    assert "compare_task_id" in create(api, "contents")
    assert listed(api) == [("lines", "CANCELLED"), ("object_comparison", "RUNNING"), ("contents", "RUNNING")]


def test_results_come_in_pages(simulator: Simulator, api: Api) -> None:
    simulator.add_job(Job(JOB, compare_seconds=0, compare_results=RESULTS))
    task_id = create(api, "lines")["compare_task_id"]
    pages = [result(api, "lines", task_id, page, per_page=1) for page in (1, 2, 3)]
    assert [{name.partition(".")[0] for name in tables(page, "line")} for page in pages] == [{"shop"}, {"crm"}, set()]
    assert pages[2]["line_compare_results"]["line_compare_overview_count"] == 2


def test_a_comparison_can_be_refused_as_a_whole(simulator: Simulator, api: Api) -> None:
    simulator.add_job(Job(JOB, compare_refused="DRS.M00304"))
    body = {"job_id": JOB, "object_level_compare_type": "objects"}
    response = api.call("create-compare-task", body)
    assert (response.status_code, response.json()["error_code"]) == (400, "DRS.M00304")
    text = "Not supported for this kind of task."
    simulator.add_job(Job(JOB, compare_refused="DRS.M09999", compare_refused_msg=text))
    response = api.call("create-compare-task", body)
    assert (response.status_code, response.json()) == (400, {"error_code": "DRS.M09999", "error_msg": text})
    assert listed(api) == []


@pytest.mark.parametrize("kind", ["objects", "lines", "contents"])
def test_a_comparison_can_be_refused_inside_a_2xx(simulator: Simulator, api: Api, kind: str) -> None:
    simulator.add_job(Job(JOB, compare_refused="DRS.M00304", compare_refused_inside=True))
    refused = create(api, kind)
    assert refused.keys() == {"error_code", "error_msg"}
    assert refused["error_code"] == "DRS.M00304"
    assert listed(api) == []


def test_a_comparison_it_does_not_know_has_no_result(simulator: Simulator, api: Api) -> None:
    task_id = create(api, "lines")["compare_task_id"]
    assert result(api, "contents", task_id)["content_compare_results"]["error_code"] == "DRS.M00002"
    assert result(api, "lines", "nothing")["line_compare_results"]["error_code"] == "DRS.M00002"


DATA = {"conflict_policy": "cancel", "compare_type": "lines"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"object_level_compare_type": "tables"}, "DRS.M00202"),
        ({"data_level_compare_info": ["lines"]}, "DRS.M00202"),
        ({"data_level_compare_info": {"compare_type": "lines"}}, "DRS.M00201"),
        ({"data_level_compare_info": {"conflict_policy": "cancel", "compare_type": "objects"}}, "DRS.M00202"),
        ({"data_level_compare_info": DATA}, "DRS.M00201"),
        ({"data_level_compare_info": {**DATA, "compare_object_infos": []}}, "DRS.M00201"),
        ({"data_level_compare_info": {**DATA, "compare_mode": "slow_comparison"}}, "DRS.M00202"),
        ({"job_id": None, "object_level_compare_type": "objects"}, "DRS.M00201"),
    ],
)
def test_a_bad_request_for_a_comparison_is_refused(api: Api, body: dict[str, object], code: str) -> None:
    response = api.call("create-compare-task", {"job_id": JOB, **body})
    assert (response.status_code, response.json()["error_code"]) == (400, code)
    assert listed(api) == []


def test_a_quick_comparison_is_of_all_tables(simulator: Simulator, api: Api) -> None:
    simulator.add_job(Job(JOB, compare_seconds=0, compare_results=RESULTS))
    task_id = create(api, "lines", compare_mode="quick_comparison", compare_object_infos=None)["compare_task_id"]
    assert tables(result(api, "lines", task_id), "line") == RESULTS


def test_a_request_for_no_comparison_creates_none(api: Api) -> None:
    response = api.call("create-compare-task", {"job_id": JOB})
    assert (response.status_code, response.json()) == (200, {"job_id": JOB})
    assert listed(api) == []


def test_a_bad_query_is_refused(api: Api) -> None:
    page = {"current_page": 1, "per_page": 10}
    for body, status in (
        ({"job_id": JOB}, 400),
        ({"job_id": JOB, **page, "per_page": 0}, 400),
        ({"job_id": "nobody", **page}, 400),
    ):
        assert api.call("query-compare-result", body).status_code == status
