"""The approval of a cutover: a person answers in a real Airflow, by the function that serves Airflow's API."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, task

from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.simulator import Simulator
from tests.airflow.cutovers import Run, job, run
from tests.constants import JOB

pytestmark = pytest.mark.usefixtures("clock")


class Person:
    """Somebody who is logged in."""

    def get_id(self) -> str:
        return "ada"

    def get_name(self) -> str:
        return "Ada"


class Answering:
    """Where ``DAG.test`` would sleep until somebody answers, a person gives the next answer."""

    def __init__(self, *answers: str) -> None:
        self.answers = iter(answers)
        self.asked = 0
        self.thread = threading.current_thread()
        self.really_sleep = time.sleep

    def sleep(self, seconds: float) -> None:
        if threading.current_thread() is self.thread:
            self.answer()
        else:
            self.really_sleep(seconds)

    def answer(self) -> None:
        from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
        from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            waiting = session.scalars(select(TaskInstance).where(TaskInstance.state == "awaiting_input")).all()
            for ti in waiting:
                self.asked += 1
                update_hitl_detail(
                    dag_id=ti.dag_id,
                    dag_run_id=ti.run_id,
                    task_id=ti.task_id,
                    map_index=ti.map_index,
                    update_hitl_detail_payload=UpdateHITLDetailPayload(chosen_options=[next(self.answers)]),
                    user=Person(),  # type: ignore[arg-type]
                    session=session,
                )


@pytest.fixture
def answers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Answering:
    answering = Answering(*request.param)
    monkeypatch.setattr(time, "sleep", answering.sleep)
    return answering


def _run(**options: Any) -> Run:
    def build() -> None:
        group = cutover(job_id=JOB, mode="target", on_failure=BaseOperator(task_id="back"), **options)
        group >> task(task_id="next")(lambda: None)()

    # What every task of many a DAG has.
    return run(build, dag={"default_args": {"retries": 2, "retry_delay": timedelta(0)}})


@pytest.mark.parametrize("answers", [("Reject", "Approve", "Approve")], indirect=True)
def test_a_rejection_fails_the_cutover_for_good(answers: Answering, drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job())
    ended = _run(approve=True)
    assert ended.tasks == {
        "ready": "success",
        "approval": "failed",
        "switchover": "upstream_failed",
        "rollback_gate": "skipped",
        "back": "skipped",
        "done": "upstream_failed",
        "next": "upstream_failed",
    }
    assert (answers.asked, ended.state) == (1, "failed")
    assert "there was no switchover: cutover.switchover has not started (upstream_failed)" in ended.reason()
    assert drs.switched(JOB) == []


@pytest.mark.parametrize("answers", [("Reject",)], indirect=True)
def test_a_rejection_that_is_to_skip_the_cutover(answers: Answering, drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job())
    ended = _run(approve={"fail_on_reject": False, "retries": 2})
    assert ended.tasks["approval"] == "success"
    assert {ended.tasks[name] for name in ("switchover", "rollback_gate", "back", "done")} == {"skipped"}
    assert drs.switched(JOB) == []


@pytest.mark.parametrize("answers", [("Approve",)], indirect=True)
def test_an_approval(answers: Answering, drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job())
    ended = _run(approve={"subject": "Now?"})
    assert (ended.tasks["approval"], ended.tasks["done"], ended.tasks["next"]) == ("success", "success", "success")
    assert drs.switched(JOB) == ["target"]


def test_what_is_asked_says_what_the_mode_is_in_the_words_of_drs() -> None:
    with DAG("d", schedule=None) as dag:
        cutover(job_id=JOB, mode="source", approve=True)
    approval: Any = dag.get_task("cutover.approval")
    assert approval.subject == f"Switch DRS job {JOB} (source)?"
    assert "Mode `source`: DRS switches over the virtual IP address of that database." in approval.body
    assert (approval.fail_on_reject, approval.retries) == (True, 0)
