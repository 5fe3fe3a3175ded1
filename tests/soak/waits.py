"""The measured process: waits of triggers in one event loop, which join, end and leave, as in a triggerer.

Writes a line of JSON to stdout for each sample. Ends when its stdin is closed, and with who started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any

from tests.benchmarks.measured.task import read_task, resident_bytes, silence

# One in so many waits is given a record that is none; one in so many leaves before its end, as a task that is cleared.
GARBAGE, LEAVES = 10, 5
RECORDS: tuple[Any, ...] = (
    {},
    {"job_id": None},
    {"job_id": "x", "mode": "target", "phase": "no such phase"},
    {"job_id": "x", "mode": "target", "phase": "accepted", "posted_at": "yesterday"},
    {"job_id": "x", "mode": "target", "phase": "accepted", "observed": 7},
)


class Waits:
    """Keeps a number of waits going.

    :param task: ``waits``, ``jobs`` (ids), ``connections``, ``seconds`` (between samples), ``seed``.
    :param out: where the samples go.
    """

    def __init__(self, task: dict[str, Any], out: IO[str]) -> None:
        self._task, self._out = task, out
        self._random = random.Random(task["seed"])
        self.ended: Counter[str] = Counter()
        self.broke: list[str] = []

    async def run(self) -> None:
        """Wait until stdin is closed."""
        waits = [asyncio.create_task(self._go_on()) for _ in range(self._task["waits"])]
        samples = asyncio.create_task(self._sample())
        await asyncio.to_thread(sys.stdin.read)
        for each in (samples, *waits):
            each.cancel()
        await asyncio.gather(samples, *waits, return_exceptions=True)

    async def _go_on(self) -> None:
        while True:
            trigger, is_garbage = self._new()
            leaves = self._random.randrange(LEAVES) == 0
            one = asyncio.ensure_future(self._one(trigger, is_garbage))
            try:
                await asyncio.wait_for(one, self._random.uniform(0, 3) if leaves else None)
            except TimeoutError:
                self.ended["left"] += 1
            finally:
                if not one.done():
                    one.cancel()
            # Who ends at once does not begin again in the same turn of the loop.
            await asyncio.sleep(self._random.uniform(0.05, 0.3))

    async def _one(self, trigger: Any, is_garbage: bool) -> None:
        async with contextlib.aclosing(trigger.run()) as events:
            async for event in events:
                outcome = event.payload["outcome"]
                text = str(event.payload.get("error", ""))
                if "the trigger broke" in text and not is_garbage:
                    self.broke.append(text[:300])
                self.ended["garbage" if is_garbage else outcome] += 1
                return

    def _new(self) -> tuple[Any, bool]:
        from airflow_provider_drs import protocol
        from airflow_provider_drs.triggers.drs import DrsSwitchoverTrigger
        from airflow_provider_drs.triggers.jobs import DrsJobsTrigger

        common = {
            "drs_conn_id": self._random.choice(self._task["connections"]),
            "poke_interval": self._random.choice((0.5, 1.0)),
        }
        job = self._random.choice(self._task["jobs"])
        if self._random.randrange(GARBAGE) == 0:
            return DrsSwitchoverTrigger(job, record=self._random.choice(RECORDS), **common), True
        if self._random.randrange(4) == 0:
            wanted = protocol.JobsCondition(
                (job,), (protocol.HEALTHY,), protocol.usual_failures((protocol.HEALTHY,)),
                needs_lag=True, max_lag=5, stable_samples=2,
            )  # fmt: skip
            return DrsJobsTrigger(wanted.to_dict(), **common), False
        return DrsSwitchoverTrigger(job, **common), False

    async def _sample(self) -> None:
        while True:
            print(json.dumps(self._figures()), file=self._out, flush=True)
            await asyncio.sleep(self._task["seconds"])

    def _figures(self) -> dict[str, Any]:
        return {
            "at": time.monotonic(),
            "memory": resident_bytes() / 2**20,
            "sockets": _sockets(),
            "tasks": len(asyncio.all_tasks()),
            "threads": len(os.listdir("/proc/self/task")),
            "masks": _masks(),
            "ended": dict(self.ended),
            "broke": self.broke[:3],
        }


def _sockets() -> int:
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += os.readlink(each).startswith("socket:")
    return found


def _masks() -> int:
    """Return how many secrets the masks of this process's logs know."""
    found = 0
    for name, module in list(sys.modules.items()):
        if name.endswith("secrets_masker.secrets_masker"):
            with contextlib.suppress(AttributeError):
                found += len(module._secrets_masker().patterns)
    return found


def main() -> None:
    """Do as the task says."""
    task = read_task()
    # Airflow writes its log to stdout.
    out = os.fdopen(os.dup(1), "w")
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    silence()
    logging.disable(logging.CRITICAL)
    asyncio.run(Waits(task, out).run())


if __name__ == "__main__":
    main()
