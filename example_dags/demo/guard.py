"""Ends what a demo or playground has started, and removes its folder, where it was itself killed and could not."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import IO

import psutil  # type: ignore[import-untyped]

OVER = "over"


class Guard:
    """Knows which processes to end.

    :param pipe: to the process that outlives a killed one.
    """

    def __init__(self, pipe: IO[str]) -> None:
        self._pipe = pipe

    def watch(self, process_id: int) -> None:
        """Have a process ended, and all that descend from it."""
        print(process_id, file=self._pipe, flush=True)


@contextlib.contextmanager
def guard(directory: str) -> Iterator[Guard]:
    """Lend a guard; it does nothing where this ends in any other way than by being killed.

    :param directory: to be removed.
    """
    # In a group of its own, so that Ctrl-C does not reach it.
    command = [sys.executable, __file__, directory]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True) as process:
        if process.stdin is None:
            raise OSError("no pipe")
        try:
            yield Guard(process.stdin)
        finally:
            with contextlib.suppress(BrokenPipeError):
                print(OVER, file=process.stdin, flush=True)


def main(directory: str) -> None:
    """Read ids of processes until the end of whoever writes them."""
    watched: list[psutil.Process] = []
    for line in sys.stdin:
        if line.strip() == OVER:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            watched.append(psutil.Process(int(line)))
    for process in watched:
        # What has the id of one that has ended is another process, and is left alone.
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in [*process.children(recursive=True), process]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
