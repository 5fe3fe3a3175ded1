"""When DRS responds again: what a task waits for before it asks anything, where it leaves that to a triggerer."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_drs.protocol.errors import Json
from airflow_provider_drs.protocol.http.request import Call
from airflow_provider_drs.protocol.jobs.query import CallQuery
from airflow_provider_drs.protocol.polling import (
    Instant,
    KeepPolling,
    Outcome,
    Pace,
    PollingWait,
    PollMemory,
    PollResult,
)


@dataclass(frozen=True)
class Responds(PollResult):
    """DRS has responded to each of the calls."""

    def event(self) -> Json:
        """Return ``{"outcome": "ready"}``."""
        return {"outcome": str(Outcome.READY)}


class RespondingWait(PollingWait):
    """The wait for a good response to each of a few calls, one after the other. What they say does not matter.

    :param subject: what is asked about, for log lines, such as ``Job 260e27fd-...``.
    :param calls: the calls, none of which changes anything.
    :param pace: how often to poll while all is well.
    :param memory: the trouble so far.

    The other parameters are those of :class:`~airflow_provider_drs.protocol.polling.PollingWait`.
    """

    def __init__(
        self,
        subject: str,
        calls: Sequence[Call[Any]],
        pace: Pace,
        memory: PollMemory,
        *,
        transient_error_timeout: float | None,
        error_context: str = "",
        rng: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(
            subject,
            pace,
            memory,
            transient_error_timeout=transient_error_timeout,
            error_context=error_context,
            rng=rng,
        )
        self._left = list(calls)

    def query(self) -> CallQuery:
        """Return what the next poll asks."""
        return CallQuery(self._left[0], shared=False)

    def take(self, replies: Sequence[Any], at: float, sent: Instant) -> PollResult:
        """Take the reply to :meth:`query`, which came at ``at`` (seconds since the epoch)."""
        self._count(at)
        self._left = self._left[1:]
        # Trouble is over with the last of them: it may be that DRS fails one kind of call.
        return KeepPolling((), 0.0) if self._left else Responds(tuple(self.patience.recovered(at)))
