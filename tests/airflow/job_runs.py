"""Runs the classes about tasks of DRS as ``waits`` runs those about switchovers."""

from __future__ import annotations

from typing import Any

from tests.airflow.waits import Ended, JumpingClock, run_task

OTHER = "7c1d5a60-2f41-4a0e-8f0c-5d9c2b1jb202"


def run_job(kind: type[Any], mode: str, clock: JumpingClock, **kwargs: Any) -> Ended:
    """Run a DAG of one task of ``kind`` in ``mode`` and return how it ended."""
    in_mode: dict[str, Any] = {"reschedule": {"mode": "reschedule"}, "deferrable": {"deferrable": True}}.get(mode, {})
    return run_task(lambda task_id, callbacks: kind(task_id=task_id, **callbacks, **in_mode, **kwargs), mode, clock)
