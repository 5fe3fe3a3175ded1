"""Evidence as a switchover leaves it."""

from __future__ import annotations

from typing import Any

from tests.constants import COMPLETE, JOB, START


def evidence(outcome: str = "done", **changes: Any) -> dict[str, Any]:
    """Return the evidence of one switchover, made by the core's own record."""
    from airflow_provider_drs.protocol import Phase, Record, utc

    at = 1_795_435_200.0
    made = Record(
        JOB,
        "target",
        phase=Phase.READ,
        began_at=at,
        guarded_at=at + 1,
        guards=[{"name": "lag_seconds", "ok": True, "value": 0.0, "limit": "known and at most 0 s", "at": utc(at + 1)}],
        posted_at=at + 2,
        accepted_at=at + 3,
        observed=[{"status": None, "at": utc(at + 1)}, {"status": START, "at": utc(at + 4)}],
        actor={"dag_id": "orders", "run_id": "r1", "task_id": "switchover", "map_index": -1, "user": "ada"},
        approvals=[{"task_id": "approval", "by": "grace", "at": utc(at + 1), "answer": "Approve"}],
    ).evidence()
    if outcome in ("done", "failed"):
        made |= {"finished_at": utc(at + 30), "decided_by": "drs"}
        made["observed"] = [*made["observed"], {"status": COMPLETE, "at": utc(at + 30)}]
    return made | {"outcome": outcome} | changes
