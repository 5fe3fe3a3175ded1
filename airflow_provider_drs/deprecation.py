"""How a public name is deprecated before it is removed. ``CONTRIBUTING.md`` says when to use what.

Every warning points at the user's own file, past the frames of Airflow and of this package, so that Airflow shows it
beside the DAG file that has to change.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from airflow.exceptions import AirflowProviderDeprecationWarning

from airflow_provider_drs.task import NOT_GIVEN

P = ParamSpec("P")
R = TypeVar("R")


def renamed_parameter(
    old: str, old_value: Any, new: str, new_value: Any, *, default: Any = NOT_GIVEN, removed_in: str
) -> Any:
    """Return the value of a parameter that has a new name, and warn if the old name was used.

    Both names stay in the signature, so that ``default_args`` reach either: the old one with the default
    :data:`NOT_GIVEN`, the new one with ``default``.

    :param old: the old name.
    :param old_value: what was given under the old name.
    :param new: the new name.
    :param new_value: what was given under the new name.
    :param default: the new parameter's default; :data:`NOT_GIVEN` for a required one.
    :param removed_in: the version that removes the old name.
    :raises TypeError: both names were used, or a required parameter was not given.
    """
    if old_value is NOT_GIVEN:
        if new_value is NOT_GIVEN:
            raise TypeError(f"missing parameter {new!r}")
        return new_value
    if new_value is not default and new_value != default:
        raise TypeError(f"{old!r} is the old name of {new!r}: give {new!r} only")
    _warn(f"The parameter {old!r} is now {new!r}", removed_in)
    return old_value


def deprecated(*, instead: str, removed_in: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function or method warn each time it is called.

    :param instead: what to use in its place, such as ``"DrsHook.get_job_statuses()"``.
    :param removed_in: the version that removes it.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def warning(*args: P.args, **kwargs: P.kwargs) -> R:
            _warn(f"{function.__qualname__}() is deprecated: use {instead}", removed_in)
            return function(*args, **kwargs)

        return warning

    return decorate


def renamed_names(module: str, names: Mapping[str, Any], *, removed_in: str) -> Callable[[str], Any]:
    """Return a module's ``__getattr__`` that gives out what old names stand for, with a warning.

    :param module: the module's ``__name__``.
    :param names: by old name, what it stands for now: a class or a function.
    :param removed_in: the version that removes the old names.
    """

    def __getattr__(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        now = names[name]
        _warn(f"{module}.{name} is now {now.__module__}.{now.__qualname__}", removed_in)
        return now

    return __getattr__


def _warn(message: str, removed_in: str) -> None:
    text = f"{message}; airflow-provider-drs {removed_in} removes the old one"
    warnings.warn(text, AirflowProviderDeprecationWarning, stacklevel=_users_level())


def _users_level() -> int:
    """Return the stack level, as seen from :func:`_warn`, of the first frame that is not Airflow's nor ours."""
    level, frame = 1, sys._getframe(1)
    own = {"airflow", __package__, "functools", "importlib"}
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in own:
        level, frame = level + 1, frame.f_back
    return level
