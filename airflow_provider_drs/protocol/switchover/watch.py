"""Watching a job's switchovers: every reply as a snapshot, for those who judge it themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_drs.protocol.errors import DrsError
from airflow_provider_drs.protocol.jobs.query import CallQuery
from airflow_provider_drs.protocol.polling import Instant, KeepPolling, Pace, PollingWait, PollMemory, PollResult
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply, get_switchover_status

PAUSE_AFTER_ERROR = 60.0


@dataclass(frozen=True)
class Snapshot(PollResult):
    """How things stood at one poll: whole, so that a late subscriber, or one that misses some, has lost nothing.

    :param reply: the reply; None: an error came instead.
    :param at: when it came, seconds since the epoch.
    :param asked_at: when it was asked for.
    :param delay: seconds to the next.
    """

    reply: SwitchoverReply | None = None
    error: DrsError | None = None
    at: float = 0.0
    asked_at: float = 0.0
    delay: float = 0.0


class SwitchoverWatch(PollingWait):
    """Never over: each poll of one job's switchover is a :class:`Snapshot`.

    :param job_id: the job.
    :param pace: how often to poll while all is well; in trouble more slowly, after any other error once a minute.
    """

    def __init__(self, job_id: str, pace: Pace) -> None:
        super().__init__(f"Job {job_id}", pace, PollMemory(), transient_error_timeout=None)
        self._query = CallQuery(get_switchover_status(job_id))

    def query(self) -> CallQuery:
        """Return what a poll asks."""
        return self._query

    def take(self, replies: Sequence[Any], at: float, sent: Instant) -> Snapshot:
        """Take the reply to :meth:`query`."""
        self._count(at)
        self.patience.recovered(at)
        return Snapshot(reply=replies[0], at=at, asked_at=sent.wall, delay=self.pace.delay(self.memory.polls))

    def failed(self, error: DrsError, at: float) -> Snapshot:
        """Take an error instead of a reply."""
        result = super().failed(error, at)
        delay = result.delay if isinstance(result, KeepPolling) else PAUSE_AFTER_ERROR
        return Snapshot(error=error, at=at, asked_at=at, delay=delay)
