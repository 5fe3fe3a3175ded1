"""A hundred waits that could share their requests: how many requests do they make?"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tests.benchmarks.jobs import job_id
from tests.benchmarks.measured.task import hand_back, read_task, silence

SETTLING = 2  # intervals that pass before requests are counted


def _trigger(kind: str, index: int, interval: float) -> Any:
    from airflow_provider_drs.triggers.drs import DrsSwitchoverTrigger
    from airflow_provider_drs.triggers.jobs import DrsJobsTrigger

    if kind == "one job":
        return DrsSwitchoverTrigger(job_id=job_id(0), drs_conn_id="drs_bench", poke_interval=interval)
    # The stub's jobs never get there.
    wanted = {"job_ids": [job_id(index)], "targets": ["INCRE_TRANSFER_STARTED"], "needs_lag": kind == "status and lag"}
    return DrsJobsTrigger(wanted=wanted, drs_conn_id="drs_bench", poke_interval=interval)


async def _one(trigger: Any) -> None:
    async for _ in trigger.run():
        pass


async def _wait(task: dict[str, Any]) -> dict[str, Any]:
    interval, waits = task["interval"], task["waits"]
    tasks = []
    for index in range(waits):
        tasks.append(asyncio.create_task(_one(_trigger(task["kind"], index, interval))))
        await asyncio.sleep(interval / waits)
    await asyncio.sleep(SETTLING * interval)
    begin = time.time()
    await asyncio.sleep(task["intervals"] * interval)
    ended = sum(each.done() for each in tasks)
    for each in tasks:
        each.cancel()
    await asyncio.wait(tasks, timeout=10)
    return {"window": [begin, time.time()], "ended": ended}


if __name__ == "__main__":
    silence()
    task = read_task()
    hand_back(task, asyncio.run(_wait(task)))
