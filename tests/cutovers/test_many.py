"""How the table is read: with the same few questions to the database, however many switchovers there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from airflow_provider_drs.cutovers.database import read_rows
from tests.cutovers.conftest import ORDERS, add_evidence, add_run, add_task
from tests.cutovers.evidence import evidence


@contextmanager
def statements(session: Any) -> Iterator[list[str]]:
    """Collect what the database is asked."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(session.get_bind(), "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(session.get_bind(), "before_cursor_execute", note)


@pytest.mark.parametrize(("operator", "questions"), [("DrsSwitchoverOperator", 3), ("OurSwitchover", 4)])
@pytest.mark.parametrize("count", [1, 20])
def test_the_database_is_asked_as_often_for_many_as_for_one(
    count: int, operator: str, questions: int, session: Any
) -> None:
    for number in range(count):
        add_run(session, ORDERS, f"r{number}")
        add_task(session, ORDERS, f"r{number}", "success", operator=operator)
        found = evidence("done", dag_id=ORDERS, run_id=f"r{number}", task_id="switchover")
        add_evidence(session, ORDERS, f"r{number}", found)
    session.flush()
    with statements(session) as asked:
        rows = read_rows(session, dag_id=ORDERS)
    assert [(row["outcome"], row["state"]) for row in rows] == [("done", "success")] * count
    assert len(asked) == questions, asked
