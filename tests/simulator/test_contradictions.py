from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from airflow_provider_drs.simulator import Job, Simulator
from tests.constants import JOB

from .conftest import Api

JOBS = [
    Job(JOB),
    Job("paused", status="PAUSING"),
    Job("failed", status="START_JOB_FAILED", task_error_code="E1", task_error_msg="no"),
]


@contextmanager
def serving(*contradictions: str) -> Iterator[Api]:
    with Simulator(jobs=JOBS, contradictions=contradictions) as simulator:
        api = Api(simulator)
        api.log_in()
        with api.session:
            yield api


def test_success_can_be_200_where_202_is_documented_and_the_reverse() -> None:
    with serving("success_code") as api:
        assert api.switch().status_code == 200
        assert api.call("batch-status", {"jobs": [JOB]}).status_code == 202
        assert api.call("batch-progress", {"jobs": [JOB]}).status_code == 200
        assert api.switch("nobody").status_code == 400


def test_the_text_of_an_error_can_have_the_other_name() -> None:
    with serving("error_field") as api:
        assert api.switch("nobody").json() == {
            "error_code": "DRS.M05003",
            "error_message": "Task information not found.",
        }
        [shown] = api.call("batch-status", {"jobs": ["failed"]}).json()["results"]
        assert shown == {"id": "failed", "status": "START_JOB_FAILED", "error_code": "E1", "error_msg": "no"}
        [shown] = api.call("batch-progress", {"jobs": ["failed"]}).json()["results"]
        assert shown["error_message"] == "no"


def test_statuses_can_have_the_other_spelling() -> None:
    with serving("PAUSEING", "STARTJOB_FAILED") as api:
        assert [api.task_status(job_id) for job_id in ("paused", "failed")] == ["PAUSEING", "STARTJOB_FAILED"]
        [shown] = api.call("batch-progress", {"jobs": ["paused"]}).json()["results"]
        assert shown["transfer_status"] == "PAUSEING"
        # The task is in the same status, however it is spelt.
        [result] = api.call("batch-retry-task", {"jobs": [{"job_id": "paused"}]}).json()["results"]
        assert result["status"] == "success"
    with serving("PAUSEING") as api:
        assert [api.task_status(job_id) for job_id in ("paused", "failed")] == ["PAUSEING", "START_JOB_FAILED"]


def test_a_batch_of_which_every_job_is_refused_can_be_400() -> None:
    with serving("refused_batch") as api:
        for call, items in (
            ("batch-status", ["nobody", "nothing"]),
            ("batch-retry-task", [{"job_id": "nobody"}, {"job_id": JOB}]),
        ):
            response = api.call(call, {"jobs": items})
            assert response.status_code == 400
            assert response.json()["results"][0]["error_code"] == "DRS.M05003"
        # One that is not refused, or a job that has failed, is no refusal of the batch.
        assert api.call("batch-status", {"jobs": ["nobody", JOB]}).status_code == 200
        assert api.call("batch-status", {"jobs": ["failed"]}).status_code == 200


def test_an_unknown_contradiction_is_refused() -> None:
    with pytest.raises(ValueError, match="no contradiction is called nothing; there are success_code"):
        Simulator(contradictions={"nothing"})
