"""``python -m tests.mutants [WORD...]``: run the tests against each mutant whose name has one of the words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
PARTS = ("airflow_provider_drs", "tests", "pyproject.toml")
PROCESSES = 2
PATIENCE = 600.0


class Folder:
    """A copy of the package and its tests, in which one mutant at a time is let loose."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, root / part)

    def passes(self, tests: Sequence[str]) -> bool:
        """Tell whether the tests pass.

        :raises RuntimeError: they could not be run.
        """
        # No bytecode: of two mutants of a second, and of equal length, the first one's would be taken for the other's.
        env = {**os.environ, "AIRFLOW_HOME": str(self.root / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        done = subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode not in (0, 1, 2):
            raise RuntimeError(f"pytest ends with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.returncode == 0

    def catches(self, mutant: Mutant) -> bool:
        """Tell whether the tests of a mutant fail with it."""
        file = self.root / mutant.file
        whole = file.read_text(encoding="utf-8")
        try:
            file.write_text(mutant.apply(whole), encoding="utf-8")
            return not self.passes(mutant.tests)
        finally:
            file.write_text(whole, encoding="utf-8")


def main(words: Sequence[str]) -> int:
    """Return 1 where a mutant survives, or where the tests fail without one."""
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        folders: SimpleQueue[Folder] = SimpleQueue()
        for number in range(PROCESSES):
            root = Path(place, str(number))
            root.mkdir()
            folders.put(Folder(root))

        def on_a_folder(mutant: Mutant | None) -> bool:
            folder = folders.get()
            try:
                if mutant is None:
                    return folder.passes(sorted({test for one in chosen for test in one.tests}))
                caught = folder.catches(mutant)
                print(f"{'caught' if caught else 'SURVIVES'}: {mutant.name} ({mutant.file})", flush=True)
                return caught
            finally:
                folders.put(folder)

        if not on_a_folder(None):
            print("the tests fail without any mutant")
            return 1
        with ThreadPoolExecutor(PROCESSES) as pool:
            caught = list(pool.map(on_a_folder, chosen))
    print(f"{sum(caught)} of {len(chosen)} mutants caught in {time.monotonic() - began:.0f} s")
    return 0 if all(caught) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
