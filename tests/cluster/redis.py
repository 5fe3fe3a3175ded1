"""A Redis server of the cluster's own, which can be away for a while."""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.postgres import free_port
from tests.waiting import until

START_SECONDS = 30
END_SECONDS = 10
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


class Redis:
    """A server on a free port of loopback that keeps what it has taken on disk; a context manager.

    :param folder: for its data; must be there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process_id(self) -> int | None:
        """The id of its process; None while it is away."""
        return self._process.pid if self._process else None

    def __enter__(self) -> Redis:
        found = shutil.which("redis-server")
        if found is None:
            raise RuntimeError(
                "there is no redis-server; Debian, as root: apt-get update && apt-get install redis-server"
            )
        self._program = found
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, also again after `kill`, and wait until it takes connections."""
        settings = {
            "bind": "127.0.0.1", "port": str(self.port), "dir": str(self.folder), "save": "",
            "appendonly": "yes", "appendfsync": "everysec", "daemonize": "no",
        }  # fmt: skip
        arguments = [word for name, value in settings.items() for word in (f"--{name}", value)]
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )  # fmt: skip
        process = self._process
        until(
            self._responds, START_SECONDS, "Redis to respond", over=lambda: process.poll() is not None,
            tell=lambda: f": {(self.folder / 'redis.log').read_text()[-2000:]}",
        )  # fmt: skip

    def kill(self) -> None:
        """End it as a crash would; does nothing while it is away."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait(END_SECONDS)

    def _responds(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as asked:
            asked.sendall(b"PING\r\n")
            return asked.recv(16).startswith(b"+PONG")
        return False


def _end_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
