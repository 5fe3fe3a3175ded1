"""Hearing all that DRS answers about a switchover, for those who make up their own minds about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_drs.protocol.errors import DrsError, DrsTransientError
from airflow_provider_drs.protocol.jobs.query import CallQuery
from airflow_provider_drs.protocol.polling import KeepPolling, Pace, PollingWait, PollMemory, PollResult
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply, get_switchover_status

PAUSE_AFTER_ERROR = 60.0


@dataclass(frozen=True)
class Snapshot(PollResult):
    """How things stood at one poll: whole, so that who comes late or misses one has lost nothing.

    :param reply: what DRS answered; None: an error came instead.
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
        self._question = CallQuery(get_switchover_status(job_id))

    def query(self) -> CallQuery:
        """Return what a poll asks."""
        return self._question

    def take(self, replies: Sequence[Any], at: float, asked_at: float) -> Snapshot:
        """Take the reply to :meth:`question`."""
        self._count(at)
        self._recovered(at)
        return Snapshot(reply=replies[0], at=at, asked_at=asked_at, delay=self.pace.delay(self.memory.polls))

    def failed(self, error: DrsError, at: float) -> Snapshot:
        """Take an error in its stead."""
        verdict = super().failed(error, at)
        passes = isinstance(error, DrsTransientError) and isinstance(verdict, KeepPolling)
        return Snapshot(error=error, at=at, asked_at=at, delay=verdict.delay if passes else PAUSE_AFTER_ERROR)  # type: ignore[attr-defined]
