"""``python -m tests.matrix [--ci] [VERSION ...]``: run the matrix, and print a table of versions and cases."""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.matrix.environments import CI_VERSIONS, NEWEST, OLDEST, ROOT, VERSIONS, environment_of

# Beside the versions: from the oldest to the newest of them, with deferred waits.
UPGRADE = "upgrade"


def main() -> int:
    """Run each version after the other; return 1 where a case missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"default: {' '.join(VERSIONS)}")
    parser.add_argument("--ci", action="store_true", help=f"the part that CI runs, on {', '.join(CI_VERSIONS)}")
    parser.add_argument("--only", default="", help="a regular expression for the names of the cases")
    parser.add_argument("--keep", action="store_true", help="keep the folders with the logs")
    arguments = parser.parse_args()
    unknown = set(arguments.versions) - {*VERSIONS, UPGRADE}
    if unknown:
        parser.error(f"no pins for {', '.join(sorted(unknown))}; there are {', '.join(VERSIONS)}, and {UPGRADE}")
    results = {}
    for version in arguments.versions or (CI_VERSIONS if arguments.ci else (*VERSIONS, UPGRADE)):
        began = time.monotonic()
        results[version] = _run(version, arguments)
        results[version]["in_all"] = round(time.monotonic() - began)
        print(f"{version}: {_summary(results[version])}", flush=True)
    _print_table(results)
    missed = sum(len(_missed(result)) for result in results.values())
    cases = sum(len(result.get("misses", [""])) for result in results.values())
    print(f"\nmatrix: {cases - missed} passed, {missed} failed")
    return 1 if missed else 0


def _run(version: str, arguments: argparse.Namespace) -> dict[str, Any]:
    try:
        for needed in (OLDEST, NEWEST) if version == UPGRADE else (version,):
            python = environment_of(needed)
    except subprocess.CalledProcessError as error:
        return {"broke": f"no environment: {error}"}
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        options = [*(["--ci"] if arguments.ci else []), *(["--keep"] if arguments.keep else [])]
        module = ["tests.matrix.upgrade"] if version == UPGRADE else ["tests.matrix.run", version]
        process = subprocess.Popen([python, "-m", *module, result, "--only", arguments.only, *options], cwd=ROOT)
        # Whoever ends this ends the run, which then ends its Airflow.
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
        return dict(json.loads(result.read_text())) if result.exists() else {"broke": f"exit code {code}"}


def _missed(result: dict[str, Any]) -> list[str]:
    return [result["broke"]] if "broke" in result else [name for name, missed in result["misses"].items() if missed]


def _summary(result: dict[str, Any]) -> str:
    if "broke" in result:
        return str(result["broke"])
    lags = result["lags"]
    behind = f"; until a deferral was read {statistics.median(lags):.1f} s, at most {lags[-1]:.1f} s" if lags else ""
    return (
        f"{len(result['misses'])} cases, {len(_missed(result))} missed, Python {result['python']}, "
        f"{result['seconds']} s of {result['in_all']} s, {result['cpu']} s of a processor; "
        f"deferrals that Airflow failed: {len(result['struck'])} of {len(lags)}{behind}"
        f"{''.join(f'; in a second run: {name}' for name in result.get('again', ()))}"
    )


def _print_table(results: dict[str, dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for result in results.values() for name in result.get("misses", ())))
    width = max([len(name) for name in names], default=10)
    print("\n" + " " * width, *(f"{version:>8}" for version in results))
    for name in names:
        cells = []
        for result in results.values():
            missed = result.get("misses", {}).get(name)
            cells.append(f"{'-' if missed is None else 'MISS' if missed else 'ok':>8}")
        print(f"{name:<{width}}", *cells)
    for version, result in results.items():
        print(f"\n{version}: {_summary(result)}")
        for name, missed in result.get("misses", {}).items():
            if missed:
                print(f"  {name}: {missed}")


if __name__ == "__main__":
    sys.exit(main())
