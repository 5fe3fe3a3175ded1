"""The switchovers of this Airflow, read from its database: evidence in XCom, records in the task state store."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from airflow.jobs.job import Job
from airflow.models import xcom
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session

from airflow_provider_drs import protocol
from airflow_provider_drs.cutovers.rows import Row, newest_first, row
from airflow_provider_drs.operators.task_state import EVIDENCE_KEY, RECORD_KEY

try:
    from airflow.models.task_state_store import TaskStateStoreModel
except ImportError:  # before Airflow 3.3
    TaskStateStoreModel = None  # type: ignore[assignment,misc]

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_Key = tuple[str, str, str, int]


def read_rows(
    session: Session, *, dag_ids: Collection[str] | None = None, dag_id: str | None = None, run_id: str | None = None
) -> list[Row]:
    """Return all switchovers, those that need a person first, then the newest.

    A task that was cleared has its earlier switchovers as rows of their own. A task that is cleared and has not yet
    begun again has no XCom; from Airflow 3.3 on its record is read instead.

    :param session: of Airflow's database; it is only read.
    :param dag_ids: the DAGs that whoever asks may see; None: all.
    :param dag_id: only this DAG.
    :param run_id: only this run.
    """
    states = _states(session, dag_ids, dag_id, run_id)
    found = {**_records(session, dag_ids, dag_id, run_id), **_published(session, dag_ids, dag_id, run_id)}
    rows = []
    for key, evidence in found.items():
        where = dict(zip(("dag_id", "run_id", "task_id", "map_index"), key, strict=True))
        for earlier in evidence.get("earlier") or ():
            if isinstance(earlier, dict) and "outcome" in earlier:
                rows.append(row({**earlier, **where}, state="success" if earlier["outcome"] == "done" else "failed"))
        rows.append(row({**evidence, **where}, state=states.get(key)))
    return newest_first(rows)


def triggerers_alive() -> int:
    """Return how many triggerers run."""
    with create_session() as session:
        jobs = session.query(Job).filter(Job.job_type == "TriggererJob", Job.state == "running").all()
        return sum(job.is_alive() for job in jobs)


def _published(session: Session, *limits: Any) -> dict[_Key, dict[str, Any]]:
    """Return the evidence by task. Gates hand on that of another task: it is not theirs."""
    model = _xcom_model()
    query = session.query(model).filter(model.key == EVIDENCE_KEY)
    found = {}
    for one in _limited(query, model, *limits):
        evidence = model.deserialize_value(one)
        if isinstance(evidence, dict) and "outcome" in evidence and evidence.get("task_id", one.task_id) == one.task_id:
            found[one.dag_id, one.run_id, one.task_id, one.map_index] = evidence
    return found


def _records(session: Session, *limits: Any) -> dict[_Key, dict[str, Any]]:
    model = TaskStateStoreModel
    if model is None:
        return {}
    found = {}
    for one in _limited(session.query(model).filter(model.key == RECORD_KEY), model, *limits):
        try:
            evidence = protocol.Record.from_dict(json.loads(one.value)).evidence()
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            # A person must look: it is there, and it cannot be read.
            evidence = {"outcome": "unknown", "reason": f"the record cannot be understood: {type(error).__name__}"}
        found[one.dag_id, one.run_id, one.task_id, one.map_index] = evidence
    return found


def _states(session: Session, *limits: Any) -> dict[_Key, str | None]:
    """Return the states of the tasks that switch, by their operator or by what they have left behind."""
    model, ti = _xcom_model(), TaskInstance
    columns = (ti.dag_id, ti.run_id, ti.task_id, ti.map_index, ti.state)
    published = _limited(
        session.query(*columns)
        .join(
            model,
            (model.dag_id == ti.dag_id)
            & (model.run_id == ti.run_id)
            & (model.task_id == ti.task_id)
            & (model.map_index == ti.map_index),
        )
        .filter(model.key == EVIDENCE_KEY),
        ti,
        *limits,
    )
    switching = _limited(session.query(*columns).filter(ti.operator == "DrsSwitchoverOperator"), ti, *limits)
    return {
        (dag_id, run_id, task_id, map_index): None if state is None else str(getattr(state, "value", state))
        for query in (switching, published)
        for dag_id, run_id, task_id, map_index, state in query
    }


def _xcom_model() -> Any:
    return getattr(xcom, "XComModel", None) or getattr(xcom, "XCom", None)  # the latter before Airflow 3


def _limited(query: Any, model: Any, dag_ids: Collection[str] | None, dag_id: str | None, run_id: str | None) -> Any:
    if dag_ids is not None:
        query = query.filter(model.dag_id.in_(list(dag_ids)))
    if dag_id is not None:
        query = query.filter(model.dag_id == dag_id)
    return query if run_id is None else query.filter(model.run_id == run_id)
