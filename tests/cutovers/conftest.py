"""An Airflow database with switchovers of two DAGs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, insert

from tests.airflow.waits import airflow_db
from tests.constants import OTHER_JOB
from tests.cutovers.evidence import evidence

__all__ = ["airflow_db"]

ORDERS, STOCK = "cutovers_orders", "cutovers_stock"


def add_dag(session: Any, dag_id: str) -> None:
    """Write a DAG: whoever may read DAGs may read those of this table."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel

    if session.get(DagBundleModel, "cutovers") is None:
        session.execute(insert(DagBundleModel.__table__).values(name="cutovers", active=True))
    if session.get(DagModel, dag_id) is None:
        values = {
            "dag_id": dag_id,
            "is_paused": False,
            "is_stale": False,
            "bundle_name": "cutovers",
            "fileloc": "tests",
        }
        values |= {"max_active_tasks": 1, "max_active_runs": 1, "max_consecutive_failed_dag_runs": 0}
        values |= {"has_task_concurrency_limits": False, "has_import_errors": False, "fail_fast": False}
        session.execute(insert(DagModel.__table__).values(**values))


def add_run(session: Any, dag_id: str, run_id: str) -> int:
    """Write a run, as much of it as its tables ask for; return its number."""
    from airflow._shared.timezones.timezone import utcnow
    from airflow.models.dagrun import DagRun

    add_dag(session, dag_id)
    values = {"dag_id": dag_id, "run_id": run_id, "run_type": "manual", "run_after": utcnow(), "state": "success"}
    values |= {"clear_number": 0, "log_template_id": None, "creating_job_id": None}
    done = session.execute(insert(DagRun.__table__).values(**values))
    return int(done.inserted_primary_key[0])


def add_task(
    session: Any, dag_id: str, run_id: str, state: str | None, task_id: str = "switchover", **more: Any
) -> None:
    """Write the task of a switchover."""
    from airflow.models.taskinstance import TaskInstance

    values = {"id": uuid4(), "dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": -1, "state": state}
    values |= {"operator": "DrsSwitchoverOperator", "pool": "default_pool", "pool_slots": 1, "try_number": 1}
    session.execute(insert(TaskInstance.__table__).values(**{**values, **more}))


def add_evidence(session: Any, dag_id: str, run_id: str, found: Any, task_id: str = "switchover") -> None:
    """Publish evidence as a task does."""
    from airflow.models.xcom import XComModel

    XComModel.set("switchover", found, dag_id=dag_id, task_id=task_id, run_id=run_id, session=session)


@pytest.fixture
def session(airflow_db: Path) -> Iterator[Any]:
    """A session of Airflow's database that holds no task of another test; what is written is removed afterwards."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.models.task_state_store import TaskStateStoreModel
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as opened:
        yield opened
        opened.rollback()
        for model in (XComModel, TaskStateStoreModel, TaskInstance, DagRun, DagModel):
            opened.execute(delete(model).where(model.dag_id.like("cutovers_%")))
        opened.execute(delete(DagBundleModel).where(DagBundleModel.name == "cutovers"))


@pytest.fixture
def cutovers(session: Any) -> Any:
    """Four switchovers: one done, one unknown, one that runs, and one of another DAG that failed."""
    for dag_id, run_id, outcome, state in (
        (ORDERS, "done", "done", "success"),
        (ORDERS, "unknown", "unknown", "failed"),
        (ORDERS, "running", "accepted", "deferred"),
        (STOCK, "failed", "failed", "failed"),
    ):
        add_run(session, dag_id, run_id)
        add_task(session, dag_id, run_id, state)
        found = evidence(outcome, dag_id=dag_id, run_id=run_id, task_id="switchover")
        found |= {"job_id": OTHER_JOB, "error_code": "DRS.M01501"} if dag_id == STOCK else {}
        add_evidence(session, dag_id, run_id, found)
    session.commit()
    return session
