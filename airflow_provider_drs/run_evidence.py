"""What the switchover tasks of one DAG run have left behind, and the states of its tasks.

Airflow 3 has the states behind its API server, Airflow 2 in the database. Nothing else in this package looks at either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from airflow_provider_drs import protocol
from airflow_provider_drs.operators.task_state import EVIDENCE_KEY

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

Evidence: TypeAlias = dict[str, Any]

_KEYS = (EVIDENCE_KEY, "return_value")
_MAPPED = re.compile(r"(.+)_\d+")


def states_of(context: Context, task_id: str) -> dict[int, str | None]:
    """Return the states of a task in this run by map index, -1 for a task that is not mapped.

    :return: empty where the run has no such task; None for a task that has no state yet.
    :raises Exception: Airflow cannot be asked.
    """
    ti = context["ti"]
    if not hasattr(ti, "get_task_states"):
        return {other.map_index: _text(other.state) for other in _rows(context) if other.task_id == task_id}
    # Airflow writes `task_3` for the fourth of a mapped task. Asked for one task, that can be read without doubt.
    states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=[task_id]).get(ti.run_id, {})
    return {
        -1 if key == task_id else int(key.removeprefix(f"{task_id}_")): _text(state) for key, state in states.items()
    }


def evidence_of(context: Context, task_id: str, map_index: int = -1) -> Evidence:
    """Return the evidence of one switchover task, empty where it left none.

    The task publishes it under two keys. Where one of both is older (a push failed), the newer is returned.
    """
    found: Evidence = {}
    for key in _KEYS:
        pulled = context["ti"].xcom_pull(task_ids=task_id, key=key, map_indexes=map_index)
        found = _newer(found, pulled) if _is_evidence(pulled) else found
    return found


def switchovers_of_run(context: Context, job_id: str) -> list[Evidence]:
    """Return the evidence of all switchovers of a job in this run, newest last.

    What changed nothing is left out. It looks at every switchover task of the DAG, and at every task of the run that
    the DAG no longer has (renamed). The earlier switchovers of a task that was cleared are in the list too. A task that
    calls DRS by other means than :class:`~airflow_provider_drs.operators.switchover.DrsSwitchoverOperator` leaves no
    evidence and is not seen.

    :param job_id: the job.
    :return: evidence, each with ``task_id`` and ``map_index``.
    :raises Exception: Airflow cannot be asked.
    """
    found: list[Evidence] = []
    for task_id in _switchover_tasks(context):
        for last in _pull_all(context, task_id):
            for evidence in (*(last.get("earlier") or ()), last):
                whole = {"map_index": last.get("map_index", -1), **evidence, "task_id": task_id}
                if _is_evidence(whole) and whole.get("job_id") == job_id and protocol.may_have_switched(whole):
                    found.append(whole)
    return sorted(found, key=protocol.order_of)


def switches(task: Any) -> bool:
    """Tell whether a task of a DAG, mapped or not, is a ``DrsSwitchoverOperator`` or derived from it."""
    kind = getattr(task, "operator_class", type(task))  # of a mapped task, the class of its instances
    # By name: the operator imports this module.
    return isinstance(kind, type) and any(base.__name__ == "DrsSwitchoverOperator" for base in kind.__mro__)


def _pull_all(context: Context, task_id: str) -> list[Evidence]:
    """Return the evidence of all instances of a task. Gates hand on that of another task: it is not theirs."""
    newest: dict[int, Evidence] = {}
    for key in _KEYS:
        pulled: Any = context["ti"].xcom_pull(task_ids=task_id, key=key)
        several: list[Any] = [pulled] if isinstance(pulled, Mapping) or pulled is None else list(pulled)
        for one in several:
            if _is_evidence(one) and one.get("task_id", task_id) == task_id:
                index = one.get("map_index", -1)
                newest[index] = _newer(newest.get(index, {}), one)
    return list(newest.values())


def _newer(published: Evidence, returned: Evidence) -> Evidence:
    """Return the newer of what a task has under its two keys.

    It writes the first before the second, so that the second is newer only where Airflow itself has written it: what a
    task has returned that could not publish how far it had come.
    """
    return returned if not published or protocol.progress_of(returned) > protocol.progress_of(published) else published


def _switchover_tasks(context: Context) -> list[str]:
    tasks = context["dag"].task_dict
    ids = [task_id for task_id, task in tasks.items() if switches(task)]
    removed = _task_ids_of_run(context) - tasks.keys()
    return [*ids, *sorted(removed)]


def _task_ids_of_run(context: Context) -> set[str]:
    ti = context["ti"]
    if not hasattr(ti, "get_task_states"):
        return {other.task_id for other in _rows(context)}
    keys: Iterable[str] = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id]).get(ti.run_id, {})
    # `task_3` is a task of that name, or the fourth of the mapped task `task`.
    return {name for key in keys for name in (key, *_MAPPED.findall(key))}


def _rows(context: Context) -> list[Any]:
    """Return the task instances of the run as Airflow 2 has them."""
    run: Any = context["dag_run"]
    return list(run.get_task_instances())


def _is_evidence(found: Any) -> TypeGuard[Evidence]:
    return isinstance(found, dict) and "outcome" in found


def _text(state: Any) -> str | None:
    return None if state is None else str(getattr(state, "value", state))
