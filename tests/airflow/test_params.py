"""The Params of the trigger forms: what they take, what they refuse, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import Param
from airflow.sdk.exceptions import ParamValidationError

from airflow_provider_drs.params import dry_run_param, job_id_param, job_ids_param, max_lag_param, mode_param
from tests.constants import JOB, OTHER_JOB

MADE: list[Callable[[], Param]] = [job_id_param, job_ids_param, mode_param, max_lag_param, dry_run_param]


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (job_id_param, JOB),
        (job_ids_param, [JOB, OTHER_JOB]),
        (mode_param, "source"),
        (mode_param, "target"),
        (max_lag_param, 0),
        (max_lag_param, 2.5),
        (dry_run_param, True),
    ],
)
def test_it_takes(make: Callable[[], Param], value: Any) -> None:
    assert make().resolve(value) == value


@pytest.mark.parametrize(
    ("make", "value"),
    [
        *((job_id_param, value) for value in (None, "", " ", f" {JOB}", "a/b", "a" * 129, 5)),
        *((job_ids_param, value) for value in (None, [], [""], [JOB, JOB], JOB)),
        *((mode_param, value) for value in (None, "", "Target", "back")),
        *((max_lag_param, value) for value in (None, -1, "5")),
        *((dry_run_param, value) for value in (None, "true")),
    ],
)
def test_it_refuses(make: Callable[[], Param], value: Any) -> None:
    with pytest.raises(ParamValidationError):
        make().resolve(value)


@pytest.mark.parametrize("make", [job_id_param, job_ids_param, mode_param])
def test_what_decides_has_no_default(make: Callable[[], Param]) -> None:
    with pytest.raises(ParamValidationError, match="no default"):
        make().resolve()


def test_defaults() -> None:
    assert (max_lag_param().resolve(), max_lag_param(5).resolve()) == (0, 5)
    assert dry_run_param().resolve() is False
    assert mode_param("target").resolve() == "target"


def test_each_mode_is_shown_in_the_words_of_drs() -> None:
    schema = mode_param().schema
    assert list(schema["values_display"]) == schema["enum"] == ["source", "target"]
    assert all("virtual IP address of the" in shown for shown in schema["values_display"].values())


@pytest.mark.parametrize("make", MADE)
def test_keywords_of_param_win(make: Callable[..., Param]) -> None:
    param = make(title="Mine", description="my words", section="Switchover")
    assert (param.schema["title"], param.description, param.schema["section"]) == ("Mine", "my words", "Switchover")
