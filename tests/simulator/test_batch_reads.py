from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_drs.simulator import Job, Simulator
from tests.clock import FakeClock
from tests.constants import JOB

from .conftest import Api

READS = ("batch-status", "batch-progress", "batch-detail")


def test_the_answers_are_shaped_as_documented(simulator: Simulator, api: Api) -> None:
    ids = {"jobs": [JOB]}
    status = api.call("batch-status", ids)
    assert (status.status_code, status.json()) == (
        200,
        {"count": 1, "results": [{"id": JOB, "status": "INCRE_TRANSFER_STARTED"}]},
    )
    progress = api.call("batch-progress", ids)
    [shown] = progress.json()["results"]
    assert progress.status_code == 202
    assert (shown["job_id"], shown["incre_trans_delay"], shown["progress"]) == (JOB, "0", "100")
    assert shown["transfer_status"] == "INCRE_TRANSFER_STARTED"
    detail = api.call("batch-detail", ids)
    [shown] = detail.json()["results"]
    assert detail.status_code == 200
    assert (shown["id"], shown["status"], shown["job_direction"]) == (JOB, "INCRE_TRANSFER_STARTED", "non-dbs")
    # The same moment: milliseconds in the details, text in the list.
    assert shown["create_time"] == "1767225600000"
    assert api.list().json()["jobs"][0]["create_time"] == "2026-01-01 00:00:00"


@pytest.mark.parametrize("call", ["batch-status", "batch-detail"])
def test_five_are_shown_unless_more_are_asked_for(simulator: Simulator, api: Api, call: str) -> None:
    ids = [f"job{number:03}" for number in range(100)]
    for job_id in ids:
        simulator.add_job(Job(job_id))

    def shown(**page: object) -> list[str]:
        response = api.call(call, {"jobs": ids, **({"page_req": page} if page else {})}).json()
        assert response["count"] == len(response["results"])
        return [result["id"] for result in response["results"]]

    assert shown() == ids[:5]
    assert shown(cur_page=2) == ids[5:10]
    assert shown(cur_page=2, per_page=40) == ids[40:80]
    assert shown(per_page=100) == shown(per_page=0) == ids
    assert shown(cur_page=21) == []


def test_the_progress_has_no_pages(simulator: Simulator, api: Api) -> None:
    ids = [f"job{number:03}" for number in range(100)]
    for job_id in ids:
        simulator.add_job(Job(job_id))
    assert len(api.call("batch-progress", {"jobs": ids}).json()["results"]) == 100
    refused = api.call("batch-progress", {"jobs": ids, "page_req": {"cur_page": 1, "per_page": 100}})
    assert (refused.status_code, refused.json()["error_code"]) == (400, "DRS.M00202")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "DRS.M00201"),
        ({"jobs": []}, "DRS.M00201"),
        ({"jobs": JOB}, "DRS.M00202"),
        ({"jobs": [{"job_id": JOB}]}, "DRS.M00202"),
        ({"jobs": ["job"] * 101}, "DRS.M00202"),
        ([], "DRS.M00200"),
    ],
)
def test_jobs_are_a_list_of_at_most_100_ids(api: Api, body: object, code: str) -> None:
    for call in READS:
        response = api.call(call, body)
        assert (response.status_code, response.json()["error_code"]) == (400, code)


@pytest.mark.parametrize(
    "page", [{"per_page": 101}, {"per_page": -1}, {"cur_page": 0}, {"per_page": "5"}, {"cur_page": True}, [1]]
)
def test_a_page_that_makes_no_sense_is_refused(api: Api, page: object) -> None:
    assert api.call("batch-status", {"jobs": [JOB], "page_req": page}).status_code == 400


def test_a_job_it_does_not_know_is_an_error_among_the_rest(api: Api) -> None:
    for call, name, text in (
        ("batch-status", "id", "error_message"),
        ("batch-detail", "id", "error_message"),
        ("batch-progress", "job_id", "error_msg"),
    ):
        response = api.call(call, {"jobs": ["nobody", JOB]})
        nobody, known = response.json()["results"]
        assert response.ok
        assert nobody == {name: "nobody", "error_code": "DRS.M05003", text: "Task information not found."}
        assert known[name] == JOB


def test_the_status_follows_a_script_one_item_a_call(simulator: Simulator, api: Api) -> None:
    script = ["FULL_TRANSFER_STARTED", None, "ABSENT", "MISSING", "INCRE_TRANSFER_FAILED"]
    simulator.add_job(Job(JOB, task_status_script=script, task_error_code="E1", task_error_msg="broken"))
    simulator.add_job(Job("other"))
    seen = []
    for _ in range(6):
        # What only looks on uses nothing up.
        api.call("batch-detail", {"jobs": [JOB]})
        api.call("batch-progress", {"jobs": [JOB]})
        seen.append(api.call("batch-status", {"jobs": [JOB, "other"]}).json()["results"][:-1])
    failed = {"id": JOB, "status": "INCRE_TRANSFER_FAILED", "error_code": "E1", "error_message": "broken"}
    assert seen == [
        [{"id": JOB, "status": "FULL_TRANSFER_STARTED"}],
        [{"id": JOB, "status": None}],
        [{"id": JOB}],
        [],
        [failed],
        [failed],
    ]


