"""Does what a generator of the protocol layer wants done, and sends it the outcome."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from airflow_provider_drs.clients.sync_client import DrsClient
    from airflow_provider_drs.protocol.polling import LogLine
    from airflow_provider_drs.protocol.switchover.record import Record


def drive(
    steps: Generator[Any, Any, Any],
    client: DrsClient,
    log: Callable[[LogLine], None],
    keep: Callable[[Record], None] | None = None,
) -> Any:
    """Ask, wait, log and write down as ``steps`` wants it, until it returns.

    :param steps: yields ``Ask``, ``Keep``, ``Now``, ``Pause`` and ``Say`` of ``protocol.steps``.
    :param log: takes each line for the task's log.
    :param keep: writes a switchover's record down for good, where the steps want that.
    :return: what it returns.
    :raises DrsError: what it raises.
    """
    from airflow_provider_drs.protocol.errors import DrsError
    from airflow_provider_drs.protocol.switchover.steps import Ask, Keep, Now, Pause, Say

    try:
        step = next(steps)
        while True:
            outcome = None
            if isinstance(step, Ask):
                try:
                    outcome = client.call(step.call)
                except DrsError as error:
                    step = steps.throw(error)
                    continue
            elif isinstance(step, Now):
                outcome = time.time()
            elif isinstance(step, Pause):
                time.sleep(step.seconds)
            elif isinstance(step, Keep) and keep is not None:
                keep(step.record)
            elif isinstance(step, Say):
                log(step.line)
            else:
                raise TypeError(f"nobody here can do {step!r}")
            step = steps.send(outcome)
    except StopIteration as done:
        return done.value
