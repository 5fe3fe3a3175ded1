"""A deprecated name works, warns, and the warning points at the user's file."""

from __future__ import annotations

import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from airflow.exceptions import AirflowProviderDeprecationWarning
from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_provider_drs.deprecation import NOT_GIVEN, deprecated, renamed_names, renamed_parameter


class Renamed(BaseOperator):
    """An optional and a required parameter that have new names."""

    def __init__(
        self,
        *,
        max_lag: float | None = None,
        lag: Any = NOT_GIVEN,
        job_id: Any = NOT_GIVEN,
        job: Any = NOT_GIVEN,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_lag = renamed_parameter("lag", lag, "max_lag", max_lag, default=None, removed_in="2.0")
        self.job_id = renamed_parameter("job", job, "job_id", job_id, removed_in="2.0")


@contextmanager
def one_warning(says: str) -> Iterator[None]:
    with pytest.warns(AirflowProviderDeprecationWarning) as caught:
        yield
    assert [str(warning.message) for warning in caught] == [says]
    assert caught[0].filename == __file__


def test_the_new_names_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        operator = Renamed(task_id="t", max_lag=5, job_id="j1")
    assert (operator.max_lag, operator.job_id) == (5, "j1")


LAG = "The parameter 'lag' is now 'max_lag'; airflow-provider-drs 2.0 removes the old one"
JOB = "The parameter 'job' is now 'job_id'; airflow-provider-drs 2.0 removes the old one"


@pytest.mark.parametrize("lag", [0, 5, None])
def test_an_old_name_of_a_parameter_works_and_warns(lag: float | None) -> None:
    with one_warning(LAG):
        assert Renamed(task_id="t", lag=lag, job_id="j1").max_lag == lag


def test_an_old_name_of_a_required_parameter_works_and_warns() -> None:
    with one_warning(JOB):
        assert Renamed(task_id="t", job="j1").job_id == "j1"


def test_an_old_name_in_default_args_is_not_lost() -> None:
    with one_warning(LAG), DAG("d", schedule=None, default_args={"lag": 7, "retry_delay": timedelta(1)}):
        assert Renamed(task_id="t", job_id="j1").max_lag == 7


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"max_lag": 5, "lag": 6, "job_id": "j1"}, "'lag' is the old name of 'max_lag'"),
        ({"job_id": "j1", "job": "j2"}, "'job' is the old name of 'job_id'"),
        ({}, "missing parameter 'job_id'"),
    ],
)
def test_both_names_or_none_is_an_error(given: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        Renamed(task_id="t", **given)


class Api:
    @deprecated(instead="Api.new()", removed_in="2.0")
    def old(self, number: int) -> int:
        """Return the next number."""
        return number + 1


def test_a_deprecated_method_works_and_warns() -> None:
    with one_warning("Api.old() is deprecated: use Api.new(); airflow-provider-drs 2.0 removes the old one"):
        assert Api().old(1) == 2
    assert Api.old.__doc__ == "Return the next number."


def test_an_old_name_of_a_class_works_and_warns() -> None:
    module = types.ModuleType("m")
    module.__getattr__ = renamed_names("m", {"Old": Api}, removed_in="2.0")  # type: ignore[method-assign]
    with one_warning(f"m.Old is now {__name__}.Api; airflow-provider-drs 2.0 removes the old one"):
        assert module.Old is Api
    with pytest.raises(AttributeError, match="module 'm' has no attribute 'Older'"):
        _ = module.Older
