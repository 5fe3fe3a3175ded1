from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_drs.protocol import errors
from airflow_provider_drs.protocol.errors import DrsError, one_line
from tests.protocol.strategies import any_text, json_scalars, thorough

CLASSES = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, DrsError)]
EVERYTHING = {
    "error_code": "DRS.M00103",
    "error_msg": "no permission",
    "http_status": 401,
    "retry_after": 2.5,
    "error_context": "Connection 'drs_default'",
}


def by_dict(error: DrsError) -> DrsError:
    return DrsError.from_dict(error.to_dict())


def by_json(error: DrsError) -> DrsError:
    return DrsError.from_dict(json.loads(json.dumps(error.to_dict())))


def by_pickle(error: DrsError) -> DrsError:
    loaded = pickle.loads(pickle.dumps(error))  # noqa: S301 - its own bytes
    assert isinstance(loaded, DrsError)
    return loaded


@pytest.mark.parametrize("way", [by_dict, by_json, by_pickle, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_arrives_as_it_left(cls: type[DrsError], way: object) -> None:
    assert callable(way)
    for error in (cls("what happened", **EVERYTHING), cls("what happened")):  # type: ignore[arg-type]
        arrived = way(error)
        assert arrived is not error
        assert type(arrived) is cls
        assert vars(arrived) == vars(error)
        assert str(arrived) == str(error)
        assert arrived.args == ("what happened",)


@pytest.mark.parametrize("cls", CLASSES)
def test_about_keeps_the_type_and_the_first_word(cls: type[DrsError]) -> None:
    error = cls("what happened", error_code="DRS.M1")
    once = error.with_context("first")
    twice = once.with_context("second")
    assert type(once) is type(twice) is cls
    assert (error.error_context, once.error_context, twice.error_context) == ("", "first", "first")
    assert str(twice).startswith("what happened [first]")
    assert twice.error_code == "DRS.M1"


def test_a_class_of_another_version_becomes_a_plain_error() -> None:
    error = DrsError.from_dict({"type": "DrsNewError", "message": "what happened", "error_code": "X", "colour": "red"})
    assert type(error) is DrsError
    assert (str(error), error.error_code) == ("what happened", "X")


@pytest.mark.parametrize("name", ["Exception", "ConfigError", "", None, ["DrsConfigError"]])
def test_only_errors_of_the_tree_are_rebuilt(name: object) -> None:
    assert type(DrsError.from_dict({"type": name, "message": "m"})) is DrsError


@pytest.mark.parametrize("cls", CLASSES)
def test_the_text_names_place_message_and_hint_once(cls: type[DrsError]) -> None:
    text = str(cls("what happened", error_context="here"))
    assert text == "what happened [here]" + (f". {cls.hint}" if cls.hint else "")
    assert not cls.hint.endswith(".")


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if not issubclass(cls, errors.DrsTransientError)])
def test_whoever_must_act_is_told_what_to_do(cls: type[DrsError]) -> None:
    # The messages of these say it themselves: they name the field or the argument.
    if cls not in (DrsError, errors.DrsConfigError, errors.DrsArgumentError, errors.DrsAuthenticationError):
        assert cls.hint


def drawn(cls: type[DrsError], depth: int = 0) -> list[tuple[int, str]]:
    below = [row for child in cls.__subclasses__() if child in CLASSES for row in drawn(child, depth + 1)]
    return [(depth, cls.__name__), *below]


def test_the_tree_in_the_docstring_is_the_real_one() -> None:
    picture = []
    for line in (errors.__doc__ or "").splitlines():
        branch = line.removeprefix("    ")
        name = branch.lstrip("│├└─ ").split(maxsplit=1)
        if line.startswith("    ") and name and name[0].startswith("Drs"):
            picture.append(((len(branch) - len(branch.lstrip("│├└─ "))) // 4, name[0]))
    assert picture == drawn(DrsError)
    assert len(picture) == len(CLASSES)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_says_what_it_is_for(cls: type[DrsError]) -> None:
    assert (cls.__doc__ or "").strip()
    assert cls is DrsError or cls.__doc__ != DrsError.__doc__


@thorough
@given(any_text | st.text(min_size=400, max_size=1200), st.integers(1, 600))
def test_foreign_text_becomes_one_printable_line(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert line.isprintable()
    assert len(line) <= limit
    assert line == line.strip()
    assert one_line(line, limit) == line


def test_text_that_is_fit_stays_as_it_is_and_a_long_one_shows_that_it_was_cut() -> None:
    assert one_line("no permission (äöü 数据)") == "no permission (äöü 数据)"
    assert one_line("a\r\n\tb\x1b[0m") == "a b [0m"
    assert one_line("a" * 501) == "a" * 499 + "…"
    assert len(one_line("a" * 10_000_000)) == 500


STORED = json_scalars | st.lists(json_scalars, max_size=2)


@thorough
@given(st.dictionaries(st.sampled_from(["type", "message", "error_code", "where", "retry_after"]), STORED))
def test_whatever_was_stored_becomes_an_error_again(data: dict[str, object]) -> None:
    error = DrsError.from_dict(data)
    assert isinstance(error, DrsError)
    assert isinstance(str(error), str)
