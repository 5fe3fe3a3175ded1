from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_drs.simulator import Fault, Job, Simulator
from tests.clock import FakeClock
from tests.constants import JOB

from .conftest import Api

BODIES: dict[str, dict[str, object]] = {
    "batch-starting": {"job_id": JOB},
    "batch-pause-task": {"job_id": JOB, "pause_mode": "target"},
    "batch-retry-task": {"job_id": JOB},
    "batch-jobs": {"job_id": JOB, "delete_type": "terminate"},
}


def control(api: Api, call: str, **changes: object) -> Any:
    """Make a call for one job and give its result; checks the code that is documented for success."""
    response = api.call(call, {"jobs": [{**BODIES[call], **changes}]})
    assert response.status_code == (202 if call in ("batch-starting", "batch-jobs") else 200)
    assert response.json()["count"] == 1
    return response.json()["results"][0]


def seen_every(clock: FakeClock, api: Api, seconds: float, times: int) -> list[str | None]:
    seen: list[str | None] = []
    for _ in range(times):
        seen.append(api.task_status())
        clock.now += seconds
    return seen


RUN = ["STARTJOBING", "FULL_TRANSFER_STARTED", "INCRE_TRANSFER_STARTED", "INCRE_TRANSFER_STARTED"]


@pytest.mark.parametrize(
    ("call", "changes", "before", "step", "after"),
    [
        ("batch-starting", {}, "WAITING_FOR_START", 1, RUN),
        ("batch-starting", {}, "CONFIGURATION", 1, RUN),
        ("batch-pause-task", {}, "INCRE_TRANSFER_STARTED", 2, ["PAUSING"] * 3),
        ("batch-pause-task", {"pause_mode": "all"}, "FULL_TRANSFER_STARTED", 2, ["PAUSING"] * 3),
        ("batch-pause-task", {}, "FULL_TRANSFER_FAILED", 2, ["PAUSING"] * 3),
        ("batch-pause-task", {}, "FULL_TRANSFER_COMPLETE", 2, ["PAUSING"] * 3),
        ("batch-pause-task", {}, "INCRE_TRANSFER_FAILED", 2, ["PAUSING"] * 3),
        ("batch-retry-task", {"is_sync_re_edit": None}, "PAUSING", 2, ["PAUSING", "INCRE_TRANSFER_STARTED"]),
        ("batch-retry-task", {}, "PAUSING", 2, ["PAUSING", "INCRE_TRANSFER_STARTED"]),
        ("batch-retry-task", {"is_sync_re_edit": True}, "PAUSEING", 2, ["PAUSING", "INCRE_TRANSFER_STARTED"]),
        ("batch-retry-task", {}, "INCRE_TRANSFER_FAILED", 2, ["INCRE_TRANSFER_FAILED", "INCRE_TRANSFER_STARTED"]),
        ("batch-retry-task", {}, "START_JOB_FAILED", 1, RUN),
        ("batch-retry-task", {}, "FULL_TRANSFER_FAILED", 1, ["FULL_TRANSFER_FAILED", *RUN[1:]]),
        ("batch-jobs", {}, "INCRE_TRANSFER_STARTED", 2, ["RELEASE_RESOURCE_STARTED", "RELEASE_RESOURCE_COMPLETE"]),
        ("batch-jobs", {}, "CREATING", 2, ["RELEASE_RESOURCE_STARTED", "RELEASE_RESOURCE_COMPLETE"]),
        ("batch-jobs", {}, "RELEASE_RESOURCE_FAILED", 2, ["RELEASE_RESOURCE_STARTED", "RELEASE_RESOURCE_COMPLETE"]),
        ("batch-jobs", {"delete_type": "force_terminate"}, "INCRE_TRANSFER_FAILED", 2, ["RELEASE_RESOURCE_STARTED"]),
    ],
)
def test_an_accepted_control_changes_the_status_by_the_clock(
    simulator: Simulator,
    api: Api,
    clock: FakeClock,
    call: str,
    changes: dict[str, object],
    before: str,
    step: float,
    after: list[str],
) -> None:
    simulator.add_job(Job(JOB, status=before, transition_seconds=2))
    assert control(api, call, **changes) == {"id": JOB, "status": "success"}
    assert seen_every(clock, api, step, len(after)) == after


@pytest.mark.parametrize(
    ("call", "changes", "status"),
    [
        ("batch-starting", {}, "INCRE_TRANSFER_STARTED"),
        ("batch-pause-task", {}, "PAUSING"),
        ("batch-pause-task", {}, "STARTJOBING"),
        ("batch-pause-task", {}, "START_JOB_FAILED"),
        ("batch-retry-task", {}, "CONFIGURATION"),
        ("batch-jobs", {}, "CREATE_FAILED"),
        ("batch-retry-task", {}, "RELEASE_RESOURCE_COMPLETE"),
        ("batch-retry-task", {}, "INCRE_TRANSFER_STARTED"),
        ("batch-jobs", {}, "RELEASE_RESOURCE_STARTED"),
        ("batch-jobs", {"delete_type": "delete"}, "INCRE_TRANSFER_STARTED"),
    ],
)
def test_a_control_in_the_wrong_status_is_refused_inside_a_2xx(
    simulator: Simulator, api: Api, call: str, changes: dict[str, object], status: str
) -> None:
    simulator.add_job(Job(JOB, status=status))
    refused = control(api, call, **changes)
    assert (refused["status"], refused["error_code"]) == ("failed", "DRS.M00304")
    assert refused["error_msg"]
    assert api.task_status() == status
    assert simulator.controlled(JOB) == []


