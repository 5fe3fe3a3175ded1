"""The PostgreSQL servers that tests and the lab start."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from tests.postgres import Postgres


def is_there(process_id: int) -> bool:
    return Path(f"/proc/{process_id}").exists()


def test_a_server_wants_a_password_and_keeps_its_rows_over_a_restart(tmp_path: Path) -> None:
    began = time.monotonic()
    with Postgres(tmp_path / "one", wal_level="logical") as server:
        print(f"started within {time.monotonic() - began:.1f} s")
        server.rows("create table t (n int)")
        server.rows("insert into t values (%s)", 7)
        assert server.rows("show wal_level") == [("logical",)]
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(server.uri.replace(server.password, "wrong"))
        with closing(server.connect()) as kept:
            server.stop()
            server.start()
            with pytest.raises(psycopg2.OperationalError), kept.cursor() as cursor:
                cursor.execute("select 1")
        assert server.rows("select n from t") == [(7,)]
        assert server.password not in server.log.read_text()


@pytest.mark.parametrize("settings", [{}, {"no_such_setting": "1"}], ids=["while used", "at the start"])
def test_no_process_is_left_after_a_failure(tmp_path: Path, settings: dict[str, str]) -> None:
    server = Postgres(tmp_path / "one", **settings)
    ids = []
    with pytest.raises((RuntimeError, ZeroDivisionError)) as failure, server:  # noqa: PT012
        ids.append(server.process_id)
        raise ZeroDivisionError
    assert not any(is_there(process_id) for process_id in ids)
    assert bool(ids) == (settings == {})
    assert settings == {} or "no_such_setting" in str(failure.value)
    with pytest.raises(RuntimeError):
        _ = server.process_id
