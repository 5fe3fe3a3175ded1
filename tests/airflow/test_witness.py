"""The witness against real databases and real sockets: who answers, nobody, somebody else, and no password anywhere."""

from __future__ import annotations

import json
import pickle
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator

from airflow_provider_drs import witness as witness_module
from airflow_provider_drs.exceptions import DrsWitnessError
from airflow_provider_drs.protocol.switchover.witness import Side
from airflow_provider_drs.witness import SqlWitness, check_witness, look, rendered
from tests.waiting import until

PASSWORD = "pass wörd/@of the:database"
ASK = "SELECT name FROM me"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Return what makes the database at the address answer a value."""
    place = tmp_path / "me.db"
    monkeypatch.setenv("AIRFLOW_CONN_VIP", json.dumps({"conn_type": "sqlite", "host": str(place)}))

    def answer(value: Any) -> None:
        with sqlite3.connect(place) as connection:
            connection.execute("DROP TABLE IF EXISTS me")
            connection.execute("CREATE TABLE me (name)")
            connection.execute("INSERT INTO me VALUES (?)", (value,))
        connection.close()

    return answer


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Yield the port of what accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("AIRFLOW_CONN_VIP", f"postgres://me:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/db")
        yield port


@pytest.mark.parametrize(
    ("value", "before", "after", "side"),
    [
        ("db-1", "db-1", "db-2", "before"),
        ("db-2", "db-1", "db-2", "after"),
        ("db-3", ["db-1"], ("db-2", "db-3"), "after"),
        ("  DB-1  ", "db-1", "db-2", "before"),
        (2, "1", "2", "after"),
        (2, 1, 2, "after"),
        ("2", 1, 2, "after"),
        (2.0, 1, Decimal(2), "after"),
        (b"db-2", "db-1", "db-2", "after"),
        ("db-2", b"db-1", b"db-2", "after"),
        (b"\xff\x01", "ff00", "ff01", "after"),
    ],
)
def test_a_database_says_who_it_is(
    value: Any, before: Any, after: Any, side: str, database: Callable[[Any], None]
) -> None:
    database(value)
    witness = SqlWitness("vip", ASK, before=before, after=after)
    assert witness.side() == side
    assert witness.reversed().side() == {"before": "after", "after": "before"}[side]
    seen = look(witness)
    assert (seen.side, seen.problem) == (side, "")
    assert abs(seen.at - time.time()) < 10


def test_it_is_asked_anew_each_time(database: Callable[[Any], None]) -> None:
    witness = SqlWitness("vip", ASK, before="db-1", after="db-2")
    for value, side in (("db-1", "before"), ("db-2", "after"), ("db-1", "before")):
        database(value)
        assert witness.side() == side


@pytest.mark.parametrize(
    ("value", "sql", "conn_id", "says"),
    [
        ("db-3", ASK, "vip", "'db-3' answers, which is neither before ('db-1') nor after ('db-2')"),
        (None, ASK, "vip", "1 values or NULL, not one value"),
        ("db-1", f"{ASK} WHERE 1 = 0", "vip", "0 values or NULL"),
        ("db-1", "SELECT 1, 2", "vip", "2 values or NULL"),
        ("db-1", "SELECT ?", "vip", "refuses the query (ProgrammingError)"),
        ("db-1", ASK, "not_there", "connection cannot be read (Airflow"),
        ("db-1", ASK, "no_hook", "connections of the type 'odd' have no hook here"),
        ("db-1", ASK, "no_database", "connections of the type 'drs' lead to no database"),
    ],
)
def test_what_is_neither(
    value: Any, sql: str, conn_id: str, says: str, database: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_NO_HOOK", "odd://x")
    monkeypatch.setenv("AIRFLOW_CONN_NO_DATABASE", "drs://x")
    database(value)
    witness = SqlWitness(conn_id, sql, before="db-1", after="db-2")
    with pytest.raises(DrsWitnessError) as raised:
        witness.side()
    assert says in str(raised.value)
    assert f"witness through connection {conn_id!r}" in str(raised.value)
    seen = look(witness)
    assert (seen.side, says in seen.problem) == (Side.NOBODY, True)
    assert seen.to_dict()["side"] is None


def test_a_database_that_accepts_and_never_answers(silent: int) -> None:
    began = time.monotonic()
    witness = SqlWitness("vip", "SELECT 1", before=1, after=2, timeout=0.5)
    assert witness.side() is None
    assert time.monotonic() - began < 5
    assert str(look(witness)) == "nobody answers within 0.5 seconds"


def test_a_refused_connection_is_nobody_and_its_password_in_no_message(silent: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        refused = server.getsockname()[1]
    witness = SqlWitness("refused", "SELECT 1", before=1, after=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_REFUSED", f"postgres://me:{quote(PASSWORD, safe='')}@127.0.0.1:{refused}/db")
        assert witness.side() is None
        assert str(look(witness)) == "nobody answers (OperationalError)"
        assert PASSWORD not in repr(witness)
        assert PASSWORD.encode() not in pickle.dumps(witness)


@pytest.mark.parametrize(
    ("function", "side", "says"),
    [
        (lambda: "before", Side.BEFORE, ""),
        (lambda: "after", Side.AFTER, ""),
        (lambda: None, Side.NOBODY, ""),
        (lambda: "left", Side.NOBODY, "returned 'left', not 'before', 'after' or None"),
        (lambda: 1 / 0, Side.NOBODY, "nobody answers (ZeroDivisionError)"),
        (lambda: time.sleep(60), Side.NOBODY, "nobody answers in time"),
    ],
)
def test_a_function_is_a_witness_too(
    function: Callable[[], str | None], side: Side, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness_module, "DEFAULT_TIMEOUT", 0.5)
    seen = look(function)
    assert (seen.side, seen.value) == (side, None)
    assert says in seen.problem


def test_the_threads_of_a_database_that_never_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness_module, "DEFAULT_TIMEOUT", 0.1)
    monkeypatch.setattr(witness_module, "_unanswered", threading.BoundedSemaphore(3))
    hangs, asked = threading.Event(), []

    def ask() -> str:
        asked.append(1)
        hangs.wait(60)
        return "after"

    assert [look(ask).problem for _ in range(6)] == ["nobody answers in time"] * 6
    assert len(asked) == 3
    hangs.set()
    until(lambda: look(ask).side is Side.AFTER, 10, "an answer")


@pytest.mark.parametrize(
    ("before", "after"),
    [("db-1", "db-1"), ("db-1", ["db-2", "DB-1 "]), ("1", 1), (None, "db-2"), ("db-1", []), ("db-1", [None])],
)
def test_sides_that_cannot_be_told_apart(before: Any, after: Any) -> None:
    with pytest.raises(ValueError, match="must each have a value, and none in common"):
        SqlWitness("vip", ASK, before=before, after=after)


@pytest.mark.parametrize("witness", ["SELECT 1", 7, {"before": 1}])
def test_what_is_no_witness(witness: Any) -> None:
    with pytest.raises(TypeError, match="witness must be a SqlWitness or a function"):
        check_witness(witness)


def test_its_fields_are_templates_and_the_witness_of_the_dag_file_stays_as_it_is(
    database: Callable[[Any], None],
) -> None:
    database("db-2")
    witness = SqlWitness("{{ place }}", "SELECT {{ what }} FROM me", before=["{{ old }}"], after="{{ new }}")
    context: Any = {"place": "vip", "what": "name", "old": "db-1", "new": "db-2"}
    task = EmptyOperator(task_id="any")
    ready = rendered(witness, task, context)
    assert isinstance(ready, SqlWitness)
    assert (ready.side(), ready.before) == ("after", ["db-1"])
    assert witness.conn_id == "{{ place }}"
    context["new"] = "db-1"
    same: Any = rendered(witness, task, context)
    assert look(same).side is Side.NOBODY
    assert "none in common" in look(same).problem
