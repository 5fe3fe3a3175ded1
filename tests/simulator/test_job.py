from __future__ import annotations

from collections import Counter
from dataclasses import fields

import pytest

from airflow_provider_drs.simulator import Job
from airflow_provider_drs.simulator.jobs import FIELDS


def test_every_field_of_a_job_is_checked_once() -> None:
    assert Counter(name for _, names in FIELDS for name in names) == Counter(known.name for known in fields(Job))


@pytest.mark.parametrize(
    "values",
    [
        {"job_id": ""},
        {"job_id": "a", "task_status_script": []},
        {"job_id": "a", "task_status_series": [[0, "CREATING"], [0, "CONFIGURATION"]]},
        {"job_id": "a", "task_status_series": [[-1, "CREATING"]]},
        {"job_id": "a", "task_status_series": ["CREATING"]},
        {"job_id": "a", "task_status_script": ["A"], "task_status_series": [[0, "B"]]},
        {"job_id": "a", "lag_script": [True]},
        {"job_id": "a", "lag_series": [[0, []]]},
        {"job_id": "a", "lag_script": [1], "lag_series": [[0, 1]]},
        {"job_id": "a", "transition": [None]},
        {"job_id": "a", "transition_seconds": -1},
        {"job_id": "a", "compare_results": {"a.b": 1}},
        {"job_id": "a", "compare_results": None},
        {"job_id": "a", "status_script": []},
        {"job_id": "a", "status_script": [1]},
        {"job_id": "a", "start_lasts": -1},
        {"job_id": "a", "start_lasts": "3"},
        {"job_id": "a", "no_switchover": "none"},
        {"job_id": "a", "on_switch": "maybe"},
        {"job_id": "a", "running": "yes"},
        {"job_id": "a", "final": None},
        {"job_id": "a", "final": "COMPLETE"},
        {"job_id": "a", "colour": "red"},
        {},
    ],
)
def test_a_job_that_makes_no_sense_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Job.from_dict(values)


def test_an_unknown_key_is_told_with_what_may_be_meant_and_what_there_is() -> None:
    with pytest.raises(
        ValueError, match=r"a job has no lag_scrpt \(lag_script may be meant\); it has job_id, .*, net_type"
    ):
        Job.from_dict({"job_id": "a", "lag_scrpt": [1]})


def test_a_status_the_documentation_does_not_name_can_be_scripted() -> None:
    assert Job("a", final="ODD").final == "ODD"
