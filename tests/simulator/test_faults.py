from __future__ import annotations

import asyncio
import ssl
import threading
import time

import pytest
import requests

from airflow_provider_drs.simulator import Fault, Job, Simulator
from airflow_provider_drs.simulator.faults import FAULT_NAMES
from tests.constants import JOB

from .conftest import Api

STATUS = "get-switch-vip-status"
SCRIPT = ["SWITCH_VIP_START", "SWITCH_VIP_COMPLETE"]


@pytest.fixture(autouse=True)
def scripted(simulator: Simulator) -> None:
    simulator.add_job(Job(JOB, status_script=list(SCRIPT)))


@pytest.mark.parametrize(
    ("fault", "status", "headers", "content"),
    [
        (Fault.too_many(3), 429, {"Retry-After": "3"}, b"APIG.0308"),
        (Fault.too_many("Wed, 21 Oct 2026 07:28:00 GMT"), 429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, b"{"),
        (Fault.status(502), 502, {}, b""),
        (Fault.status(400, "DRS.M01503", "Too frequent.", {"X-Extra": "1"}), 400, {"X-Extra": "1"}, b'"DRS.M01503"'),
        (Fault.wrong_json(), 200, {"Content-Type": "application/json"}, b'"SWITCH_'),
        (Fault.html(502), 502, {"Content-Type": "text/html; charset=utf-8"}, b"<html>"),
        (Fault.empty(), 200, {"Content-Length": "0"}, b""),
        (Fault.json(["a"], 203), 203, {"Content-Type": "application/json"}, b'["a"]'),
        (Fault.raw(b"\xff\x00", 201, {"X-Extra": "2"}), 201, {"X-Extra": "2"}, b"\xff\x00"),
        (Fault.expired_token(), 403, {}, b'"DRS.M00100"'),
        (Fault.plain_401(), 401, {}, b"Unauthorized"),
        (Fault.no_permission(), 401, {}, b'"DRS.M00103"'),
        (Fault.too_frequent(), 400, {"Content-Type": "application/json"}, b'"DRS.M01503"'),
        (Fault.busy(), 202, {}, b'"DRS.M01504"'),
        (Fault.redirect("https://elsewhere.example/"), 302, {"Location": "https://elsewhere.example/"}, b""),
    ],
)
def test_a_fault_answers_in_the_calls_place(
    simulator: Simulator, api: Api, fault: Fault, status: int, headers: dict[str, str], content: bytes
) -> None:
    simulator.fault(STATUS, fault)
    response = api.status()
    assert response.status_code == status
    assert headers.items() <= response.headers.items()
    assert content in response.content
    assert simulator.calls(STATUS)[-1].status == status
    assert api.status().json()["status"] == SCRIPT[0]  # over, and no item of the script was used up


def test_busy_refuses_every_job_that_a_call_names_and_does_nothing(simulator: Simulator, api: Api) -> None:
    simulator.fault("*", Fault.busy(), times=None)
    text = "Another operation is being performed on the migration task or the migration task is abnormal."
    outcome = {"status": "failed", "error_code": "DRS.M01504", "error_msg": text}
    assert api.switch().json() == {"id": JOB, **outcome}
    both = {"count": 2, "results": [{"id": JOB, **outcome}, {"id": "b", **outcome}]}
    assert api.call("batch-status", {"jobs": [JOB, "b"]}).json() == both
    paused = api.call("batch-pause-task", {"jobs": [{"job_id": job_id, "pause_mode": "all"} for job_id in (JOB, "b")]})
    assert (paused.status_code, paused.json()) == (202, both)
    refused = api.call("create-compare-task", {"job_id": JOB, "object_level_compare_type": "objects"})
    assert (refused.status_code, refused.json()["error_code"]) == (202, "DRS.M01504")
    [progress] = api.call("batch-progress", {"jobs": [JOB]}).json()["results"]
    assert progress == {"job_id": JOB, **outcome}
    assert api.call("batch-status", {}).json()["error_code"] == "DRS.M01504"
    assert api.call("batch-status", {"jobs": []}).status_code == 400
    simulator.clear_faults()
    assert (simulator.switched(JOB), simulator.controlled(JOB)) == ([], [])


def test_slow_gives_the_normal_answer_later(simulator: Simulator, api: Api) -> None:
    simulator.fault(STATUS, Fault.slow(0.2))
    begun = time.monotonic()
    assert api.status().json()["status"] == SCRIPT[0]
    assert time.monotonic() - begun >= 0.2


