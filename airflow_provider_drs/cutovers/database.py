"""The switchovers of this Airflow, read from its database: evidence in XCom, records in the task state store."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from contextlib import suppress
from types import SimpleNamespace
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
    limits = (dag_ids, dag_id, run_id)
    found = _published(session, *limits)
    found |= _records(session, found.keys(), *limits)
    states = _states(session, found.keys(), *limits)
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
    columns = (model.dag_id, model.run_id, model.task_id, model.map_index, model.value)
    found = {}
    for *key, value in _limited(session.query(*columns).filter(model.key == EVIDENCE_KEY), model, *limits):
        evidence = _evidence(model, value)
        if isinstance(evidence, dict) and "outcome" in evidence and evidence.get("task_id", key[2]) == key[2]:
            found[_key(key)] = evidence
    return found


def _evidence(model: Any, value: Any) -> Any:
    """Return what an XCom holds. Evidence is plain JSON: of thousands, Airflow's own reading takes seconds."""
    with suppress(TypeError, ValueError):
        plain = json.loads(value)
        if isinstance(plain, dict) and "outcome" in plain:
            return plain
    return model.deserialize_value(SimpleNamespace(value=value))


def _key(parts: Sequence[Any]) -> _Key:
    dag_id, run_id, task_id, map_index = parts
    return str(dag_id), str(run_id), str(task_id), int(map_index)


def _records(session: Session, known: Collection[_Key], *limits: Any) -> dict[_Key, dict[str, Any]]:
    """Return the evidence of the records of tasks that are not ``known``: that have published nothing."""
    model = TaskStateStoreModel
    if model is None:
        return {}
    columns = (model.dag_id, model.run_id, model.task_id, model.map_index, model.value)
    found = {}
    for *parts, value in _limited(session.query(*columns).filter(model.key == RECORD_KEY), model, *limits):
        key = _key(parts)
        if key in known:
            continue
        try:
            evidence = protocol.Record.from_dict(json.loads(value)).evidence()
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            # A person must look: it is there, and it cannot be read.
            evidence = {"outcome": "unknown", "reason": f"the record cannot be understood: {type(error).__name__}"}
        found[key] = evidence
    return found


def _states(session: Session, wanted: Collection[_Key], *limits: Any) -> dict[_Key, str | None]:
    """Return the states of the tasks that switch, by their operator or by what they have left behind."""
    model, ti = _xcom_model(), TaskInstance
    columns = (ti.dag_id, ti.run_id, ti.task_id, ti.map_index, ti.state)

    def states(query: Any) -> dict[_Key, str | None]:
        return {_key(parts): None if state is None else str(getattr(state, "value", state)) for *parts, state in query}

    found = states(_limited(session.query(*columns).filter(ti.operator == "DrsSwitchoverOperator"), ti, *limits))
    if all(key in found for key in wanted):
        return found
    # A class of the user's own has another name.
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
    return found | states(published)


def _xcom_model() -> Any:
    return getattr(xcom, "XComModel", None) or getattr(xcom, "XCom", None)  # the latter before Airflow 3


def _limited(query: Any, model: Any, dag_ids: Collection[str] | None, dag_id: str | None, run_id: str | None) -> Any:
    if dag_ids is not None:
        query = query.filter(model.dag_id.in_(list(dag_ids)))
    if dag_id is not None:
        query = query.filter(model.dag_id == dag_id)
    return query if run_id is None else query.filter(model.run_id == run_id)
