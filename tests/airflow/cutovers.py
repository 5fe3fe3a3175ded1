"""Runs cutovers in a real Airflow, goes on with their runs as a person does who clears tasks, and makes evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from structlog.testing import capture_logs

import airflow_provider_drs.cutover as cutover_module
from airflow_provider_drs.operators.switchover import DrsSwitchoverOperator
from airflow_provider_drs.simulator import Job
from tests.constants import COMPLETE, JOB, START


@dataclass
class Run:
    """How a DAG run ended: its state, that of each task, XComs, and what was logged."""

    state: str
    tasks: dict[str, str]
    pull: Callable[..., Any]
    lines: list[str]
    dag: DAG
    run: Any

    def reason(self) -> str:
        """Return the one reason that the gate has logged."""
        [reason] = [line for line in self.lines if "olling back: " in line]
        return reason


def run(build: Callable[[], Any], *, dag_id: str = "wait_poke", dag: dict[str, Any] | None = None, **test: Any) -> Run:
    """Run a DAG to its end.

    :param build: adds its tasks.
    :param dag: more arguments for the DAG.
    :param test: for ``DAG.test``.
    """
    with DAG(dag_id, schedule=None, **(dag or {})) as made:
        build()
    with capture_logs() as captured:
        ended = made.test(**test)
    return _ended(made, ended, captured)


def clear(before: Run, *task_ids: str) -> Run:
    """Clear tasks of a run that has ended, and go on with it, as ``DAG.test`` does."""
    from airflow.models.taskinstance import clear_task_instances
    from airflow.sdk.definitions.dag import _run_task
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, TaskInstanceState

    run_id, dag = before.run.run_id, before.dag
    with create_session() as session, capture_logs() as captured:
        run = _run_of(dag.dag_id, run_id, session)
        run.dag = before.run.dag
        clear_task_instances(
            [ti for ti in run.get_task_instances(session=session) if ti.task_id in task_ids],
            session,
            dag_run_state=DagRunState.RUNNING,
        )
        session.commit()
        while run.state == DagRunState.RUNNING:
            session.expire_all()
            due, _ = run.update_state(session=session)
            assert due or run.state != DagRunState.RUNNING, "the run stands still"
            for ti in due:
                ti.try_number += 1
                ti.state = TaskInstanceState.SCHEDULED
            session.commit()
            for ti in due:
                _run_task(ti=ti, task=dag.task_dict[ti.task_id], run_triggerer=True)
        session.expunge_all()
    return _ended(dag, run, captured)


def _run_of(dag_id: str, run_id: str, session: Any) -> Any:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    return session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))


def _ended(dag: DAG, run: Any, captured: list[Any]) -> Run:
    found = run.get_task_instances()
    return Run(
        str(run.state),
        {ti.task_id.removeprefix("cutover."): str(ti.state) for ti in found},
        lambda task_id, key="return_value": found[0].xcom_pull(task_ids=task_id, key=key),
        [
            " ".join(str(line.get(name, "")) for name in ("event", "reason", "exception", "error_detail"))
            for line in captured
        ],
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


@dataclass
class Script:
    """What the switchover tasks of a cutover are to leave behind, by task id."""

    ends: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cutover_module, "DrsSwitchoverOperator", ScriptedSwitchover)
        monkeypatch.setattr(ScriptedSwitchover, "script", {name: iter(all_) for name, all_ in self.ends.items()})
