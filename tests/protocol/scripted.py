"""A runtime whose clock jumps instead of passing, for the functions of the protocol that are handed one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from airflow_provider_drs.protocol.http.request import Call
from airflow_provider_drs.protocol.polling import LogLine
from airflow_provider_drs.protocol.switchover.record import Record
from airflow_provider_drs.protocol.switchover.witness import Look, Side
from tests.clock import FakeClock

R = TypeVar("R")


class ScriptedRuntime:
    """Sends calls to ``service``, keeps what is logged and the last record that was saved.

    :param service: returns the reply to a call, or raises the error that comes instead.
    :param clock: one of its own where none is given, which begins at ``now``.
    """

    def __init__(
        self, service: Callable[[Call[Any]], Any], clock: FakeClock | None = None, *, now: float = 1000.0
    ) -> None:
        self.service = service
        self.clock = clock or FakeClock(now)
        self.lines: list[LogLine] = []
        self.looks: list[Look] = [Look(Side.NOBODY)]
        self.saved: dict[str, Any] | None = None

    def send(self, call: Call[R]) -> R:
        reply: R = self.service(call)
        return reply

    @property
    def time(self) -> float:
        return self.clock.now

    def now(self) -> float:
        return self.clock.now

    monotonic = now

    def server_time(self) -> float | None:
        return None

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    def log(self, line: LogLine) -> None:
        self.lines.append(line)

    def look(self) -> Look:
        """Return what the next of ``looks`` says; the last one stays."""
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def save(self, record: Record) -> None:
        self.saved = record.to_dict()

    def try_save(self, record: Record) -> None:
        self.save(record)
