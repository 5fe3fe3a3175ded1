from __future__ import annotations

import pytest

from airflow_provider_drs.simulator import Job, Simulator
from tests.clock import FakeClock
from tests.constants import JOB

from .conftest import Api


def shown(api: Api) -> str:
    response = api.status()
    return str(response.json().get("error_code") or response.json()["status"])


def test_a_switchover_begins_runs_and_ends_by_the_clock(simulator: Simulator, api: Api, clock: FakeClock) -> None:
    simulator.add_job(Job(JOB, start_after=2, start_lasts=5))
    assert shown(api) == "DRS.M00002"
    accepted = api.switch()
    assert accepted.status_code == 202
    assert accepted.json() == {"id": JOB, "status": "success"}
    seen = []
    for _ in range(8):
        seen.append(shown(api))
        clock.now += 1
    assert seen == ["DRS.M00002"] * 2 + ["SWITCH_VIP_START"] * 5 + ["SWITCH_VIP_COMPLETE"]
    assert simulator.switched(JOB) == ["source"]


def test_a_job_can_be_in_a_switchover_from_the_start(simulator: Simulator, api: Api, clock: FakeClock) -> None:
    simulator.add_job(Job(JOB, running=True, start_lasts=1, final="SWITCH_VIP_FAILED", error_code="E1", error_msg="no"))
    assert api.status().json() == {"id": JOB, "status": "SWITCH_VIP_START"}
    clock.now += 1
    failed = {"id": JOB, "status": "SWITCH_VIP_FAILED", "error_code": "E1", "error_msg": "no"}
    assert api.status().json() == failed


def test_an_earlier_result_stands_until_start(simulator: Simulator, api: Api, clock: FakeClock) -> None:
    simulator.add_job(Job(JOB, leftover="SWITCH_VIP_COMPLETE", start_after=1, start_lasts=1, final="SWITCH_VIP_FAILED"))
    assert shown(api) == "SWITCH_VIP_COMPLETE"
    api.switch()
    assert shown(api) == "SWITCH_VIP_COMPLETE"
    clock.now += 1
    assert shown(api) == "SWITCH_VIP_START"
    clock.now += 1
    assert shown(api) == "SWITCH_VIP_FAILED"
    assert api.switch(mode="target").json()["status"] == "success"
    assert shown(api) == "SWITCH_VIP_FAILED"


@pytest.mark.parametrize(
    ("no_switchover", "status", "body"),
    [("null", 200, {"id": JOB, "status": None}), ("absent", 200, {"id": JOB}), ("empty", 422, None)],
)
def test_no_switchover_yet_is_answered_in_three_ways(
    simulator: Simulator, api: Api, no_switchover: str, status: int, body: object
) -> None:
    simulator.add_job(Job(JOB, no_switchover=no_switchover))
    response = api.status()
    assert response.status_code == status
    assert response.json() == body or response.json()["error_code"] == "DRS.M00002"


def test_a_script_goes_on_with_each_call_and_its_last_item_stays(simulator: Simulator, api: Api) -> None:
    script = ["EMPTY", None, "ABSENT", "SWITCH_VIP_START", "ODD"]
    simulator.add_job(Job(JOB, status_script=script, error_code="E1", error_msg="odd"))
    assert api.status().status_code == 422
    odd = {"id": JOB, "status": "ODD", "error_code": "E1", "error_msg": "odd"}
    assert [api.status().json() for _ in range(5)] == [
        {"id": JOB, "status": None},
        {"id": JOB},
        {"id": JOB, "status": "SWITCH_VIP_START"},
        odd,
        odd,
    ]


def test_a_script_can_begin_with_an_accepted_switchover(simulator: Simulator, api: Api) -> None:
    after = ["SWITCH_VIP_COMPLETE", None, "SWITCH_VIP_START", "SWITCH_VIP_FAILED"]
    simulator.add_job(Job(JOB, leftover="SWITCH_VIP_COMPLETE", status_after_switch=after, on_switch="refused"))
    api.switch()
    assert [shown(api) for _ in range(3)] == ["SWITCH_VIP_COMPLETE"] * 3
    simulator.add_job(Job(JOB, leftover="SWITCH_VIP_COMPLETE", status_after_switch=after))
    assert [shown(api) for _ in range(3)] == ["SWITCH_VIP_COMPLETE"] * 3
    api.switch()
    assert [api.status().json()["status"] for _ in range(5)] == [*after, "SWITCH_VIP_FAILED"]
    api.switch(mode="target")
    assert api.status().json()["status"] == "SWITCH_VIP_COMPLETE"
    assert simulator.switched(JOB) == ["source", "target"]