def test_what_a_script_gave_out_last_is_what_the_task_is_in(simulator: Simulator, api: Api) -> None:
    simulator.add_job(Job(JOB, task_status_script=["FULL_TRANSFER_STARTED", "INCRE_TRANSFER_STARTED", None]))
    assert api.switch().json()["error_code"] == "DRS.M00304"
    api.task_status()
    assert api.switch().json()["error_code"] == "DRS.M00304"
    api.task_status()
    api.task_status()  # null says nothing about the task
    assert api.switch().json()["status"] == "success"


def test_a_job_beyond_the_page_uses_up_nothing(simulator: Simulator, api: Api) -> None:
    simulator.add_job(Job("last", task_status_script=["CREATING", "CONFIGURATION"]))
    api.call("batch-status", {"jobs": [*[JOB] * 5, "last"]})
    assert api.task_status("last") == "CREATING"


def test_the_status_can_follow_the_clock(simulator: Simulator, api: Api, clock: FakeClock) -> None:
    series: list[tuple[float, str | None]] = [
        (1, "FULL_TRANSFER_STARTED"),
        (3, "INCRE_TRANSFER_STARTED"),
        (4, "INCRE_TRANSFER_FAILED"),
    ]
    simulator.add_job(Job(JOB, status="STARTJOBING", task_status_series=series, task_error_code="E1"))
    seen, lags = [], []
    for _ in range(5):
        seen.append(api.task_status())
        lags.append(api.lag())
        clock.now += 1
    assert seen == ["STARTJOBING", "FULL_TRANSFER_STARTED", "FULL_TRANSFER_STARTED", *(s for _, s in series[1:])]
    assert lags == ["-1", "-1", "-1", "0", "-1"]
    [progress] = api.call("batch-progress", {"jobs": [JOB]}).json()["results"]
    assert (progress["transfer_status"], progress["error_code"]) == ("INCRE_TRANSFER_FAILED", "E1")
    assert api.list(status="INCRE_TRANSFER_FAILED").json()["total_record"] == 1


def test_a_status_by_the_clock_can_be_null_and_says_nothing_about_the_job(
    simulator: Simulator, api: Api, clock: FakeClock
) -> None:
    simulator.add_job(Job(JOB, task_status_series=[(0, "FULL_TRANSFER_STARTED"), (1, None)]))
    clock.now += 1
    assert api.task_status() is None
    assert api.switch().json()["error_code"] == "DRS.M00304"


def test_the_lag_follows_a_script_and_is_sent_as_a_string(simulator: Simulator, api: Api) -> None:
    simulator.add_job(Job(JOB, lag_script=["-1", None, 7, 0.5, "soon", "", "ABSENT", 0]))
    assert [api.lag() for _ in range(6)] == ["-1", None, "7", "0.5", "soon", ""]
    assert "incre_trans_delay" not in api.call("batch-progress", {"jobs": [JOB]}).json()["results"][0]
    assert [api.lag(), api.lag()] == ["0", "0"]


def test_the_lag_can_follow_the_clock(simulator: Simulator, api: Api, clock: FakeClock) -> None:
    simulator.add_job(Job(JOB, lag_series=[(1, 30), (2, "-1"), (3, 0)]))
    seen = []
    for _ in range(4):
        seen.append(api.lag())
        clock.now += 1
    assert seen == ["0", "30", "-1", "0"]


def test_a_lag_may_be_measured_while_other_calls_go_on(simulator: Simulator, api: Api) -> None:
    measured: list[int | None] = [7, None, 0]
    asked, go_on = threading.Event(), threading.Event()

    def measure() -> int | None:
        asked.set()
        assert go_on.wait(30)
        return measured.pop(0)

    simulator.add_job(Job(JOB), lag=measure)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(api.lag)
        assert asked.wait(30)
        with Api(simulator, api.token).session as session:
            address = f"{simulator.url}{api.jobs}/{JOB}/get-switch-vip-status"
            assert session.get(address, headers={"X-Auth-Token": api.token}, timeout=10).status_code == 422
        go_on.set()
        assert first.result(30) == "7"
    assert [api.lag(), api.lag()] == [None, "0"]
    api.call("batch-pause-task", {"jobs": [{"job_id": JOB, "pause_mode": "target"}]})
    assert api.lag() == "-1"  # it does not replicate: nothing is measured
