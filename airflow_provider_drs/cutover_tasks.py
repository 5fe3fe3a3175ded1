"""What is given to a cutover, such as ``verify`` and ``on_failure``, made into tasks that run where they should.

Private to this package.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import BaseOperator, TaskGroup, TriggerRule, XComArg, task

from airflow_provider_drs.cutover_results import tells_decision
from airflow_provider_drs.run_evidence import switches

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import MappedOperator

    AnyOperator = BaseOperator | MappedOperator

# With these a task runs although everything before it was skipped.
RUNS_AFTER_SKIPPED = frozenset(
    {TriggerRule.ALL_DONE, TriggerRule.ALL_SKIPPED, TriggerRule.ALWAYS, TriggerRule.NONE_FAILED}
)


class GivenTasks:
    """All tasks of what was given, each of them downstream of ``after``, whatever of its output they use.

    :param name: of the parameter.
    :param given: a function (decorated with ``@task`` or ``@task_group``, or not), an operator, a task group, or a list
        of these. Functions are called with the output of ``after`` if they take it.
    :param after: the task that runs before all of them.
    :raises TypeError: it cannot be made a task.
    :raises ValueError: it has a task that does not wait for the one before it.
    """

    def __init__(self, name: str, given: Any, *, after: BaseOperator) -> None:
        self.name = name
        known = set(after.dag.task_ids)
        made = {t.task_id: t for one in flat(given) for t in _tasks_of(_make(name, one, after))}
        # A group may return less than it made, a function may make more than it returns.
        made |= {t.task_id: t for t in after.dag.tasks if t.task_id not in known}
        if not made:
            raise TypeError(f"{name} has no tasks: {given!r}")
        self.tasks: list[AnyOperator] = list(made.values())
        self.roots = [t for t in self.tasks if not t.upstream_task_ids & made.keys()]
        for t in self.tasks:
            if t.trigger_rule == TriggerRule.ALWAYS:
                raise ValueError(f"{name}: {t.task_id} has the trigger rule 'always' and would wait for nothing")
        for root in self.roots:
            if after.task_id not in root.upstream_task_ids:
                root.set_upstream(after)

    def check_that_a_skipped_gate_skips_them(self) -> None:
        """Check that none of them runs unless the gate before them lets it.

        :raises ValueError: the trigger rule of a task does not see to that.
        """
        first = {t.task_id for t in self.roots}
        for t in self.tasks:
            must_be_all_success = t.task_id in first or switches(t)
            if t.trigger_rule in RUNS_AFTER_SKIPPED or (
                must_be_all_success and t.trigger_rule != TriggerRule.ALL_SUCCESS
            ):
                rule = TriggerRule(t.trigger_rule).value
                raise ValueError(
                    f"{self.name}: {t.task_id} has the trigger rule {rule!r} and could run without the gate's consent; "
                    "take 'all_success'"
                )

    def retry_by_default(self, retries: int, delay: timedelta) -> None:
        """Let those that have no retries have some."""
        for t in self.tasks:
            if not t.retries:
                t.retries, t.retry_delay = retries, delay

    def all_but_setups(self) -> list[AnyOperator]:
        """Return those that a gate can wait for: Airflow wants all_success downstream of a setup."""
        return [t for t in self.tasks if not t.is_setup]

    def ids_that_count(self) -> list[str]:
        """Return the ids of those whose failure is one of the whole; a teardown's is not unless it says so."""
        return [t.task_id for t in self.tasks if _counts(t)]

    def that_count(self) -> list[AnyOperator]:
        """Return those that what comes after the whole depends on."""
        return [t for t in self.all_but_setups() if _counts(t)]


def _counts(t: AnyOperator) -> bool:
    return not t.is_teardown or bool(t.on_failure_fail_dagrun)


def flat(given: Any) -> Iterator[Any]:
    """Yield what was given, one by one where it is a list."""
    if isinstance(given, (list, tuple)):
        for one in given:
            yield from flat(one)
    else:
        yield given


def _make(name: str, given: Any, after: BaseOperator) -> Any:
    """Return what was given, or what it returns when it is called with the output of ``after``."""
    if hasattr(given, "set_upstream"):
        return given
    if not callable(given) or not _makes_tasks(given):
        raise TypeError(
            f"{name} must be a function, an operator, a partial of one or a task group, or a list of these, "
            f"not {given!r}"
        )
    takes = not _makes_operator(given) and _takes_an_argument(given)
    make = given
    if isinstance(given, FunctionType):
        # Airflow names the task after the function, and a lambda has no name.
        decorate = task(task_id=name) if given.__name__ == "<lambda>" else task
        make = decorate(tells_decision(given) if takes else given)
    return make(after.output) if takes else make()


def _makes_tasks(given: Any) -> bool:
    """Tell whether it is a function, one that Airflow has decorated, which can be mapped, or an operator to be made."""
    return isinstance(given, FunctionType) or hasattr(given, "expand") or _makes_operator(given)


def _makes_operator(given: Any) -> bool:
    """Tell whether it is ``functools.partial(SomeOperator, ...)``: the task stands where it is made."""
    return isinstance(given, partial) and isinstance(given.func, type) and issubclass(given.func, BaseOperator)


def _takes_an_argument(given: Any) -> bool:
    try:
        inspect.signature(getattr(given, "function", given)).bind(None)
    except TypeError:
        return False
    return True


def _tasks_of(made: Any) -> Iterable[AnyOperator]:
    """Return all tasks of an operator, of its output, of a task group, or of several of these."""
    if isinstance(made, TaskGroup):
        return cast("list[AnyOperator]", list(made.iter_tasks()))
    if isinstance(made, XComArg):
        return [operator for operator, _ in made.iter_references()]
    if isinstance(made, (list, tuple)):
        return [t for one in made for t in _tasks_of(one)]
    if isinstance(made, Mapping):
        return [t for one in made.values() for t in _tasks_of(one)]
    return [made] if hasattr(made, "task_id") else []
