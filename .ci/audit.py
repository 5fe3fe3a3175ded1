"""Tell which known vulnerabilities the environment of the tests has, and fail for those that this package brings in.

Takes the environment's folder of packages. Where the list of vulnerabilities cannot be reached, that is told, and is no
failure: whoever works without a network can still run the tests.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def own_dependencies() -> set[str]:
    """Return the names of what the package itself requires; Airflow's own are for Airflow to mend."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return {_name(re.match(r"[\w.-]+", one)[0]) for one in listed}  # type: ignore[index]


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def main(packages: str) -> int:
    """Audit, print, and return the exit code."""
    asked = [sys.executable, "-m", "pip_audit", "--path", packages, "--format", "json", "--progress-spinner", "off"]
    try:
        ended = subprocess.run(asked, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 - our own
        found = json.loads(ended.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        found = []
    audited = [one for one in found if "vulns" in one]
    if not audited:
        print("audit: the list of known vulnerabilities cannot be reached from here; nothing was audited")
        return 0
    own, failed = own_dependencies(), False
    for one in audited:
        for known in one["vulns"]:
            mended = ", ".join(known.get("fix_versions") or []) or "no version yet"
            print(f"audit: {one['name']} {one['version']}: {known['id']}, mended in {mended}")
            failed = failed or _name(one["name"]) in own
    print(f"audit: {len(audited)} of {len(found)} packages audited")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
