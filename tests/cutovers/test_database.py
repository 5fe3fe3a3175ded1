"""The switchovers of an Airflow, out of its database."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_drs import protocol
from airflow_provider_drs.cutovers.database import read_rows
from tests.constants import JOB
from tests.cutovers.conftest import ORDERS, STOCK, add_evidence, add_run, add_task
from tests.cutovers.evidence import evidence


def ours(session: Any, **limits: Any) -> list[dict[str, Any]]:
    """Return the rows of these tests alone: others share the database."""
    return [one for one in read_rows(session, **limits) if str(one["dag_id"]).startswith("cutovers_")]


def test_all_switchovers_and_who_needs_a_person_first(cutovers: Any) -> None:
    rows = ours(cutovers)
    assert rows[0]["run_id"] == "unknown"
    assert {(one["run_id"], one["outcome"], one["state"], one["running"]) for one in rows} == {
        ("done", "done", "success", False),
        ("unknown", "unknown", "failed", False),
        ("running", "accepted", "deferred", True),
        ("failed", "failed", "failed", False),
    }


def test_only_the_dags_that_one_may_see(cutovers: Any) -> None:
    assert {one["dag_id"] for one in ours(cutovers, dag_ids={STOCK})} == {STOCK}
    assert ours(cutovers, dag_ids=set()) == []
    assert {one["run_id"] for one in ours(cutovers, dag_id=ORDERS, run_id="done")} == {"done"}


def test_the_earlier_switchovers_of_a_cleared_task_are_rows(session: Any) -> None:
    add_run(session, ORDERS, "twice")
    add_task(session, ORDERS, "twice", "success")
    first = evidence("failed", posted_at="2026-01-01T00:00:00Z")
    add_evidence(session, ORDERS, "twice", evidence(earlier=[first], dag_id=ORDERS, run_id="twice"))
    session.commit()
    assert sorted(one["outcome"] for one in ours(session, run_id="twice")) == ["done", "failed"]


def test_a_task_that_is_cleared_and_has_no_xcom_is_read_from_its_record(session: Any) -> None:
    from airflow.models.task_state_store import TaskStateStoreModel

    number = add_run(session, ORDERS, "cleared")
    for task_id, value in (
        ("switchover", json.dumps(protocol.Record(JOB, "target", phase=protocol.Phase.LOST).to_dict())),
        ("broken", json.dumps({"phase": "newer"})),
        ("no_json", "{"),
        ("no_time", json.dumps(protocol.Record(JOB, "target", posted_at=1e300).to_dict())),
    ):
        add_task(session, ORDERS, "cleared", None, task_id)
        where = {"dag_id": ORDERS, "run_id": "cleared", "task_id": task_id, "map_index": -1, "dag_run_id": number}
        session.add(TaskStateStoreModel(key="drs_switchover", value=value, **where))
    session.commit()
    rows = {one["task_id"]: one["outcome"] for one in ours(session, run_id="cleared")}
    assert rows == {"switchover": "lost", "broken": "unknown", "no_json": "unknown", "no_time": "unknown"}


def test_what_a_gate_hands_on_is_no_switchover_of_its_own(session: Any) -> None:
    add_run(session, ORDERS, "gate")
    for task_id, found in (
        ("switchover", evidence(dag_id=ORDERS, run_id="gate", task_id="switchover")),
        ("done", evidence(dag_id=ORDERS, run_id="gate", task_id="switchover")),
        ("other", "no evidence"),
    ):
        add_task(session, ORDERS, "gate", "success", task_id, operator="Another")
        add_evidence(session, ORDERS, "gate", found, task_id)
    session.commit()
    assert [one["task_id"] for one in ours(session, run_id="gate")] == ["switchover"]
