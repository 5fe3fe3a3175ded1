"""What the versions of Airflow do differently, where common-compat has no bridge. Nothing else asks for a version."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

if not AIRFLOW_V_3_0_PLUS:  # there a worker may read Airflow's database
    from airflow.models.taskreschedule import TaskReschedule
    from airflow.utils.session import create_session

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# What Airflow 2.11 says of a deferral that took too long; 3.0 and later have an exception for it.
TIMED_OUT_IN_2 = "Trigger/execution timeout"


def earlier_pokes(context: Context) -> tuple[int, float | None]:
    """Return how often this try was rescheduled, and when it first began, seconds since the epoch."""
    ti: Any = context["ti"]
    if AIRFLOW_V_3_0_PLUS:
        first = ti.get_first_reschedule_date(context)
        at = first.timestamp() if isinstance(first, datetime) else None
        return int(context.get("task_reschedule_count") or 0), at
    with create_session() as session:
        begun = [row.start_date for row in session.scalars(TaskReschedule.stmt_for_task_instance(ti))]
    return len(begun), begun[0].timestamp() if begun else None


def is_deferral_timeout(error: BaseException) -> bool:
    """Tell whether Airflow ended a deferral because its time was up."""
    return type(error).__name__ == "TaskDeferralTimeout" or str(error) == TIMED_OUT_IN_2


def unguarded(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``execute`` of a base class without Airflow's check that a worker calls it.

    Airflow 2.11 takes the call from a subclass for one from outside: it warns, or fails with
    ``allow_nested_operators=False``.
    """
    return inspect.unwrap(execute)
