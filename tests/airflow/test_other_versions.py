"""What other versions of this provider have stored: waits of earlier ones end right, those of newer ones say why."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from airflow_provider_drs import __version__
from airflow_provider_drs.protocol import DrsError
from airflow_provider_drs.simulator import Job, Simulator
from airflow_provider_drs.triggers.drs import DrsSwitchoverTrigger
from airflow_provider_drs.triggers.events import DrsSwitchoverEventTrigger
from airflow_provider_drs.triggers.jobs import DrsCompareTrigger, DrsJobsTrigger
from tests.constants import COMPLETE, GET_STATUS, JOB, RUNNING, START

# Written by the code of those versions.
BY_0_1 = {
    "drs_conn_id": "drs_default", "project_id": None, "poke_interval": 5.0, "exponential_backoff": False,
    "max_wait": None, "transient_error_timeout": 900.0, "silent_fail": False,
}  # fmt: skip
SWITCHOVER_BY_0_2 = {
    "verify_job_id": True, "freshness": None, "record": None, "deadline": None, "end_from_trigger": False,
    "started_here": False,
}  # fmt: skip
RECORD_BY_0_2 = {
    "job_id": JOB, "mode": "target", "phase": "accepted", "began_at": 1.0, "guards": [], "guarded_at": 2.0,
    "baseline": COMPLETE, "baseline_known": True, "posted_at": 3.0, "accepted_at": 4.0, "attached": False,
    "status": None, "error_code": None, "error_msg": None, "reason": None, "observed": [], "finished_at": None,
    "detection": None, "settle": 30.0, "decide_within": 300.0, "max_tries": 0, "who": {"task_id": "switch"},
}  # fmt: skip
WANTED_BY_0_2 = {
    "job_ids": [JOB], "targets": [RUNNING], "failures": ["INCRE_TRANSFER_FAILED"], "needs_lag": True, "max_lag": 5.0,
    "stable_samples": 2, "passing_status": None, "passing_until": 0.0, "deadline": None,
}  # fmt: skip
STORED: dict[str, tuple[type, dict[str, Any]]] = {
    "0.1, a switchover": (DrsSwitchoverTrigger, {"job_id": JOB, "verify_job_id": True, **BY_0_1}),
    "0.2, a switchover": (DrsSwitchoverTrigger, {"job_id": JOB, **SWITCHOVER_BY_0_2, **BY_0_1}),
    "0.2, an operator's": (
        DrsSwitchoverTrigger, {"job_id": JOB, **SWITCHOVER_BY_0_2, **BY_0_1, "record": RECORD_BY_0_2},
    ),
    "0.2, ready": (DrsJobsTrigger, {"wanted": WANTED_BY_0_2, "record": None, **BY_0_1}),
    "0.2, a comparison": (
        DrsCompareTrigger, {"job_id": JOB, "compare": "objects", "compare_id": "c", "deadline": None, **BY_0_1},
    ),
    "0.2, a watcher": (
        DrsSwitchoverEventTrigger,
        {"job_id": JOB, "drs_conn_id": "drs_default", "project_id": None, "poke_interval": 5.0, "verify_job_id": True,
         "fire_for_leftover": True},
    ),
}  # fmt: skip
# Ends that need nothing but polls; a comparison must have been created at DRS.
ENDS = {name: "ready" if name == "0.2, ready" else "done" for name in STORED if name != "0.2, a comparison"}


async def _first(trigger: Any) -> Any:
    events = trigger.run()
    try:
        return (await anext(events)).payload
    finally:
        await events.aclose()


@pytest.mark.parametrize("name", STORED)
def test_what_is_stored_loads_as_it_was_meant(name: str) -> None:
    kind, stored = STORED[name]
    again = kind(**json.loads(json.dumps(stored))).serialize()[1]
    # What says no more than the default is not written any more.
    assert {key: value for key, value in stored.items() if value is not False} == {
        key: value for key, value in again.items() if key in stored and value is not False
    }


@pytest.mark.parametrize("name", ENDS)
def test_it_resumes_and_ends(name: str, drs: Simulator) -> None:
    drs.add_job(Job(JOB, status_script=[START, COMPLETE]))
    kind, stored = STORED[name]
    record = stored.get("record")
    if record:
        record = {**record, "posted_at": time.time(), "accepted_at": time.time()}
        stored = {**stored, "record": record}
    event = asyncio.run(_first(kind(**{**stored, "poke_interval": 0.2})))
    assert event["outcome"] == ENDS[name], event
    assert event.get("record") == record, "not handed back as it was stored"


@pytest.mark.parametrize("name", [name for name in STORED if name != "0.2, a watcher"])
def test_a_triggerer_says_what_a_newer_worker_wants_of_it(name: str, drs: Simulator) -> None:
    """It polls nothing, and what else it does not know of the end it hands back."""
    drs.add_job(Job(JOB, status_script=[COMPLETE]))
    kind, stored = STORED[name]
    trigger = kind(**{**stored, "witnesses": ["a"], "handover": {"hold_until": time.time()}})
    assert trigger.serialize()[1]["witnesses"] == ["a"], "a newer triggerer must still find it"
    event = asyncio.run(_first(trigger))
    error = DrsError.from_dict(event["error"])
    assert str(error).startswith(
        f"this triggerer has version {__version__} of airflow-provider-drs, and the wait was stored by a newer one: "
        "witnesses is not known here"
    )
    assert "Upgrade the triggerer" in str(error)
    assert drs.calls(GET_STATUS) == []
    if stored.get("record"):
        assert event["record"] == stored["record"]