def test_a_script_before_the_switchover_gives_way_to_the_one_after_it(simulator: Simulator, api: Api) -> None:
    simulator.add_job(Job(JOB, status_script=["EMPTY", None], status_after_switch=["SWITCH_VIP_START"]))
    assert [api.status().status_code, api.status().json()["status"]] == [422, None]
    api.switch()
    assert shown(api) == "SWITCH_VIP_START"


@pytest.mark.parametrize("status", ["FULL_TRANSFER_STARTED", "PAUSING", "SOMETHING_NEW"])
def test_a_task_that_does_not_replicate_does_not_switch(simulator: Simulator, api: Api, status: str) -> None:
    simulator.add_job(Job(JOB, status=status))
    refused = api.switch()
    assert (refused.status_code, refused.json()["error_code"]) == (400, "DRS.M00304")
    assert simulator.switched(JOB) == []
    simulator.add_job(Job(JOB, status=status, switch_in_any_status=True))
    assert api.switch().json()["status"] == "success"


def test_a_parent_can_answer_with_its_childs_id(simulator: Simulator, api: Api) -> None:
    simulator.add_job(Job(JOB, answers_as="child", status_script=["SWITCH_VIP_START"]))
    assert api.status().json()["id"] == "child"
    assert api.switch().json()["id"] == "child"


def test_a_refusal_comes_inside_a_202(simulator: Simulator, api: Api) -> None:
    simulator.add_job(Job(JOB, on_switch="refused"))
    refused = api.switch()
    assert (refused.status_code, refused.json()["status"]) == (202, "failed")
    assert refused.json()["error_code"] == "DRS.M01504"
    simulator.add_job(Job(JOB, on_switch="refused", error_code="E2", error_msg="not now"))
    assert api.switch().json() == {"id": JOB, "status": "failed", "error_code": "E2", "error_msg": "not now"}
    assert simulator.switched(JOB) == []


def test_a_second_switchover_is_refused_while_one_is_under_way(
    simulator: Simulator, api: Api, clock: FakeClock
) -> None:
    api.switch()
    assert api.switch(mode="target").json()["error_code"] == "DRS.M01504"
    clock.now += 3
    assert api.switch(mode="target").json()["status"] == "success"
    assert simulator.switched(JOB) == ["source", "target"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "DRS.M00200"),
        (b"[]", "DRS.M00200"),
        (b"{", "DRS.M00200"),
        (b"{}", "DRS.M00201"),
        (b'{"mode": "both"}', "DRS.M00202"),
        (b'{"mode": ["source"]}', "DRS.M00202"),
    ],
)
def test_a_bad_body_is_refused_and_switches_nothing(simulator: Simulator, api: Api, body: bytes, code: str) -> None:
    response = api.request("POST", f"{api.jobs}/{JOB}/switch-vip", data=body)
    assert response.status_code == 400
    assert response.json()["error_code"] == code
    assert response.json()["error_msg"]
    assert simulator.switched(JOB) == []


def test_a_body_that_says_it_is_not_json_is_refused(api: Api) -> None:
    headers = {"Content-Type": "text/plain"}
    response = api.request("POST", f"{api.jobs}/{JOB}/switch-vip", data=b'{"mode": "source"}', headers=headers)
    assert response.json()["error_code"] == "DRS.M00200"


