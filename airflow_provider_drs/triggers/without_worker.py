"""Whether the triggerer may end a task."""

from __future__ import annotations

from typing import Any

from airflow_provider_drs import lineage


def needs_a_worker(task: Any) -> bool:
    """Tell whether a task that succeeds has something that Airflow takes care of on a worker only.

    When the triggerer ends a task, Airflow leaves out its asset events, its success callbacks and its listeners, such
    as OpenLineage's, without a word, and fails what is mapped over its output.

    :param task: an operator, or what a triggerer knows of it.
    """
    called_back = getattr(task, "on_success_callback", None) or getattr(task, "has_on_success_callback", False)
    if task.outlets or called_back or lineage.is_on():
        return True
    return bool(task.get_dag()) and next(iter(task.iter_mapped_dependants()), None) is not None
