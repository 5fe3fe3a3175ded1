"""One run, one story: which switchover of a job is the last of a DAG run, and which one is open.

It rests on the evidence that the run's tasks have published. The only place that decides it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_drs.protocol.switchover.phases import OPEN, PROGRESS, UNCHANGED, Phase
from airflow_provider_drs.protocol.switchover.record import Record

Task = tuple[str, int]


@dataclass(frozen=True)
class SameRun:
    """What other tasks of the run have done with the job.

    :param open_elsewhere: the task whose switchover is open, "" for none.
    :param superseded_by: the task that has switched since, or may have; "" for none.
    :param order: the number of the next switchover among those of the run, from 1.
    """

    open_elsewhere: str = ""
    superseded_by: str = ""
    order: int = 1


def same_run(found: Sequence[Mapping[str, Any]], task: Task, saved: Record | None) -> SameRun:
    """Tell what other tasks of the run have done with the job.

    :param found: the evidence of all switchovers of the job in this run, each with ``task_id`` and ``map_index``.
    :param task: task id and map index of the task that asks.
    :param saved: its own record, None for none.
    """
    others = sorted((other for other in found if _task_of(other) != task), key=order_of)
    open_ones = [other for other in others if other["outcome"] in OPEN]
    since = [] if saved is None else [other for other in others if order_of(other) > order_of(saved.evidence())]
    # A number of its own under which nothing was asked is free: it must not put it after a task that saw nothing of it.
    own = 0 if saved is None else saved.order - (saved.phase in (Phase.BEGUN, Phase.READ))
    numbers = [own, *(other.get("order") or 0 for other in found)]
    return SameRun(_name(open_ones[-1]) if open_ones else "", _name(since[-1]) if since else "", max(numbers) + 1)


def may_have_switched(evidence: Mapping[str, Any]) -> bool:
    """Tell whether DRS may have switched; only for a few outcomes it is certain that it has not."""
    return evidence.get("outcome") not in UNCHANGED


def order_of(evidence: Mapping[str, Any]) -> tuple[float, str]:
    """Return what sorts the switchovers of a run in the order in which they were made.

    No clock decides it where the switchovers are numbered, which they are since 0.3. What may have been done by a task
    of which nothing is known comes last.
    """
    asked = evidence.get("posted_at") or evidence.get("attached")
    if evidence.get("outcome") == Phase.UNKNOWN and not asked:
        return math.inf, ""
    return evidence.get("order") or 0, when(evidence)


def progress_of(evidence: Mapping[str, Any]) -> tuple[float, int]:
    """Return what is larger for the newer of two evidences of one task."""
    return order_of(evidence)[0], PROGRESS.get(evidence.get("outcome", ""), 0)


def when(evidence: Mapping[str, Any]) -> str:
    """Return when a switchover was asked for, or first seen; ISO 8601 in UTC, so that it sorts. Empty: not known."""
    seen = [change.get("at") for change in evidence.get("observed") or ()][:1]
    times = (evidence.get("posted_at"), evidence.get("accepted_at"), *seen, evidence.get("finished_at"))
    return next((at for at in times if at), "")


def _task_of(evidence: Mapping[str, Any]) -> Task:
    return evidence["task_id"], -1 if evidence["map_index"] is None else evidence["map_index"]


def _name(evidence: Mapping[str, Any]) -> str:
    task_id, index = _task_of(evidence)
    return task_id if index == -1 else f"{task_id}[{index}]"
