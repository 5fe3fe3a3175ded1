"""The approval of a cutover: a person answers in a real Airflow, by the function that serves Airflow's API."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, task

from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.cutover_approval import table
from airflow_provider_drs.notifications import DrsCutoverMessage
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
        given = {"on_failure": BaseOperator(task_id="back")} | options
        group = cutover(job_id=JOB, mode="target", **given)
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


@dataclass
class Asked:
    """What the person was shown."""

    subject: str
    body: str
    rows: dict[str, str]


def _asked(ended: Run) -> Asked:
    from airflow.models.hitl import HITLDetail
    from airflow.utils.session import create_session

    [approval] = [ti for ti in ended.run.get_task_instances() if ti.task_id == "cutover.approval"]
    with create_session() as session:
        found = session.get_one(HITLDetail, approval.id)
        body = found.body or ""
        lines = [line for line in body.splitlines() if line.startswith("| ")]
        cells = [line.strip("| ").split(" | ", 1) for line in lines[1:]]
        return Asked(found.subject, body, dict(cells))


def _before() -> str:
    return "before"


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, {"Comparison": "^not asked for$", "Who serves now": "^not known: .* no witness", "Lag": "limit: 0 s$"}),
        (
            {
                **{"compare": "objects", "on_compare_unavailable": "skip", "max_lag": None},
                "_job": {"compare_refused": "DRS.M00304"},
            },
            {
                "Comparison": r"^\*\*skipped\*\*: DRS does not compare this job",
                "Lag": "limit: any that is known$",
            },
        ),
        (
            {"witness": _before, "compare": "objects", "max_lag": 2.5, "_job": {"lag_script": ["1.5"]}},
            {
                "Comparison": r"^done: no difference found \(objects\)$",
                "Lag": r"^1\.5 s at 20\d\d-.* UTC; limit: 2\.5 s$",
                "Who serves now": "^the witness says: before ",
                "After your answer": "the switchover status and the witness are read again",
            },
        ),
        (
            {"freeze": lambda: None, "thaw": lambda: None, "max_lag": 9, "on_failure": None},
            {"After your answer": "^the writers are stopped", "Lag": "limit: 0 s$"},
        ),
    ],
)
@pytest.mark.parametrize("answers", [("Reject",)], indirect=True)
def test_what_is_asked_has_all_that_a_person_decides_by(
    options: dict[str, Any],
    shown: dict[str, str],
    answers: Answering,
    drs: Simulator,
    airflow_db: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = drs.connection(console_url="https://console.example/jobs/{job_id}")
    monkeypatch.setenv("AIRFLOW_CONN_DRS_DEFAULT", json.dumps(connection))
    options = dict(options)
    drs.add_job(job(**{"compare_seconds": 0, **options.pop("_job", {})}))
    asked = _asked(_run(approve=True, **options))
    assert asked.subject == f"mode target: job …{JOB[-5:]}"
    assert asked.rows["Job"] == f"`{JOB}`"
    assert "the virtual IP address of the destination database" in asked.rows["Mode"]
    assert asked.rows["DRS console"] == f"[page of the job](https://console.example/jobs/{JOB})"
    for name, pattern in shown.items():
        assert re.search(pattern, asked.rows[name]), (name, asked.rows[name])


@pytest.mark.parametrize("answers", [("Approve",)], indirect=True)
def test_the_own_words_of_a_dag_win(answers: Answering, drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job())
    ended = _run(approve={"subject": "{{ 'Now' }}?", "body": "Ask Ada."})
    asked = _asked(ended)
    assert (asked.subject, asked.body) == ("Now?", "Ask Ada.")
    [approval] = ended.pull("cutover.done")["approvals"]
    assert (approval["task_id"], approval["by"], approval["answer"]) == ("cutover.approval", "Ada", "Approve")
    assert approval["at"]


@pytest.mark.parametrize(
    ("state", "minutes", "over", "told"),
    [
        ("awaiting_input", 29, False, []),
        ("awaiting_input", 31, True, [f"Waiting for approval for 31 minutes: switchover of DRS job {JOB}"]),
        ("deferred", 31, True, [f"Waiting for approval for 31 minutes: switchover of DRS job {JOB}"]),
        (None, None, False, []),
        *((state, 31, True, []) for state in ("success", "failed", "skipped", "upstream_failed")),
    ],
)
def test_somebody_is_reminded_of_an_approval_that_nobody_gives(
    state: str | None, minutes: float | None, over: bool, told: list[str]
) -> None:
    messages: list[str] = []

    def remind(message: DrsCutoverMessage) -> None:
        messages.append(message.headline())

    with DAG("d", schedule=None) as dag:
        given = {"remind": remind, "remind_after": timedelta(minutes=30)}
        group = cutover(job_id=JOB, mode="target", approve=given)
        group >> BaseOperator(task_id="next")
    reminder: Any = dag.get_task("cutover.approval_reminder")
    first = None if minutes is None else datetime.now(UTC) - timedelta(minutes=minutes)
    ti = SimpleNamespace(
        **{"dag_id": "d", "run_id": "r", "task_id": reminder.task_id, "map_index": -1},
        get_task_states=lambda **_: {"r": {"cutover.approval": state}},
        get_first_reschedule_date=lambda _: first,
    )
    assert reminder.poke({"ti": ti, "task_reschedule_count": 1}) is over
    assert messages == told
    assert dag.get_task("next").upstream_task_ids == {"cutover.switchover"}, "nothing waits for it"
    assert not reminder.on_failure_fail_dagrun
    assert reminder.upstream_task_ids == dag.get_task("cutover.approval").upstream_task_ids


@pytest.mark.parametrize("given", [{"remind": print}, {"remind_after": timedelta(1)}, {"remind": 1, "remind_after": 2}])
def test_a_reminder_needs_both(given: dict[str, Any]) -> None:
    with DAG("d", schedule=None), pytest.raises(ValueError, match="belong together"):
        cutover(job_id=JOB, mode="target", approve=given)


@pytest.mark.parametrize("answers", [("Approve",)], indirect=True)
def test_a_reminder_ends_with_the_approval(answers: Answering, drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job())
    ended = _run(approve={"remind": print, "remind_after": timedelta(hours=1)})
    assert (ended.state, ended.tasks["done"], ended.tasks["approval_reminder"]) == ("success", "success", "success")


def test_a_rejection_is_final_by_default() -> None:
    with DAG("d", schedule=None) as dag:
        cutover(job_id=JOB, mode="source", approve=True)
    approval: Any = dag.get_task("cutover.approval")
    assert (approval.fail_on_reject, approval.retries) == (True, 0)


@pytest.mark.parametrize("name", ["trigger_rule", "job_id", "witness"])
def test_what_the_cutover_itself_decides_nobody_else_gives(name: str) -> None:
    with DAG("d", schedule=None), pytest.raises(TypeError, match=name):
        cutover(job_id=JOB, mode="source", approve={name: "always"})


def test_text_of_others_cannot_break_the_table() -> None:
    assert table([("Lag", "a | b\nc")]).splitlines()[2] == "| Lag | a \\| b c |"
