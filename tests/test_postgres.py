"""The PostgreSQL servers that tests and the lab start."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest

from tests.folders import temporary_folder
from tests.postgres import Postgres
from tests.waiting import until


def is_there(process_id: int) -> bool:
    return Path(f"/proc/{process_id}").exists()


def test_a_server_wants_a_password_and_keeps_its_rows_over_a_restart() -> None:
    began = time.monotonic()
    with Postgres(wal_level="logical") as server:
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
def test_no_process_is_left_after_a_failure(settings: dict[str, str]) -> None:
    server = Postgres(**settings)
    ids = []
    with pytest.raises((RuntimeError, ZeroDivisionError)) as failure, server:  # noqa: PT012
        ids.append(server.process_id)
        raise ZeroDivisionError
    assert not any(is_there(process_id) for process_id in ids)
    assert bool(ids) == (settings == {})
    assert settings == {} or "no_such_setting" in str(failure.value)
    with pytest.raises(RuntimeError):
        _ = server.process_id


@contextmanager
def temporary_folder_in(place: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    patch.setattr(tempfile, "tempdir", str(place))
    with temporary_folder("postgres-"):
        yield


PROGRAM = (
    "from tests.postgres import Postgres; one = Postgres().__enter__(); print(one.process_id, flush=True); input()"
)


def test_a_server_ends_with_the_process_that_has_started_it() -> None:
    pipe = subprocess.PIPE
    with tempfile.TemporaryDirectory(prefix="postgres-test-") as folder:
        environment = {**os.environ, "TMPDIR": folder}
        with subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stdin=pipe, stdout=pipe) as process:
            assert process.stdout is not None
            server = int(process.stdout.readline())
            assert is_there(server)
            process.kill()
        until(lambda: not is_there(server), 60, "the end of the server")
        [left] = Path(folder).glob("postgres-*")
        # The next one removes what it has left, and not what belongs to one that lives.
        with subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stdin=pipe, stdout=pipe) as next_one:
            assert next_one.stdout is not None
            assert is_there(int(next_one.stdout.readline()))
            assert not left.exists()
            [kept] = Path(folder).glob("postgres-*")
            with pytest.MonkeyPatch.context() as patch, temporary_folder_in(Path(folder), patch):
                assert kept.exists()
            next_one.communicate(b"\n")
