"""Writes switchovers of the past into the database of the Airflow whose environment this runs in.

``python -m tests.e2e.history``, with a JSON list on standard input: ``{"dag_id", "run_id", "state", "evidence"}`` each.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.constants import START, numbered_job

TASK = "switchover"
HISTORY_DAG = "history"


def past_switchover(number: int, began_at: float, outcome: str = "done", **more: Any) -> dict[str, Any]:
    """Return a switchover as `write` takes it, with its evidence as the core makes it.

    :param number: of its job.
    :param began_at: seconds since the epoch.
    :param more: more of the evidence.
    """
    from airflow_provider_drs.protocol import Record, utc

    run_id = f"run-{number:05}"
    actor = {"dag_id": HISTORY_DAG, "run_id": run_id, "task_id": TASK, "map_index": -1, "user": "ada"}
    lag = {"name": "lag_seconds", "ok": True, "value": 0.0, "limit": "known and at most 0 s", "at": utc(began_at + 1)}
    record = Record(
        numbered_job(number), "target", began_at=began_at, guarded_at=began_at + 1, guards=[lag],
        posted_at=began_at + 2, accepted_at=began_at + 3,
        observed=[{"status": None, "at": utc(began_at + 1)}, {"status": START, "at": utc(began_at + 4)}], actor=actor,
    )  # fmt: skip
    evidence = record.evidence() | {"outcome": outcome, "decided_by": "drs", "finished_at": utc(began_at + 30)} | more
    state = "success" if outcome == "done" else "failed"
    return {"dag_id": HISTORY_DAG, "run_id": run_id, "state": state, "evidence": evidence}


def hours_ago(hours: float) -> float:
    """Return the time, in seconds since the epoch."""
    return (datetime.now(UTC) - timedelta(hours=hours)).timestamp()


def write(switchovers: Sequence[Mapping[str, Any]]) -> None:
    """Write switchovers as tasks of runs, with their evidence where tasks leave it."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import insert, select

    from tests.cutovers.conftest import add_dag

    now = datetime.now(UTC)
    run = {"run_type": "manual", "run_after": now, "clear_number": 0, "log_template_id": None, "creating_job_id": None}
    task = {"task_id": TASK, "operator": "DrsSwitchoverOperator", "pool": "default_pool", "pool_slots": 1}
    task |= {"map_index": -1, "try_number": 1}
    with create_session() as session:
        for dag_id in {one["dag_id"] for one in switchovers}:
            add_dag(session, dag_id)
        names = [{key: one[key] for key in ("dag_id", "run_id", "state")} for one in switchovers]
        session.execute(insert(DagRun.__table__), [run | name for name in names])
        session.execute(insert(TaskInstance.__table__), [task | name | {"id": uuid4()} for name in names])
        numbers = {(d, r): n for d, r, n in session.execute(select(DagRun.dag_id, DagRun.run_id, DagRun.id))}
        session.execute(
            insert(XComModel.__table__),
            [
                {"dag_id": one["dag_id"], "run_id": one["run_id"], "task_id": TASK, "map_index": -1, "timestamp": now,
                 "dag_run_id": numbers[one["dag_id"], one["run_id"]], "key": "switchover", "value": one["evidence"],
                 "dag_result": False}
                for one in switchovers
            ],
        )  # fmt: skip


if __name__ == "__main__":
    write(json.load(sys.stdin))
