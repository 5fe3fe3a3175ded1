"""Whether the triggerer may end a task."""

from __future__ import annotations

from collections.abc import Iterable
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


def may_end(task: Any, of: type[Any], endings: Iterable[str], wanted: bool | None) -> bool | None:
    """Tell whether the triggerer may end a task, as far as that can be told without what follows on it.

    :param task: an operator or a sensor.
    :param of: its class in this package.
    :param endings: the methods of that class by which a subclass may change the end; a worker only would call them.
    :param wanted: the task's ``end_from_trigger``.
    :return: None: if :func:`needs_a_worker` says that it needs none.
    """
    kind = type(task)
    hooked = getattr(task, "_post_execute_hook", None) is not None or getattr(task, "multiple_outputs", False)
    changed = any(getattr(kind, name) is not getattr(of, name) for name in ("post_execute", *endings))
    if not task.do_xcom_push or wanted is False or ((hooked or changed) and not wanted):
        return False
    return wanted
