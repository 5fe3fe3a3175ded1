"""A runtime whose clock jumps instead of passing, for the functions of the protocol that are handed one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from airflow_provider_drs.protocol.http.request import Call
from airflow_provider_drs.protocol.polling import LogLine
from airflow_provider_drs.protocol.switchover.record import Record

R = TypeVar("R")


class ScriptedRuntime:
    """Sends calls to ``service``, keeps what is logged and the last record that was saved.

    :param service: returns the reply to a call, or raises the error that comes instead.
    """

    def __init__(self, service: Callable[[Call[Any]], Any], now: float = 1000.0) -> None:
        self.service = service
        self.time = now
        self.lines: list[LogLine] = []
        self.saved: dict[str, Any] | None = None

    def send(self, call: Call[R]) -> R:
        reply: R = self.service(call)
        return reply

    def now(self) -> float:
        return self.time

    monotonic = now

    def server_time(self) -> float | None:
        return None

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def log(self, line: LogLine) -> None:
        self.lines.append(line)

    def save(self, record: Record) -> None:
        self.saved = record.to_dict()
