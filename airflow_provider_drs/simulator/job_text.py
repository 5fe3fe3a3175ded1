"""A job as the command line writes it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

from airflow_provider_drs.simulator.jobs import Job

_KINDS: Final = {known.name: str(known.type) for known in fields(Job)}


def job_from_text(text: str) -> Job:
    """A job from ``ID[,key=value...]``; a comma that no ``key=`` follows belongs to the value before it.

    A script is written ``item|item``, a series ``seconds:value|seconds:value``, results ``table:result|table:result``;
    ``null`` stands for None. Raises ValueError.
    """
    job_id, *parts = text.split(",")
    pairs: list[tuple[str, str]] = []
    for part in parts:
        key, equals, value = part.partition("=")
        if equals:
            pairs.append((key.strip(), value))
        elif pairs:
            pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]},{part}")
        else:
            raise ValueError(f"a job is written ID,key=value,..., not {text!r}")
    values: dict[str, Any] = {"job_id": job_id}
    for key, value in pairs:
        try:
            values[key] = _value(_KINDS.get(key, "str"), value)
        except ValueError:
            raise ValueError(f"{key} cannot be read from {value!r}") from None
    return Job.from_dict(values)


def _value(kind: str, text: str) -> Any:
    if kind == "float":
        return float(text)
    if kind == "bool":
        return {"true": True, "false": False}.get(text, text)
    if kind == "dict[str, str]":
        return dict(_pair(item) for item in text.split("|"))
    if kind.startswith(("Series", "list[tuple")):
        return [(float(seconds), _or_none(value)) for seconds, value in map(_pair, text.split("|"))]
    if kind.startswith("list"):
        return [_or_none(item) for item in text.split("|")]
    return _or_none(text) if "None" in kind else text


def _pair(text: str) -> tuple[str, str]:
    first, colon, second = text.partition(":")
    if not colon:
        raise ValueError(text)
    return first, second


def _or_none(text: str) -> str | None:
    return None if text == "null" else text
