"""What operators and sensors share: sending, sleeping, logging, durations, the link to the console."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_drs.links.drs import DrsConsoleLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_drs import protocol
    from airflow_provider_drs.hooks.drs import DrsHook

R = TypeVar("R")

MAX_SECONDS = 10 * 365 * 86400.0


class TaskRuntime:
    """The ``protocol.Runtime`` of a task: real clocks, the hook's client, the task's log.

    :param hook: sends the calls.
    :param log: the task's log.
    """

    def __init__(self, hook: DrsHook, log: Any) -> None:
        self.hook = hook
        self._log = log

    def send(self, call: protocol.Call[R]) -> R:
        """Make one call and return its reply."""
        return self.hook.get_conn().call(call)

    def now(self) -> float:
        """Return the time, seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds on a clock that only goes forward."""
        return time.monotonic()

    def server_time(self) -> float | None:
        """Return the service's own time by its last response."""
        return getattr(self.hook.get_conn(), "last_server_time", None)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def log(self, line: protocol.LogLine) -> None:
        """Write a line to the task's log."""
        self._log.log(line.level, line.text)


def publish_link(task: Any, hook: DrsHook, job_id: str | None, context: Context) -> None:
    """Publish the address of the job's page in the console, where it is known, for the button of this task.

    :param task: the operator or sensor; keeps the address as ``console_link``, empty for none.
    :param job_id: the job, None where the task has not just one.
    """
    address = hook.settings.console_link(job_id) if job_id else None
    task.console_link = address or ""
    if address:
        DrsConsoleLink.publish(context, address)


def seconds(name: str, value: timedelta | float) -> float:
    """Return a duration in seconds.

    :raises ValueError: it is no timedelta and no number from 0 to ten years.
    """
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= MAX_SECONDS:
        raise ValueError(f"{name} must be a timedelta or a non-negative number of seconds, not {value!r}")
    return float(number)