def test_every_job_has_its_own_result(simulator: Simulator, api: Api) -> None:
    simulator.add_job(Job("a", status="CONFIGURATION", transition_seconds=0))
    simulator.add_job(Job("b", status="CONFIGURATION", control_refused="DRS.M00102"))
    jobs = [{"job_id": job_id} for job_id in ("a", "b", JOB, "nobody")]
    results = api.call("batch-starting", {"jobs": jobs}).json()["results"]
    assert [(result["id"], result["status"], result.get("error_code")) for result in results] == [
        ("a", "success", None),
        ("b", "failed", "DRS.M00102"),
        (JOB, "failed", "DRS.M00304"),
        ("nobody", "failed", "DRS.M05003"),
    ]
    assert api.task_status("a") == "INCRE_TRANSFER_STARTED"
    assert api.task_status("b") == "CONFIGURATION"
    assert (simulator.controlled("a"), simulator.controlled("b")) == (["start"], [])


def test_a_control_can_end_as_its_job_says(simulator: Simulator, api: Api, clock: FakeClock) -> None:
    path = ["STARTJOBING", "START_JOB_FAILED"]
    simulator.add_job(Job(JOB, status="CONFIGURATION", transition=path, task_error_code="E1", task_error_msg="no"))
    control(api, "batch-starting")
    assert seen_every(clock, api, 1, 2) == path
    [failed] = api.call("batch-status", {"jobs": [JOB]}).json()["results"]
    assert (failed["error_code"], failed["error_message"]) == ("E1", "no")


def test_a_control_takes_the_place_of_a_script(simulator: Simulator, api: Api, clock: FakeClock) -> None:
    simulator.add_job(Job(JOB, task_status_script=["PAUSING", "CREATING"]))
    api.task_status()
    control(api, "batch-retry-task")
    assert seen_every(clock, api, 1, 3) == ["PAUSING", "INCRE_TRANSFER_STARTED", "INCRE_TRANSFER_STARTED"]


@pytest.mark.parametrize("kind", [int, str])
def test_a_start_can_be_for_later(simulator: Simulator, api: Api, clock: FakeClock, kind: type) -> None:
    simulator.add_job(Job(JOB, status="CONFIGURATION", transition_seconds=0))
    control(api, "batch-starting", start_time=kind(int(clock.now + 2) * 1000))
    assert seen_every(clock, api, 1, 3) == ["WAITING_FOR_START", "WAITING_FOR_START", "INCRE_TRANSFER_STARTED"]


def test_a_stopped_job_can_be_deleted_and_is_then_gone(simulator: Simulator, api: Api) -> None:
    simulator.add_job(Job(JOB, transition_seconds=0))
    control(api, "batch-jobs")
    assert control(api, "batch-jobs", delete_type="delete")["status"] == "success"
    assert control(api, "batch-jobs", delete_type="delete")["error_code"] == "DRS.M05004"
    assert (api.status().status_code, api.status().json()["error_code"]) == (400, "DRS.M05004")
    [shown] = api.call("batch-status", {"jobs": [JOB]}).json()["results"]
    assert shown["error_code"] == "DRS.M05004"
    assert api.list().json()["total_record"] == 0
    assert simulator.controlled(JOB) == ["terminate", "delete"]


@pytest.mark.parametrize(
    ("call", "changes", "code"),
    [
        ("batch-starting", {"job_id": ""}, "DRS.M00201"),
        ("batch-starting", {"job_id": 1}, "DRS.M00202"),
        ("batch-starting", {"start_time": "soon"}, "DRS.M00202"),
        ("batch-pause-task", {"pause_mode": None}, "DRS.M00201"),
        ("batch-pause-task", {"pause_mode": "source"}, "DRS.M00202"),
        ("batch-retry-task", {"is_sync_re_edit": "yes"}, "DRS.M00202"),
        ("batch-jobs", {"delete_type": "stop"}, "DRS.M00202"),
    ],
)
def test_a_bad_body_is_refused_as_a_whole(
    simulator: Simulator, api: Api, call: str, changes: dict[str, object], code: str
) -> None:
    simulator.add_job(Job(JOB, status="CONFIGURATION"))
    response = api.call(call, {"jobs": [BODIES[call], {**BODIES[call], **changes}]})
    assert (response.status_code, response.json()["error_code"]) == (400, code)
    assert simulator.controlled(JOB) == []


def test_too_many_jobs_are_refused(api: Api) -> None:
    for call, body in BODIES.items():
        assert api.call(call, {"jobs": [body] * 101}).status_code == 400
        assert api.call(call, {}).json()["error_code"] == "DRS.M00201"


def test_a_lost_answer_leaves_the_job_controlled(simulator: Simulator, api: Api) -> None:
    simulator.fault("batch-pause-task", Fault.lost())
    with pytest.raises(requests.ConnectionError):
        control(api, "batch-pause-task")
    assert api.task_status() == "PAUSING"
    assert simulator.controlled(JOB) == ["pause"]
