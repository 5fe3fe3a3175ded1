"""One wait of one contender, at a server that is in trouble: for how long does it wait, and how often does it ask?"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.measured.counting import count_connects
from tests.benchmarks.measured.task import hand_back, read_task, silence


async def _wait(task: dict[str, Any]) -> dict[str, Any]:
    contender = CONTENDERS[task["contender"]](task["interval"])
    began, cpu = time.monotonic(), time.process_time()
    waiting = asyncio.create_task(contender.wait(0))
    await asyncio.wait([waiting], timeout=task["seconds"])
    end = "waits on"
    if waiting.done():
        end = f"raises {type(error).__name__}" if (error := waiting.exception()) else "fires an event"
    figures = {"end": end, "seconds": time.monotonic() - began, "cpu": time.process_time() - cpu}
    waiting.cancel()
    await asyncio.wait([waiting], timeout=5)
    return figures


def main() -> None:
    """Wait as the task says: ``contender``, ``interval``, ``seconds``, ``refusing_port``."""
    silence()
    task = read_task()
    attempts = count_connects(task["refusing_port"])
    figures = asyncio.run(_wait(task))
    hand_back(task, {**figures, "connects": len(attempts)})


if __name__ == "__main__":
    main()
