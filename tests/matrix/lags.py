"""How long after a deferral the scheduler has read that the worker which deferred has ended, by Airflow's own logs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

Key = tuple[str, str, str, str]

TIME = r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,]\d+)"
DEFERRED = re.compile(rf"{TIME}.*Pausing task as DEFERRED")
PLACE = re.compile(r"dag_id=([^/]+)/run_id=[^/]+/task_id=([^/]+)/(?:map_index=(\d+)/)?attempt=(\d+)\.log$")
READ = re.compile(
    rf"{TIME}.*Received executor event with state success for task instance TaskInstanceKey\("
    r"dag_id='([^']+)', task_id='([^']+)', run_id='[^']+', try_number=(\d+), map_index=(-?\d+)"
)


def deferral_lags(logs: Iterable[tuple[Path, str]]) -> list[float]:
    """Return the seconds between each deferral and the moment the scheduler had read its worker's end, in order.

    :param logs: path and text of the logs of the scheduler and of all tasks.
    """
    deferred: dict[Key, float] = {}
    read: dict[Key, list[float]] = {}
    for path, text in logs:
        if path.name == "scheduler.log":
            for at, dag_id, task_id, number, index in READ.findall(text):
                read.setdefault((dag_id, task_id, number, index), []).append(_seconds(at))
        elif (place := PLACE.search(str(path))) and (found := DEFERRED.search(text)):
            dag_id, task_id, index, number = place.groups()
            deferred[dag_id, task_id, number, index or "-1"] = _seconds(found[1])
    lags = []
    for key, at in deferred.items():
        after = [moment for moment in read.get(key, ()) if moment >= at]
        lags += [round(min(after) - at, 2)] if after else []
    return sorted(lags)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace(",", ".").replace(" ", "T")).replace(tzinfo=UTC).timestamp()
