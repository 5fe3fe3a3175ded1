"""What the arguments of operators and sensors hold once they are rendered. The only place that reads them.

A value may be native, or text that a template made of it: plain, JSON, or as Python writes it. No value (None, an empty
text, or the text that a template makes of None) is the default for optional ids and lists only. For everything else it
is an error: a limit that rendered to nothing must not pass for no limit.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import TypeVar, cast

from airflow_provider_drs.protocol.errors import DrsArgumentError, one_line

_T = TypeVar("_T")

MAX_SECONDS = 10 * 365 * 86400.0
_MAX_TEXT = 1_000_000
_NOTHING = frozenset({"", "None", "null"})
_FLAGS = {"true": True, "false": False}


def is_nothing(value: object) -> bool:
    """Tell whether ``value`` is None, or what a template makes of None or of nothing."""
    return value is None or (isinstance(value, str) and value.strip() in _NOTHING)


def number(name: str, value: object, *, at_least: float = 0.0, at_most: float = math.inf, whole: bool = False) -> float:
    """Return a number, or text that is one.

    :param name: the argument, for messages.
    :raises DrsArgumentError: it is none, or not within its bounds.
    """
    value = given(name, value)
    found = math.nan
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            found = float(value)
        except (ValueError, OverflowError):
            found = math.nan
    if not math.isfinite(found) or not at_least <= found <= at_most or (whole and found != int(found)):
        bounds = f"at least {at_least:g}" + ("" if math.isinf(at_most) else f" and at most {at_most:g}")
        raise _wrong(name, f"a {'whole ' if whole else ''}number, {bounds}", value)
    return found


def seconds(name: str, value: object) -> float:
    """Return a duration in seconds: of a timedelta, a number, or text that is a number.

    :raises DrsArgumentError: it is none of these, negative, or more than ten years.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    try:
        return number(name, value, at_most=MAX_SECONDS)
    except DrsArgumentError:
        given(name, value)
        raise _wrong(name, "seconds or a timedelta, from 0 to ten years", value) from None


def flag(name: str, value: object) -> bool:
    """Return a flag: a boolean, or the text ``true`` or ``false`` in any case.

    :raises DrsArgumentError: it is neither.
    """
    value = given(name, value)
    found = _FLAGS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise _wrong(name, "true or false", value)
    return found


def choice(name: str, value: object, known: Sequence[str]) -> str:
    """Return the one of ``known`` that ``value`` is.

    :raises DrsArgumentError: it is none of them.
    """
    value = given(name, value)
    found = value.strip() if isinstance(value, str) else value
    if found not in known:
        listed = [repr(one) for one in known]
        raise _wrong(name, f"{', '.join(listed[:-1])} or {listed[-1]}" if len(listed) > 1 else listed[0], value)
    return str(found)


def optional_id(name: str, value: object) -> str | None:
    """Return an id, None for no value.

    :raises DrsArgumentError: it is no text.
    """
    if is_nothing(value):
        return None
    if not isinstance(value, str):
        raise _wrong(name, "text", value)
    return value.strip()


def items(name: str, value: object) -> list[object] | None:
    """Return the items of a list, None for no value.

    :param value: a list, a tuple, a set or another sequence; a JSON list or a Python one as text; or text with commas
        between the items.
    :raises DrsArgumentError: it is no list.
    """
    if is_nothing(value):
        return None
    if isinstance(value, str):
        text = value.strip()
        value = _literal(name, text, "a list") if text[0] in "[({" else [part.strip() for part in text.split(",")]
    if isinstance(value, (bytes, bytearray)) or not isinstance(value, (Sequence, AbstractSet)):
        raise _wrong(name, "a list", value)
    return list(value)


def mapping(name: str, value: object) -> dict[object, object] | None:
    """Return a mapping, or one written as text in JSON or Python; None for no value.

    :raises DrsArgumentError: it is none.
    """
    if is_nothing(value):
        return None
    if isinstance(value, str):
        value = _literal(name, value.strip(), "a mapping")
    if not isinstance(value, Mapping):
        raise _wrong(name, "a mapping", value)
    return dict(value)


def given(name: str, value: _T | None) -> _T:
    """Return a value that must be there.

    :raises DrsArgumentError: there is none.
    """
    if is_nothing(value):
        found = "None" if value is None or str(value).strip() else "empty"
        raise DrsArgumentError(
            f"{name} is {found}: the template or the task it comes from gave no value. "
            "Check that task, or the params of the run"
        )
    return cast("_T", value)


def _literal(name: str, text: str, kind: str) -> object:
    """Read text as JSON, else as a Python literal."""
    for read in (json.loads, ast.literal_eval) if len(text) <= _MAX_TEXT else ():
        try:
            return cast("object", read(text))
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    raise _wrong(name, f"{kind}, in JSON or as Python writes it", text)


def _wrong(name: str, wanted: str, value: object) -> DrsArgumentError:
    return DrsArgumentError(f"{name} must be {wanted}, not {one_line(repr(value), 80)}")