def test_jobs_are_listed_by_use_name_status_and_page(simulator: Simulator, api: Api) -> None:
    for number in range(3):
        simulator.add_job(Job(f"job{number}", name=f"orders-{number}"))
    simulator.add_job(Job("other", db_use_type="migration", status="CREATING"))
    simulator.add_job(Job("postgres", engine_type="postgresql", net_type="eip"))
    for page in ({"cur_page": 0}, {"per_page": 0}):
        everything = api.list(**page).json()
        assert (everything["total_record"], len(everything["jobs"])) == (4, 4)
    assert {"id", "name", "status", "db_use_type", "children"} <= set(everything["jobs"][0])
    assert [job["id"] for job in api.list(name="orders").json()["jobs"]] == ["job0", "job1", "job2"]
    assert [job["id"] for job in api.list(name="job1").json()["jobs"]] == ["job1"]  # a name, or an id
    assert [job["id"] for job in api.list(engine_type="postgresql").json()["jobs"]] == ["postgres"]
    assert [job["id"] for job in api.list(engine_type="", net_type="eip").json()["jobs"]] == ["postgres"]
    second = api.list(name="orders", cur_page=2, per_page=2).json()
    assert (second["total_record"], [job["id"] for job in second["jobs"]]) == (3, ["job2"])
    assert api.list(status="CREATING").json() == {"total_record": 0, "jobs": []}
    assert [job["id"] for job in api.list(db_use_type="migration", status="CREATING").json()["jobs"]] == ["other"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"cur_page": None}, "DRS.M00201"),
        ({"per_page": None}, "DRS.M00201"),
        ({"db_use_type": None}, "DRS.M00201"),
        ({"cur_page": -1}, "DRS.M00210"),
        ({"per_page": "10"}, "DRS.M00210"),
        ({"per_page": 101}, "DRS.M00210"),
        ({"per_page": 0, "cur_page": 2}, "DRS.M00210"),
        ({"db_use_type": "both"}, "DRS.M00202"),
    ],
)
def test_the_lists_required_fields_are_checked(api: Api, change: dict[str, object], code: str) -> None:
    response = api.list(**change)
    assert (response.status_code, response.json()["error_code"]) == (400, code)


def test_an_unknown_job_is_400(api: Api) -> None:
    for response in (api.status("nobody"), api.switch("nobody")):
        assert (response.status_code, response.json()["error_code"]) == (400, "DRS.M05003")


def test_an_id_is_taken_from_the_path_as_it_is_quoted(simulator: Simulator, api: Api) -> None:
    simulator.add_job(Job("a/..b", status_script=["SWITCH_VIP_START"]))
    assert api.status("a%2F..b").json()["id"] == "a/..b"
    entry = simulator.journal[-1]
    assert entry.job_id == "a/..b"
    assert entry.path.endswith("/jobs/a%2F..b/get-switch-vip-status")


def test_tokens_are_missing_unknown_expired_revoked_or_of_another_project(
    simulator: Simulator, api: Api, clock: FakeClock
) -> None:
    def refused() -> tuple[int, str]:
        response = api.status()
        return response.status_code, response.json()["error_code"]

    good, api.token = api.token, None
    assert refused() == (403, "DRS.M00100")
    api.token = "wrong"
    assert refused() == (403, "DRS.M00100")
    api.token = good
    assert refused() == (422, "DRS.M00002")
    simulator.revoke_tokens()
    assert refused() == (403, "DRS.M00100")
    simulator.token_lifetime = 60
    api.log_in()
    clock.now += 59.9
    assert refused() == (422, "DRS.M00002")
    clock.now += 0.1
    assert refused() == (403, "DRS.M00100")
    api.log_in()
    other = api.request("GET", f"/v3/{'0' * 32}/jobs/{JOB}/get-switch-vip-status")
    assert (other.status_code, other.json()["error_code"]) == (403, "DRS.M00261")


def test_wrong_methods_and_paths_have_an_error_code(simulator: Simulator, api: Api) -> None:
    wrong = api.request("DELETE", f"{api.jobs}/{JOB}/switch-vip")
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "POST")
    assert wrong.json()["error_code"]
    for path in (f"{api.jobs}/{JOB}", f"/v3/{simulator.project_id}/instances"):
        unknown = api.request("GET", path)
        assert (unknown.status_code, bool(unknown.json()["error_code"])) == (404, True)
    assert {entry.call for entry in simulator.journal[1:]} == {"other"}


def test_error_texts_follow_x_language(api: Api) -> None:
    english = api.status("nobody").json()["error_msg"]
    assert english == "Task information not found."
    assert api.status("nobody", headers={"X-Language": "zh-cn"}).json()["error_msg"] == "任务信息不存在。"
