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
    """Make the environment of a version, unless it is there with the same pins and Python; return its interpreter."""
    place, base = ENVIRONMENTS / version, _python(VERSIONS[version])
    interpreter = place / "bin" / "python"
    pins, stamp = HERE / "pins" / f"{version}.txt", place / ".installed"
    wanted = f"{base}\n{pins.read_text()}{(ROOT / 'pyproject.toml').read_text()}"
    if interpreter.exists() and stamp.exists() and stamp.read_text() == wanted:
        return interpreter
    shutil.rmtree(place, ignore_errors=True)
    ENVIRONMENTS.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHON": base}
    # The uv of the environment that runs this, so that no other is fetched for each version.
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    subprocess.run(
        [ROOT / ".ci" / "venv", place, "--requirement", pins, "--editable", "."], cwd=ROOT, env=environment, check=True
    )
    stamp.write_text(wanted)
    return interpreter


def _python(release: str) -> str:
    """Return the interpreter of a release; the one that runs this where there is none."""
    command = [f"python{release}", "-c", "import ssl, sqlite3, sys; print(sys.executable)"]
    # What the version manager puts on the PATH starts only a version that is chosen.
    chosen = {**os.environ, "PYENV_VERSION": release}
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, env=chosen).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return sys.executable
