from __future__ import annotations

import pytest

from airflow_provider_drs.simulator import Fault, Job
from airflow_provider_drs.simulator.faults import PlannedFault
from airflow_provider_drs.simulator.short_form import values_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", Job("a")),
        ("1", Job("1")),
        ("a,running=true,start_lasts=2.5,leftover=null", Job("a", running=True, start_lasts=2.5, leftover=None)),
        ('a,no_switchover="null",error_msg=no, not now', Job("a", no_switchover="null", error_msg="no, not now")),
        ('a,error_msg="7",name=a=b', Job("a", error_msg="7", name="a=b")),
        ('a,status_after_switch=[null, "ODD"]', Job("a", status_after_switch=[None, "ODD"])),
        ('a,lag_script=["-1",null,3],final=ODD', Job("a", lag_script=["-1", None, 3], final="ODD")),
        ('a,lag_series=[[0,"-1"],[9.5,0]]', Job("a", lag_series=[(0, "-1"), (9.5, 0)])),
        ('a,compare_results={"d.t": "X", "d.u": "Y"}', Job("a", compare_results={"d.t": "X", "d.u": "Y"})),
    ],
)
def test_a_job(text: str, expected: Job) -> None:
    assert Job.from_dict(values_of(text, "job_id")) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it begins with JOB_ID, not ''"),
        ("a,b", "it begins with JOB_ID, not 'a,b'"),
        ("running=true", "it begins with JOB_ID"),
        ("a,colour=red", "a job has no colour"),
        ("a,start_lasts=soon", "start_lasts is seconds from 0 on, not 'soon'"),
        ("a,running=yes", "running is true or false, not 'yes'"),
        ("a,lag_series=5", "lag_series is a list of pairs"),
        ("a,status_script=SWITCH_VIP_START", "status_script is a list of one or more strings"),
    ],
)
def test_a_job_that_makes_no_sense_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Job.from_dict(values_of(text, "job_id"))


DATE = "Wed, 21 Oct 2026 07:28:00 GMT"
ELSEWHERE = "https://elsewhere.example:444/"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tokens,reset", PlannedFault("tokens", Fault.reset())),
        ("tokens,too_many,retry_after=3,times=2", PlannedFault("tokens", Fault.too_many(3), 2)),
        (f"tokens,too_many,retry_after={DATE},times=null", PlannedFault("tokens", Fault.too_many(DATE), None)),
        ("*,status,code=500,error_code=DRS.M00004", PlannedFault("*", Fault.status(500, "DRS.M00004"))),
        ('tokens,json,value={"a": [1, 2]},code=202', PlannedFault("tokens", Fault.json({"a": [1, 2]}, 202))),
        ("tokens,raw,body=a,b", PlannedFault("tokens", Fault.raw("a,b"))),
        (f"*,redirect,to={ELSEWHERE}", PlannedFault("*", Fault.redirect(ELSEWHERE))),
    ],
)
def test_a_fault(text: str, expected: PlannedFault) -> None:
    assert PlannedFault.from_dict(values_of(text, "call", "name")) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tokens", "it begins with CALL,NAME, not 'tokens'"),
        ("nothing,reset", "no call is named 'nothing'"),
        ("tokens,nothing", "no fault is called 'nothing'"),
        ("tokens,reset,times=0", "times is a number from 1 on"),
        ("tokens,reset,code=1", "reset: .*code"),
        ("tokens,status", "status: .*code"),
        ("tokens,status,code=999", "an HTTP status is a number"),
        ("tokens,slow,seconds=-1", "slow takes seconds"),
        ("tokens,raw,body=1", "raw takes bytes or a string"),
        ("tokens,busy", "busy is a fault of calls of DRS"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PlannedFault.from_dict(values_of(text, "call", "name"))
