from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_drs.simulator import Job
from airflow_provider_drs.simulator.job_text import job_from_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", {}),
        ("a,running=true,start_lasts=2.5,leftover=null", {"running": True, "start_lasts": 2.5, "leftover": None}),
        ("a,no_switchover=null,error_msg=no, not now", {"no_switchover": "null", "error_msg": "no, not now"}),
        ("a,status_after_switch=null|ODD", {"status_after_switch": [None, "ODD"]}),
        ("a,lag_script=-1|null|3", {"lag_script": ["-1", None, "3"]}),
        ("a,lag_series=0:-1|5:3|9.5:0", {"lag_series": [(0, "-1"), (5, "3"), (9.5, "0")]}),
        ("a,task_status_series=0:CREATING|1:null", {"task_status_series": [(0, "CREATING"), (1, None)]}),
        ("a,transition=STARTJOBING|START_JOB_FAILED", {"transition": ["STARTJOBING", "START_JOB_FAILED"]}),
        ("a,compare_results=d.t:CONSISTENT|d.u:X", {"compare_results": {"d.t": "CONSISTENT", "d.u": "X"}}),
    ],
)
def test_a_job_is_written_on_the_command_line(text: str, expected: dict[str, Any]) -> None:
    assert job_from_text(text) == Job("a", **expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b", "a job is written"),
        ("a,colour=red", "a job has no colour"),
        ("a,start_lasts=soon", "start_lasts cannot be read from 'soon'"),
        ("a,running=yes", "running is true or false, not 'yes'"),
        ("a,lag_series=5", "lag_series cannot be read from '5'"),
        ("a,compare_results=d.t", "compare_results cannot be read from"),
    ],
)
def test_one_that_makes_no_sense_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        job_from_text(text)
