"""What a generator of this layer wants done; whoever drives it does the waiting, the sending and the writing."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from airflow_provider_drs.protocol.http.request import Call
from airflow_provider_drs.protocol.polling import LogLine
from airflow_provider_drs.protocol.switchover.record import Record


@dataclass(frozen=True)
class Ask:
    """Wanted: the reply to this call; its ``DrsError`` is to be thrown into the generator."""

    call: Call[Any]


@dataclass(frozen=True)
class Keep:
    """Wanted: this record written down for good, before anything else is done."""

    record: Record


@dataclass(frozen=True)
class Pause:
    """Wanted: a pause of so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Now:
    """Wanted: the time, seconds since the epoch."""


@dataclass(frozen=True)
class Say:
    """Wanted: a line in the task's log."""

    line: LogLine


Steps = Generator[Ask | Keep | Pause | Now | Say, Any, Any]
