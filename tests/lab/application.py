"""The application of the lab: it writes numbered rows through the virtual IP address, and stops where it is told to.

``python -m tests.lab.application FOLDER RATE``, with the address of the database in the environment, see `DSN`. It is
steered by files in FOLDER, as one that knows a maintenance mode: while ``frozen`` exists it writes nothing, with
``stop`` it ends. ``state`` says ``running`` or ``frozen``; ``acknowledged`` has a line for each write that the database
has confirmed: its number, when, and which database it was.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import psycopg2

DSN = "LAB_DSN"
RETRY_SECONDS = 0.05
# Who answers, in the words of the lab: the names that its servers are started with.
WHO = "select current_setting('cluster_name')"
WRITE = "insert into writes (n) values (%s) returning current_setting('cluster_name')"
WRITTEN = "select current_setting('cluster_name') from writes where n = %s"


class Application:
    """Writes one row after the other.

    :param folder: the files that it is steered by.
    :param dsn: where the database is.
    :param rate: rows a second.
    """

    def __init__(self, folder: Path, dsn: str, rate: float) -> None:
        self._folder, self._dsn, self._pause = folder, dsn, 1 / rate
        self._connection: Any = None
        # Sent, and neither confirmed nor refused: whoever sends it again must look first.
        self._in_doubt = False

    def run(self) -> None:
        """Write until it is told to end."""
        number, state = 1, ""
        due = time.monotonic()
        with (self._folder / "acknowledged").open("w", buffering=1) as acknowledged:
            while not (self._folder / "stop").exists():
                frozen = (self._folder / "frozen").exists()
                if state != (state := "frozen" if frozen else "running"):
                    self._say(state)
                if frozen or time.monotonic() < due:
                    time.sleep(RETRY_SECONDS if frozen else max(due - time.monotonic(), 0))
                    continue
                try:
                    server = self._write(number)
                except psycopg2.Error:
                    self._disconnect()
                    time.sleep(RETRY_SECONDS)
                    continue
                acknowledged.write(f"{number} {time.time():.3f} {server}\n")
                number += 1
                # What could not be written in time is not made up for.
                due = max(due + self._pause, time.monotonic() - 1)
        self._disconnect()
        self._say("ended")

    def _write(self, number: int) -> str:
        if self._connection is None:
            self._connection = psycopg2.connect(self._dsn, connect_timeout=2)
            self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            if self._in_doubt:
                cursor.execute(WRITTEN, (number,))
                if found := cursor.fetchone():
                    self._in_doubt = False
                    return str(found[0])
            self._in_doubt = True
            cursor.execute(WRITE, (number,))
            server = str(cursor.fetchone()[0])
        self._in_doubt = False
        return server

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg2.Error):
                self._connection.close()
        self._connection = None

    def _say(self, state: str) -> None:
        unfinished = self._folder / "state.new"
        unfinished.write_text(state)
        unfinished.replace(self._folder / "state")


if __name__ == "__main__":
    Application(Path(sys.argv[1]), os.environ[DSN], float(sys.argv[2])).run()
