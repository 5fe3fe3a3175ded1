"""Temporary folders that do not outlive a process which was killed."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Locked for as long as whoever has made the folder lives: the kernel lets go of it, also after a kill.
LOCK = ".lock"


@contextlib.contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Make a folder that goes away at the end; those of this prefix whose makers were killed go away at once."""
    for other in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        _remove_if_left(other)
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as made:
        folder = Path(made)
        unlocked = folder / f"{LOCK}.new"
        with unlocked.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            unlocked.rename(folder / LOCK)  # nobody sees it unlocked
            yield folder


def _remove_if_left(folder: Path) -> None:
    with contextlib.suppress(OSError), (folder / LOCK).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
