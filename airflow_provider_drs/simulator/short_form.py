"""The short form in which the command line takes a job or a fault."""

from __future__ import annotations

import json
import re


def values_of(text: str, *positional: str) -> dict[str, object]:
    """Read ``VALUE,...,key=value,...`` into the keys and values of the JSON form.

    What follows ``key=`` up to the next ``,key=`` is JSON where it is valid JSON, and otherwise a string.

    :param positional: the keys of the values at the beginning, which have no ``key=`` and are strings
    :raises ValueError: if these values are not all there
    """
    first, *pairs = re.split(r",(?=\w+=)", text)
    words = first.split(",")
    if len(words) != len(positional) or not all(words) or "=" in first:
        raise ValueError(f"it begins with {','.join(positional).upper()}, not {text!r}")
    values: dict[str, object] = dict(zip(positional, words, strict=True))
    for pair in pairs:
        key, _, value = pair.partition("=")
        values[key] = _json_or_text(value)
    return values


def _json_or_text(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value
