"""One poll, one wait and one repeated call, for whoever lends a clock and sends the requests.

Tasks lend real ones, tests scripted ones. The polls that a triggerer shares do the same on an event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from airflow_provider_drs.protocol.errors import DrsError, DrsTransientError
from airflow_provider_drs.protocol.http.request import Call
from airflow_provider_drs.protocol.polling import (
    GiveUp,
    Instant,
    KeepPolling,
    LogLine,
    Patience,
    PollingWait,
    PollResult,
    Trouble,
)

_R = TypeVar("_R")


class Runtime(Protocol):
    """What waits, switchovers and job control need from the outside."""

    def send(self, call: Call[_R]) -> _R:
        """Make one call and return its reply.

        :raises DrsError: what came instead.
        """

    def now(self) -> float:
        """Return the time, seconds since the epoch."""

    def monotonic(self) -> float:
        """Return seconds on a clock that only goes forward."""

    def server_time(self) -> float | None:
        """Return the service's own time by its last response, seconds since the epoch; None: not known."""

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def log(self, line: LogLine) -> None:
        """Write a line to the task's log."""


def poll(wait: PollingWait, runtime: Runtime) -> PollResult:
    """Make one poll: send what the wait asks, hand it the replies or the error, and log what it says."""
    now, steady = runtime.now(), runtime.monotonic()
    try:
        replies = [runtime.send(call) for call in wait.query().calls()]
    except DrsError as error:
        result = wait.failed(error, runtime.now())
    else:
        result = wait.take(replies, runtime.now(), Instant(now, steady, runtime.server_time()))
    for line in result.lines:
        runtime.log(line)
    return result


def wait_until_over(
    wait: PollingWait,
    runtime: Runtime,
    *,
    max_polls: int | None = None,
    after_poll: Callable[[PollResult], bool] | None = None,
) -> PollResult:
    """Poll until the wait is over. The one poll loop of a worker; a triggerer shares its polls instead.

    :param max_polls: stop after so many polls, or once an end in sight is settled; None: never.
    :param after_poll: called after each poll; stop where it returns True.
    :return: the result that is an end, or that of the last poll where it stopped before.
    """
    polls = 0
    while True:
        result = poll(wait, runtime)
        polls += 1
        stop = after_poll is not None and after_poll(result)
        if stop or not isinstance(result, KeepPolling):
            return result
        if max_polls is not None and polls >= max_polls and not result.stay:
            return result
        runtime.sleep(result.delay)


class TroubleLasts(Exception):
    """Trouble that somebody else is to wait out, no error of the task: has what it was so far, and when to ask next.

    :param trouble: the trouble so far.
    :param ask_at: seconds since the epoch.
    """

    def __init__(self, trouble: Trouble, ask_at: float) -> None:
        super().__init__("DRS is in trouble")
        self.trouble = trouble
        self.ask_at = ask_at


def call_with_retry(call: Call[_R], runtime: Runtime, patience: Patience) -> _R:
    """Make a call that may go out more than once until there is a good reply; return it.

    :raises TroubleLasts: the patience leaves the rest to somebody else.
    :raises DrsUnavailableError: the patience is at its end.
    :raises DrsError: any error that a repeated request cannot mend.
    """
    while True:
        try:
            return runtime.send(call)
        except DrsTransientError as error:
            failure = error
        sit_out(failure, runtime, patience)


def sit_out(error: DrsError, runtime: Runtime, patience: Patience) -> None:
    """Log trouble and sleep as the patience has it.

    :raises TroubleLasts: the patience leaves the rest to somebody else.
    :raises DrsUnavailableError: the patience is at its end.
    """
    now = runtime.now()
    result = patience.failed(error, now)
    for line in result.lines:
        runtime.log(line)
    if isinstance(result, GiveUp):
        raise result.error
    if patience.leaves(now + result.delay):
        raise TroubleLasts(patience.trouble, now + result.delay)
    runtime.sleep(result.delay)
