"""What `make lint` says about known vulnerabilities, for each thing the list can say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

AUDIT = Path(__file__).parents[1] / ".ci" / "audit.py"


def package(name: str, *vulnerabilities: str) -> dict[str, Any]:
    return {"name": name, "version": "1.0", "vulns": [{"id": one, "fix_versions": ["2.0"]} for one in vulnerabilities]}


SKIPPED = {"name": "aiohttp", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.mark.parametrize(
    ("listed", "code", "says"),
    [
        ([package("aiohttp"), package("sqlalchemy")], 0, "2 of 2 packages audited"),
        ([package("aiohttp", "CVE-1")], 1, "aiohttp 1.0: CVE-1, mended in 2.0"),
        ([package("Pendulum", "CVE-2"), SKIPPED], 1, "1 of 2 packages audited"),
        ([package("sqlalchemy", "CVE-3")], 0, "sqlalchemy 1.0: CVE-3, mended in 2.0"),
        ([SKIPPED], 0, "nothing was audited"),
        (None, 0, "nothing was audited"),
    ],
    ids=["well", "ours", "ours, other spelling", "Airflow's", "no list", "no output"],
)
def test_audit(listed: list[dict[str, Any]] | None, code: int, says: str, tmp_path: Path) -> None:
    output = "" if listed is None else json.dumps({"dependencies": listed})
    (tmp_path / "pip_audit.py").write_text(f"print({output!r})\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, AUDIT, "here"], env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, says in ended.stdout) == (code, True), ended.stdout + ended.stderr
