"""Waits on streams of polls, with a clock that is moved by hand and a DRS that writes down what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_drs.clients.polling import streams as poll_streams
from airflow_provider_drs.clients.polling.follower import POLL_TICK
from airflow_provider_drs.clients.polling.streams import PollStreams
from airflow_provider_drs.protocol.errors import (
    DrsError,
    DrsPermissionError,
)
from airflow_provider_drs.protocol.jobs.replies import JobProgress, JobState
from airflow_provider_drs.protocol.jobs.wait import JobsWait
from airflow_provider_drs.protocol.jobs.wanted import JobsCondition
from airflow_provider_drs.protocol.polling import GiveUp, KeepPolling, Pace, PollResult
from airflow_provider_drs.protocol.settings import read_settings
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply
from airflow_provider_drs.protocol.switchover.wait import SwitchoverWait
from tests.clients.helpers import on_a_loop
from tests.clock import FakeClock
from tests.constants import FULL_TRANSFER, RUNNING, START

BEGAN = 1000.0
HEALTHY, BEFORE = RUNNING, FULL_TRANSFER


@dataclass
class Asked:
    at: float
    name: str
    jobs: list[str]


@dataclass
class Drs:
    """Stands in for the client: responds after a while, and writes down what it was asked, and when."""

    clock: FakeClock
    extra: dict[str, Any] = field(default_factory=dict)
    status: str = START
    latency: float = 0.02
    errors: list[DrsError] = field(default_factory=list)
    bad_jobs: set[str] = field(default_factory=set)
    bad: DrsError = field(default_factory=lambda: DrsPermissionError("not yours"))
    failing: dict[str, DrsError] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    closed: int = 0
    stale: bool = False

    def __post_init__(self) -> None:
        extra = {"token": "t", "project_id": "p", **self.extra}
        self.settings = read_settings("drs_test", host="http://127.0.0.1:9", extra=extra)

    async def call(self, call: Any) -> Any:
        jobs = call.body["jobs"] if call.body and "jobs" in call.body else [call.path.split("/")[1]]
        self.asked.append(Asked(self.clock.now, call.name, jobs))
        error = self.errors.pop(0) if self.errors else None
        status = self.status
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.clock.until_moved(self.latency)
        finally:
            self.under_way -= 1
        if error is not None:
            raise error
        if self.bad_jobs.intersection(jobs):
            raise self.bad
        if call.name in self.failing:
            raise self.failing[call.name]
        if call.name == "batch-status":
            return {job: JobState(job, status) for job in jobs}
        if call.name == "batch-progress":
            return {job: JobProgress(job, 0.0) for job in jobs}
        return SwitchoverReply(jobs[0], status)

    async def close(self) -> None:
        self.closed += 1

    def between(self, begin: float, end: float) -> list[Asked]:
        return [asked for asked in self.asked if begin <= asked.at - BEGAN < end]

    def times(self, job: str) -> list[float]:
        return [asked.at - BEGAN for asked in self.asked if job in asked.jobs]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock(BEGAN)
    monkeypatch.setattr(poll_streams, "Clock", clock.of_streams_by_hand)
    return clock


@pytest.fixture
def drs(clock: FakeClock) -> Drs:
    return Drs(clock)


class Waits:
    """Some waits that follow the streams; what each was told."""

    def __init__(self, drs: Drs, rng: float = 0.0) -> None:
        self.streams = PollStreams(drs, rng=lambda: rng)  # type: ignore[arg-type]
        self.told: list[list[PollResult | Exception]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def begin(self, wait: Any, carry_on: bool = False) -> None:
        told: list[PollResult | Exception] = []
        self.told.append(told)
        self.tasks.append(asyncio.ensure_future(self._follow(wait, told, carry_on)))

    async def _follow(self, wait: Any, told: list[PollResult | Exception], carry_on: bool) -> None:
        with self.streams.follow(wait) as follower:
            while True:
                try:
                    told.append(await follower.next())
                except ZeroDivisionError as error:
                    told.append(error)
                    return
                if not isinstance(told[-1], KeepPolling):
                    if not carry_on:
                        return
                    follower.again(told[-1].delay if isinstance(told[-1], GiveUp) else 5.0)

    @property
    def ends(self) -> list[Any]:
        """What each wait ended with, None for none yet."""
        return [told[-1] if told and not isinstance(told[-1], KeepPolling) else None for told in self.told]

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.streams.close()


def job(number: int = 0) -> str:
    return f"job-{number:04}"


def an_interval(gap: float, interval: float = 5.0) -> bool:
    """Tell whether ``gap`` is an interval after a response, to the next beat."""
    return interval + 0.0199 <= gap <= interval + 0.0201 + POLL_TICK


def switchover(number: int = 0, interval: float = 5.0, **kwargs: Any) -> SwitchoverWait:
    return SwitchoverWait(job(number), Pace(interval), rng=lambda: 1.0, **kwargs)


def jobs(*ids: str, lag: bool = False, interval: float = 5.0, samples: int = 1) -> JobsWait:
    wanted = JobsCondition(
        ids, (HEALTHY,), ("FULL_TRANSFER_FAILED",), needs_lag=lag, max_lag=5.0, stable_samples=samples
    )
    return JobsWait(wanted, Pace(interval), rng=lambda: 1.0)


def played(drs: Drs, play: Callable[[Waits], Coroutine[Any, Any, None]], rng: float = 0.0) -> Waits:
    """Run ``play`` with some waits, and end them."""

    async def main() -> Waits:
        waits = Waits(drs, rng)
        try:
            await play(waits)
        finally:
            await waits.close()
        return waits

    return on_a_loop(main())
