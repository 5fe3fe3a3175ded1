"""MariaDB servers of the tests' own: real ones, from the programs of Debian's ``mariadb-server`` where they are."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from functools import partial
from typing import Any

from tests.folders import temporary_folder
from tests.postgres import PASSABLE, UNPRIVILEGED, as_whom, end_with_parent, free_port

# Debian keeps servers where the PATH of a user does not lead.
PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
START_SECONDS = 60
END_SECONDS = 20


def missing() -> str:
    """Return what is missing for a server and for a client of it, "" for nothing."""
    lacks = [name for name in ("mariadbd", "mariadb-install-db") if shutil.which(name, path=PLACES) is None]
    if lacks:
        return f"{' and '.join(lacks)}: Debian's mariadb-server has them"
    try:
        import mysql.connector  # noqa: F401
        from airflow.providers.mysql.hooks.mysql import MySqlHook  # noqa: F401
    except ImportError as error:
        return str(error)
    return ""


class MariaDb:
    """A server with data of its own on a free port of loopback, which wants a password; use it as a context manager.

    :param settings: of the server, such as ``server_id="7"``.
    """

    user = "root"
    host = "127.0.0.1"

    def __init__(self, **settings: str) -> None:
        self.port = free_port()
        self.password = secrets.token_urlsafe(16)
        self._settings = settings

    def connect(self, **parameters: Any) -> Any:
        """Return a connection in which each statement is a transaction; the caller closes it."""
        import mysql.connector

        given = {"host": self.host, "port": self.port, "user": self.user, "password": self.password, **parameters}
        return mysql.connector.connect(**given, autocommit=True, connection_timeout=10)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query; none of a statement without rows."""
        with contextlib.closing(self.connect()) as connection, contextlib.closing(connection.cursor()) as cursor:
            cursor.execute(query)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def __enter__(self) -> MariaDb:
        with contextlib.ExitStack() as undo:
            folder = undo.enter_context(temporary_folder("mariadb-"))
            self._data, self.log = folder / "data", folder / "mariadb.log"
            self._data.mkdir()
            if os.geteuid() == 0:
                folder.chmod(folder.stat().st_mode | PASSABLE)
                shutil.chown(self._data, UNPRIVILEGED)
            self._make()
            with self.log.open("ab") as log:
                process = subprocess.Popen(
                    [_program("mariadbd"), *self._options()], cwd=self._data, stdin=subprocess.DEVNULL, stdout=log,
                    stderr=log, start_new_session=True, preexec_fn=partial(end_with_parent, signal.SIGTERM),
                    **as_whom(),
                )  # fmt: skip
            undo.callback(self._stop, process)
            self._wait(process)
            self._stack = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _options(self) -> list[str]:
        given = {
            "datadir": str(self._data), "port": str(self.port), "bind-address": self.host,
            "socket": str(self._data / "socket"), "pid-file": str(self._data / "pid"),
            "skip-name-resolve": "1", "innodb-flush-log-at-trx-commit": "0", **self._settings,
        }  # fmt: skip
        return ["--no-defaults", *(f"--{name.replace('_', '-')}={value}" for name, value in given.items())]

    def _make(self) -> None:
        """Make the data. The statements that set the password are read from a file that goes away again."""
        made = subprocess.run(
            [_program("mariadb-install-db"), "--no-defaults", f"--datadir={self._data}", "--skip-test-db",
             "--auth-root-authentication-method=normal", "--skip-name-resolve"],
            cwd=self._data, capture_output=True, text=True, check=False, **as_whom(),
        )  # fmt: skip
        if made.returncode:
            raise RuntimeError(f"mariadb-install-db:\n{made.stdout[-2000:]}{made.stderr[-2000:]}")
        secret = self._data / "first.sql"
        secret.touch(mode=0o600)
        if os.geteuid() == 0:
            shutil.chown(secret, UNPRIVILEGED)
        host = f"'{self.user}'@'{self.host}'"
        secret.write_text(
            f"create or replace user {host} identified by '{self.password}';\n"
            f"grant all on *.* to {host} with grant option;\n"
            f"drop user if exists '{self.user}'@'localhost';\n"
        )
        self._settings = {"init_file": str(secret), **self._settings}

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        import mysql.connector

        until = time.monotonic() + START_SECONDS
        while True:
            try:
                self.rows("select 1")
            except mysql.connector.Error as error:
                if process.poll() is not None or time.monotonic() > until:
                    text = self.log.read_text(errors="replace")
                    raise RuntimeError(f"MariaDB did not start ({error}):\n{text[-3000:]}") from None
            else:
                (self._data / "first.sql").unlink()
                return
            time.sleep(0.1)

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.send_signal(number)
                process.wait(END_SECONDS)
                return


def _program(name: str) -> str:
    found = shutil.which(name, path=PLACES)
    if found is None:
        raise FileNotFoundError(name)
    return found
