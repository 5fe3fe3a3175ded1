"""Many waits of one contender in one event loop: what they cost while nothing happens, and how soon they see the end.

The run has four parts. *Warm-up*: one wait, to its end, so that what is imported and made once is not counted per wait.
*Start*: the waits begin, spread evenly over one interval, and one interval more passes. *Steady window*: all is
in progress; CPU, lag and polls are taken here. *Drain*: the jobs end, spread over one interval; when is it seen?
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tests.benchmarks.contenders import CONTENDERS, Contender
from tests.benchmarks.control import Control, polls
from tests.benchmarks.jobs import spread
from tests.benchmarks.measured.counting import capture_log_lines, count_lookups
from tests.benchmarks.measured.task import hand_back, percentile, read_task, resident_bytes, silence

# The warm-up's job is none of those measured.
WARM_UP_JOB = 99_999_999
LAG_SLEEP = 0.01


class Run:
    """One run of one contender.

    :param task: ``contender``, ``waits``, ``interval``, ``steady`` (seconds), ``control_port``; ``warm_up`` and
        ``drain`` say whether there are these parts.
    """

    def __init__(self, task: dict[str, Any]) -> None:
        self.waits: int = task["waits"]
        self.interval: float = task["interval"]
        self.steady: float = task["steady"]
        self.warms_up: bool = task["warm_up"]
        self.drains: bool = task["drain"]
        self.control = Control(task["control_port"])
        self.contender: Contender = CONTENDERS[task["contender"]](self.interval)
        self.ended_at: dict[int, float] = {}
        self.wrong: list[str] = []
        self.lags: list[float] = []

    async def run(self) -> dict[str, Any]:
        """Go through all parts; return the figures."""
        await self.contender.open()
        self.control.reset()
        if self.warms_up:
            await self._warm_up()
            self.control.reset()
        before = resident_bytes()
        tasks = await self._start()
        await asyncio.sleep(self.interval)
        figures = await self._steady_window()
        began, after = time.monotonic(), resident_bytes()
        figures["kib_per_wait"] = (after - before) / 1024 / self.waits
        figures["resident_mib"] = after / 2**20
        figures["ended_early"] = len(self.ended_at)
        if self.drains:
            if time.monotonic() - began > 0.5:  # collecting garbage has held up all waits: let them recover
                await asyncio.sleep(self.interval)
            figures |= await self._drain(tasks)
        figures["wrong"] = self.wrong[:5]
        for each in tasks:
            each.cancel()
        await asyncio.wait(tasks, timeout=10)
        await self.contender.close()
        return figures

    async def _warm_up(self) -> None:
        self.control.finish({self.contender.stub_job(WARM_UP_JOB): 0.0})
        if not await asyncio.wait_for(self.contender.wait(WARM_UP_JOB), 30):
            raise RuntimeError("the contender does not see that a job is done")

    async def _start(self) -> list[asyncio.Task[None]]:
        tasks = []
        begin = time.monotonic()
        for index in range(self.waits):
            ahead = begin + index * self.interval / self.waits - time.monotonic()
            if ahead > 0:
                await asyncio.sleep(ahead)
            tasks.append(asyncio.create_task(self._one(index)))
        return tasks

    async def _one(self, index: int) -> None:
        try:
            done = await self.contender.wait(index)
        except Exception as error:
            self.wrong.append(f"{type(error).__name__}: {error}"[:200])
            return
        if done:
            self.ended_at[index] = time.time()
        else:
            self.wrong.append("an end that is none")

    async def _steady_window(self) -> dict[str, Any]:
        lag = asyncio.create_task(self._measure_lag())
        counts, cpu, began = self.control.counts(), time.process_time(), time.monotonic()
        await asyncio.sleep(self.steady)
        cpu, seconds = time.process_time() - cpu, time.monotonic() - began
        later, gaps = self.control.counts(), self.control.gaps()
        lag.cancel()
        made, span = polls(later) - polls(counts), later["at"] - counts["at"]
        return {
            "cpu_per_1000": cpu / made * 1000 if made else None,
            "cpu_cores": cpu / seconds,
            "stub_cores": (later["cpu"] - counts["cpu"]) / span,
            "polls_per_second": made / seconds,
            "tls_per_poll": later["tls"] / max(polls(later), 1),
            "lag_p99_ms": percentile(self.lags, 99) * 1000,
            "largest_gap": gaps["largest_gap"],
            "jobs_polled": gaps["jobs"],
            "counts": later,
            "window": [counts["at"], later["at"]],
        }

    async def _measure_lag(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(LAG_SLEEP)
            self.lags.append(time.monotonic() - began - LAG_SLEEP)

    async def _drain(self, tasks: list[asyncio.Task[None]]) -> dict[str, Any]:
        begin = time.time() + 0.5
        finished = spread(self.waits, begin, self.interval)
        self.control.finish({self.contender.stub_job(index): at for index, at in enumerate(finished)})
        # Those that cannot keep up are not waited for without end.
        most = 4 * self.interval
        await asyncio.wait(tasks, timeout=begin + most - time.time())
        detections = [
            self.ended_at[index] - at if index in self.ended_at else most for index, at in enumerate(finished)
        ]
        return {"detection_p99": percentile(detections, 99), "not_seen": self.waits - len(self.ended_at)}


def main() -> None:
    """Do as the task says; ``counting`` names what is counted besides."""
    task = read_task()
    counting = task.get("counting")
    # Before a contender is imported, so that it finds what counts in place.
    lookups = count_lookups() if counting == "lookups" else []
    lines = capture_log_lines() if counting == "log_lines" else None
    if lines is None:
        silence()
    figures = asyncio.run(Run(task).run())
    if lines is not None:
        begin, end = figures["window"]
        figures["log_lines"] = [line for at, line in lines if begin <= at <= end]
        figures["log_lines_at_all"] = len(lines)
        figures["log_lines_of_triggers"] = sum("airflow_provider_drs.triggers" in line for _, line in lines)
    hand_back(task, {**figures, "lookups": lookups})


if __name__ == "__main__":
    main()