def test_a_client_that_does_not_wait_for_a_slow_answer_leaves_no_status(simulator: Simulator, api: Api) -> None:
    simulator.fault(STATUS, Fault.slow(0.3))
    with pytest.raises(requests.ReadTimeout):
        api.status(timeout=0.05)
    assert simulator.calls(STATUS)[0].answered is False
    assert simulator.wait_for(STATUS)[0].status is None


def test_a_slow_answer_does_not_hold_up_the_end() -> None:
    with Simulator(tls=False) as simulator:
        simulator.fault("list-jobs", Fault.slow(60))
        api = Api(simulator)

        def ask() -> None:
            with pytest.raises(requests.ConnectionError):
                api.list()

        waiting = threading.Thread(target=ask)
        waiting.start()
        simulator.wait_for("list-jobs", answered=False)
        begun = time.monotonic()
    waiting.join(10)
    api.session.close()
    assert time.monotonic() - begun < 30


async def read_status(api: Api) -> bytes:
    """What comes back on a plain connection: of the clients, some ask again and some call a reset an end."""
    simulator = api.simulator
    tls = ssl.create_default_context(cafile=simulator.ca_file) if simulator.tls else None
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port, ssl=tls)
    try:
        path = f"{api.jobs}/{JOB}/get-switch-vip-status"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: {api.token}\r\n\r\n".encode())
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize(("fault", "next_item"), [(Fault.reset(), 0), (Fault.lost(), 1)])
def test_reset_comes_before_any_byte_and_lost_after_the_effect(tls: bool, fault: Fault, next_item: int) -> None:
    with Simulator(tls=tls, jobs=[Job(JOB, status_script=list(SCRIPT))]) as simulator:
        api = Api(simulator)
        api.log_in()
        simulator.fault(STATUS, fault)
        with pytest.raises(ConnectionResetError):
            asyncio.run(read_status(api))
        assert simulator.calls(STATUS)[-1].status is None
        assert api.status().json()["status"] == SCRIPT[next_item]
        api.session.close()


def test_a_lost_switchover_has_begun_and_a_reset_one_has_not(simulator: Simulator, api: Api) -> None:
    simulator.fault("switch-vip", Fault.reset())
    simulator.fault("switch-vip", Fault.lost())
    for accepted in ([], ["target"]):
        with pytest.raises(requests.ConnectionError):
            api.switch(mode="target")
        assert simulator.switched(JOB) == accepted
    assert [(entry.status, entry.answered) for entry in simulator.calls("switch-vip")] == [(None, True)] * 2


@pytest.mark.parametrize("tls", [True, False])
def test_cut_sends_the_headers_and_half_the_body(tls: bool) -> None:
    with Simulator(tls=tls, jobs=[Job(JOB)]) as simulator:
        api = Api(simulator)
        api.log_in()
        whole = api.status().content
        simulator.fault(STATUS, Fault.cut())
        response = api.status(stream=True)
        assert int(response.headers["Content-Length"]) == len(whole)
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match=f"{len(whole) // 2} bytes read"):
            response.content  # noqa: B018 - reading is what fails
        assert simulator.calls(STATUS)[-1].status is None
        api.session.close()


def test_faults_of_one_call_queue_up_and_go_before_those_of_any_call(simulator: Simulator, api: Api) -> None:
    simulator.fault("*", Fault.status(500))
    simulator.fault(STATUS, Fault.status(501), times=2)
    simulator.fault(STATUS, Fault.status(502))
    assert api.log_in().status_code == 201  # "*" is any call of DRS, not of IAM
    assert [api.status().status_code for _ in range(5)] == [501, 501, 502, 500, 200]


def test_a_fault_can_stay_until_it_is_cleared(simulator: Simulator, api: Api) -> None:
    simulator.fault("*", Fault.status(503), times=None)
    assert [api.status().status_code, api.list().status_code, api.switch().status_code] == [503, 503, 503]
    simulator.clear_faults()
    assert api.status().status_code == 200


def test_iam_can_fail_as_well(simulator: Simulator, api: Api) -> None:
    simulator.fault("tokens", Fault.too_many(1))
    assert [api.log_in().status_code, api.log_in().status_code] == [429, 201]


def test_a_simulator_can_go_down_and_come_back(simulator: Simulator, api: Api) -> None:
    assert api.status().ok
    with simulator.down(), pytest.raises(requests.ConnectionError):
        api.status()
    assert api.status().ok


def test_every_constructor_has_a_name_that_json_can_use() -> None:
    constructors = {name for name, value in vars(Fault).items() if isinstance(value, classmethod)}
    assert constructors - {"named"} == set(FAULT_NAMES)
