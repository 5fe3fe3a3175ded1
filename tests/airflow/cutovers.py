"""Runs cutovers in a real Airflow, goes on with their runs as a person does who clears tasks, and makes evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowFailException
from structlog.testing import capture_logs

import airflow_provider_drs.cutover as cutover_module
from airflow_provider_drs.operators.switchover import DrsSwitchoverOperator
from airflow_provider_drs.simulator import Job
from tests.constants import COMPLETE, JOB, START

MAX_ROUNDS = 50


@dataclass
class Run:
    """How a DAG run ended: its state, that of each task, XComs, what was logged, and what each task raised."""

    state: str
    tasks: dict[str, str]
    pull: Callable[..., Any]
    lines: list[str]
    errors: dict[str, BaseException]
    dag: DAG
    run: Any

    def reason(self) -> str:
        """Return the one reason that the gate has logged."""
        [reason] = [line for line in self.lines if "olling back: " in line]
        return reason


def run(
    build: Callable[[], Any],
    *,
    dag_id: str = "wait_poke",
    dag: dict[str, Any] | None = None,
    without_retries: tuple[str, ...] = (),
    **test: Any,
) -> Run:
    """Run a DAG to its end.

    :param build: adds its tasks.
    :param dag: more arguments for the DAG.
    :param without_retries: tasks that are not tried again, so that nothing waits for that.
    :param test: for ``DAG.test``.
    """
    with DAG(dag_id, schedule=None, **(dag or {})) as made:
        build()
    for task_id in without_retries:
        made.get_task(task_id).retries = 0
    errors: dict[str, BaseException] = {}

    def note(context: Any) -> None:
        errors[context["ti"].task_id.removeprefix("cutover.")] = context["exception"]

    for each in made.tasks:
        if isinstance(each, BaseOperator):
            each.on_failure_callback = [note]
    with capture_logs() as captured:
        ended = made.test(**test)
    return _ended(made, ended, captured, errors)


def clear(before: Run, *task_ids: str, success: tuple[str, ...] = (), failed: tuple[str, ...] = ()) -> Run:
    """Clear tasks of a run that has ended, and go on with it, as ``DAG.test`` does.

    :param success: tasks that a person marks success before.
    :param failed: tasks that a person marks failed before.
    """
    from airflow.models.taskinstance import clear_task_instances
    from airflow.sdk.definitions.dag import _run_task
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, TaskInstanceState

    run_id, dag = before.run.run_id, before.dag
    tasks = dict(dag.task_dict)
    with create_session() as session, capture_logs() as captured:
        run = _run_of(dag.dag_id, run_id, session)
        run.dag = before.run.dag
        clear_task_instances(
            [ti for ti in run.get_task_instances(session=session) if ti.task_id in task_ids],
            session,
            dag_run_state=DagRunState.RUNNING,
        )
        for names, state in ((success, TaskInstanceState.SUCCESS), (failed, TaskInstanceState.FAILED)):
            for name in names:
                run.get_task_instance(name, session=session).set_state(state, session=session)
        session.commit()
        for _ in range(MAX_ROUNDS):
            session.expire_all()
            due, _ = run.update_state(session=session)
            if run.state != DagRunState.RUNNING:
                break
            for ti in due:
                ti.try_number += 1
                ti.state = TaskInstanceState.SCHEDULED
            session.commit()
            for ti in due:
                _run_task(ti=ti, task=tasks[ti.task_id], run_triggerer=True)
        else:
            raise AssertionError("the run does not end")
        session.expunge_all()
    return _ended(dag, run, captured, before.errors)


def _run_of(dag_id: str, run_id: str, session: Any) -> Any:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    return session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))


def _ended(dag: DAG, run: Any, captured: list[Any], errors: dict[str, BaseException]) -> Run:
    found = run.get_task_instances()
    return Run(
        str(run.state),
        {ti.task_id.removeprefix("cutover."): str(ti.state) for ti in found},
        lambda task_id, key="return_value": found[0].xcom_pull(task_ids=task_id, key=key),
        [" ".join(str(line.get(name, "")) for name in ("event", "reason")) for line in captured],
        errors,
        dag,
        run,
    )


def job(after: list[str | None] | None = None, **more: Any) -> Job:
    """Return a job that can be switched, with the statuses that it shows after that."""
    return Job(JOB, **{"status_script": [None], "status_after_switch": after or [START, COMPLETE], **more})


def evidence(task_id: str, outcome: str = "done", minute: int | None = 0, **more: Any) -> dict[str, Any]:
    """Return evidence as the operator publishes it, of a switchover asked for in that minute of an hour."""
    at = None if minute is None else f"2026-11-23T12:{minute:02}:00+00:00"
    over = at if outcome in ("done", "failed") else None
    return {
        **{"job_id": JOB, "mode": "target", "outcome": outcome, "task_id": task_id, "map_index": -1},
        **{"posted_at": at, "accepted_at": at, "finished_at": over, "observed": [], "attached": False},
        **{"decided_by": "drs" if over else None, "earlier": [], "approvals": [], "reason": None},
        **more,
    }


class ScriptedSwitchover(DrsSwitchoverOperator):
    """Publishes evidence as the operator does, one of its script after the other, and ends as that says.

    For what a run of the operator itself cannot be brought to.
    """

    script: ClassVar[dict[str, Iterator[dict[str, Any]]]] = {}

    def execute(self, context: Any) -> dict[str, Any]:
        index = context["ti"].map_index
        mine = next(self.script[self.task_id if index in (None, -1) else f"{self.task_id}[{index}]"])
        for key in ("switchover", "return_value"):
            context["ti"].xcom_push(key=key, value=mine)
        if mine["outcome"] != "done":
            raise AirflowFailException(f"it ended as {mine['outcome']}")
        return mine


def script(monkeypatch: pytest.MonkeyPatch, **ends: list[dict[str, Any]]) -> None:
    """Let the switchover of a cutover, and every ``ScriptedSwitchover``, end as the script says, by task id."""
    monkeypatch.setattr(cutover_module, "DrsSwitchoverOperator", ScriptedSwitchover)
    monkeypatch.setattr(ScriptedSwitchover, "script", {name: iter(all_) for name, all_ in ends.items()})
