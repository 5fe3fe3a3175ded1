"""How often a try was started, by the log in Airflow 2's database. From Airflow 3 on a task has no database."""

from __future__ import annotations

from typing import Any

from airflow.models.log import Log
from airflow.utils.session import create_session

_TRY = ("dag_id", "task_id", "run_id", "map_index", "try_number")


def starts_in_log(ti: Any) -> int:
    """Return how often the try of a task instance was started."""
    with create_session() as session:
        same_try = [getattr(Log, name) == getattr(ti, name) for name in _TRY]
        return int(session.query(Log).filter(Log.event == "running", *same_try).count())
