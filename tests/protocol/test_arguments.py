"""What comes out of a template is read in one place: text, JSON, as Python writes it, or native."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from airflow_provider_drs.protocol import arguments
from airflow_provider_drs.protocol.errors import DrsArgumentError

samples = partial(arguments.number, at_least=1, at_most=10, whole=True)
side = partial(arguments.choice, known=("source", "target"))

# What a template makes of nothing.
NOTHING: list[Any] = [None, "", "  ", "None", " None\n", "null"]

READS: list[tuple[Callable[[str, Any], Any], Any, Any]] = [
    (arguments.seconds, 0, 0.0),
    (arguments.seconds, "2.5", 2.5),
    (arguments.seconds, " 7 ", 7.0),
    (arguments.seconds, timedelta(minutes=1), 60.0),
    (samples, "3", 3.0),
    (samples, 3.0, 3.0),
    (arguments.flag, True, True),
    (arguments.flag, "False", False),
    (arguments.flag, " true ", True),
    (side, " target ", "target"),
    (arguments.optional_id, " p1 ", "p1"),
    (arguments.items, ["a", "b"], ["a", "b"]),
    (arguments.items, ("a",), ["a"]),
    (arguments.items, {"a"}, ["a"]),
    (arguments.items, "a", ["a"]),
    (arguments.items, "a, b", ["a", "b"]),
    (arguments.items, '["a", "b"]', ["a", "b"]),
    (arguments.items, "['a', 'b']", ["a", "b"]),
    (arguments.items, "('a', 'b')", ["a", "b"]),
    (arguments.items, "{'a'}", ["a"]),
    (arguments.items, "[null]", [None]),
    (arguments.items, "[]", []),
    (arguments.items, [], []),
    (arguments.mapping, {"db": ["t"]}, {"db": ["t"]}),
    (arguments.mapping, '{"db": ["t"], "x": null}', {"db": ["t"], "x": None}),
    (arguments.mapping, "{'db': ['t'], 'x': None}", {"db": ["t"], "x": None}),
]

REFUSED: list[tuple[Callable[[str, Any], Any], list[Any], str]] = [
    (arguments.seconds, ["soon", -1, "-1", True, float("nan"), "inf", [], 10**400, 1e12], "seconds or a timedelta"),
    (samples, [0, "0", 11, 2.5, "x", False, {}], "a whole number, at least 1 and at most 10"),
    (arguments.flag, ["yes", 1, 0, "1", [True]], "true or false"),
    (side, ["both", 1, ["source"], {}], "'source' or 'target'"),
    (arguments.optional_id, [5, ["p"], b"p"], "text"),
    (
        arguments.items,
        ["[1", "[a]", "{'a': 1}", {"a": 1}, 7, b"ab", "(1", "[" * 5000, "[1, __import__('os')]"],
        "a list",
    ),
    (arguments.mapping, ["x", "[1]", ["a"], 7, "{" * 5000, "{'a': " * 2000], "a mapping"),
]


@pytest.mark.parametrize(("read", "value", "found"), READS)
def test_what_is_read(read: Callable[[str, Any], Any], value: Any, found: Any) -> None:
    assert read("x", value) == found
    assert type(read("x", value)) is type(found)


@pytest.mark.parametrize(
    ("read", "value", "says"), [(read, value, says) for read, values, says in REFUSED for value in values]
)
def test_what_is_refused_names_the_field_and_what_it_must_be(
    read: Callable[[str, Any], Any], value: Any, says: str
) -> None:
    with pytest.raises(DrsArgumentError) as refused:
        read("x", value)
    assert str(refused.value).startswith(f"x must be {says}")
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("value", NOTHING)
def test_nothing_is_the_default_of_optional_ids_and_lists_only(value: Any) -> None:
    for read in (arguments.optional_id, arguments.items, arguments.mapping):
        assert read("x", value) is None
    for refuse in (arguments.seconds, samples, arguments.flag, side, arguments.given):
        with pytest.raises(
            DrsArgumentError, match=r"^x is (None|empty): the template or the task it comes from gave no"
        ):
            refuse("x", value)


def test_a_list_longer_than_anyone_means_is_not_parsed() -> None:
    with pytest.raises(DrsArgumentError, match="x must be a list"):
        arguments.items("x", json.dumps(["a" * 1000] * 1100))
