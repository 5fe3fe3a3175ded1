"""The versions of Airflow, and the environment of each: made by ``.ci/venv`` from pins in the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ENVIRONMENTS = ROOT / ".venv-matrix"

# Each release of Airflow, and the Python it is run with where there is one of that release.
VERSIONS = {"2.11.2": "3.11", "3.0.6": "3.12", "3.1.8": "3.13", "3.2.2": "3.12", "3.3.2": "3.13"}
OLDEST, *_, NEWEST = VERSIONS
CI_VERSIONS = ("2.11.2", "3.0.6", "3.3.2")


def environment_of(version: str) -> Path:
    """Make the environment of a version, unless it is there and its pins are the same; return its interpreter."""
    place = ENVIRONMENTS / version
    interpreter = place / "bin" / "python"
    pins, stamp = HERE / "pins" / f"{version}.txt", place / ".installed"
    wanted = pins.read_text() + (ROOT / "pyproject.toml").read_text()
    if interpreter.exists() and stamp.exists() and stamp.read_text() == wanted:
        return interpreter
    ENVIRONMENTS.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHON": _python(VERSIONS[version])}
    # The uv of the environment that runs this, so that no other is fetched for each version.
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    subprocess.run(
        [ROOT / ".ci" / "venv", place, "--requirement", pins, "--editable", "."], cwd=ROOT, env=environment, check=True
    )
    stamp.write_text(wanted)
    return interpreter


def _python(release: str) -> str:
    """Return the interpreter of a release; the one that runs this where there is none."""
    found = shutil.which(f"python{release}")
    # The shim of a version manager may stand for an interpreter that is not chosen.
    works = found and subprocess.run([found, "-c", "import ssl, sqlite3"], capture_output=True, check=False)
    return found if found and works and works.returncode == 0 else sys.executable
