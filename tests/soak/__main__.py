"""``python -m tests.soak --minutes 60``: let waits join and leave for a time, and see whether anything grows.

Time is compressed: a wait lives for seconds, a token for less.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

from airflow_provider_drs.simulator import Fault, Job, Simulator
from tests.constants import BATCH_PROGRESS, BATCH_STATUS, COMPLETE, FAILED, GET_STATUS, TOKENS, numbered_job
from tests.soak.slopes import BOUNDS, rises, too_steep

WAITS, JOBS = 120, 60
CONNECTIONS = ("drs_one", "drs_two")
# Tokens that were renewed, and seconds, before anything is measured: by then each mask and each pool is as large as it
# is to be.
WARM_UP_RENEWALS, WARM_UP_SECONDS = 150, 20
WARM_UP_WITHIN = 300
WEATHER = (
    Fault.status(500), Fault.status(502), Fault.html(), Fault.too_many(1), Fault.reset(), Fault.cut(), Fault.slow(1),
    Fault.wrong_json(), Fault.empty(), Fault.raw(b"\xff\xfe{"), Fault.json([]), Fault.no_permission(),
)  # fmt: skip


def main() -> int:
    """Run it; return 1 where something grows, or broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="measured, after the warm-up")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    arguments = parser.parse_args()
    # A terminated run ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Simulator() as simulator, _measured(simulator, arguments) as process, _weather(simulator, arguments.seed):
        samples = _samples(simulator, process, arguments.minutes * 60)
        renewals = len(simulator.issued_tokens())
    return _report(samples, renewals)


@contextlib.contextmanager
def _measured(simulator: Simulator, arguments: argparse.Namespace) -> Iterator[subprocess.Popen[str]]:
    """Run the measured process."""
    task = {
        "waits": WAITS, "jobs": [numbered_job(number) for number in range(JOBS)], "connections": CONNECTIONS,
        "seconds": max(arguments.minutes * 60 / 200, 1), "seed": arguments.seed,
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="drs-soak-") as folder:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
            **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(simulator.connection(timeout=5)) for name in CONNECTIONS},
            "AIRFLOW_HOME": folder,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        command = [sys.executable, "-m", "tests.soak.waits", json.dumps(task)]
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            yield process
        finally:
            if process.stdin:
                process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()


@contextlib.contextmanager
def _weather(simulator: Simulator, seed: int) -> Iterator[None]:
    """Let switchovers begin anew, tokens die and requests go wrong."""
    stopping = threading.Event()
    chosen = random.Random(seed)

    def rain() -> None:
        while not stopping.wait(0.2):
            for number in chosen.sample(range(JOBS), 4):
                simulator.add_job(
                    Job(
                        numbered_job(number),
                        running=True, start_lasts=chosen.uniform(0, 4), lag_series=[(0, 60), (2, 1)],
                        final=FAILED if chosen.randrange(4) == 0 else COMPLETE,
                    )
                )  # fmt: skip
            if chosen.randrange(2):
                simulator.fault(chosen.choice((GET_STATUS, BATCH_STATUS, BATCH_PROGRESS)), chosen.choice(WEATHER))
            # Each one lets all waits of a connection pause, the next one for longer.
            if chosen.randrange(50) == 0:
                simulator.fault(TOKENS, chosen.choice(WEATHER[:6]))
            if chosen.randrange(2):
                simulator.revoke_tokens()

    for number in range(JOBS):
        simulator.add_job(Job(numbered_job(number), running=True))
    thread = threading.Thread(target=rain, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def _samples(simulator: Simulator, process: subprocess.Popen[str], seconds: float) -> list[dict[str, Any]]:
    """Return what was measured after the warm-up."""
    assert process.stdout is not None
    samples: list[dict[str, Any]] = []
    began, measured_from = time.monotonic(), 0.0
    for line in process.stdout:
        now = time.monotonic()
        if not measured_from:
            warm = len(simulator.issued_tokens()) >= WARM_UP_RENEWALS and now - began >= WARM_UP_SECONDS
            if not warm and now - began > WARM_UP_WITHIN:
                raise RuntimeError(f"only {len(simulator.issued_tokens())} tokens were renewed in {now - began:.0f} s")
            if not warm:
                continue
            measured_from = now
            print(f"warm after {now - began:.0f} s, measuring for {seconds:.0f} s", flush=True)
        samples.append(json.loads(line))
        if now - measured_from >= seconds:
            return samples
    raise RuntimeError(f"the measured process ended with {process.wait()}")


def _report(samples: list[dict[str, Any]], renewals: int) -> int:
    """Print slopes and bounds; return the exit code."""
    risen = rises(samples)
    minutes = (samples[-1]["at"] - samples[0]["at"]) / 60
    print(f"\n{'':<10}{'first':>10}{'last':>10}{'per minute':>12}{'in all':>10}{'bound':>8}")
    for name, rise in risen.items():
        first, last = samples[0][name], samples[-1][name]
        print(f"{name:<10}{first:>10.1f}{last:>10.1f}{rise / minutes:>12.3f}{rise:>10.2f}{BOUNDS[name]:>8}")
    ended = samples[-1]["ended"]
    print(f"\n{minutes:.1f} minutes, {len(samples)} samples, {renewals} tokens; waits that ended: {ended}")
    broke = samples[-1]["broke"]
    for text in broke:
        print(f"broke: {text}")
    # A run in which one of these never happened has shown nothing.
    missing = [name for name in ("done", "failed", "ready", "error", "left", "garbage") if not ended.get(name)]
    if missing:
        print(f"no wait ended as: {', '.join(missing)}")
    steep = too_steep(risen)
    print(f"grows: {', '.join(steep)}" if steep else "flat")
    failed = len(steep) + len(broke) + len(missing)
    print(f"soak: {len(risen) - len(steep)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
