"""The status and the lag of one simulated job over time, and what job control does to them. No sockets, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from airflow_provider_drs.simulator.jobs import Job, Lag
from airflow_provider_drs.simulator.statuses import JobStatus, ScriptItem

T = TypeVar("T")

_FROM_START: Final = (JobStatus.STARTING, JobStatus.FULL_STARTED, JobStatus.REPLICATING)
_CAN_PAUSE: Final = (
    *(JobStatus.FULL_STARTED, JobStatus.FULL_FAILED, JobStatus.FULL_COMPLETE),
    *(JobStatus.REPLICATING, JobStatus.REPLICATION_FAILED),
)
#: control -> status in which it is accepted -> the statuses that follow, of which the last stays.
_FOLLOWING: Final[dict[str, dict[str, tuple[JobStatus, ...]]]] = {
    "start": {JobStatus.CONFIGURATION: _FROM_START, JobStatus.WAITING_FOR_START: _FROM_START},
    "pause": dict.fromkeys(_CAN_PAUSE, (JobStatus.PAUSED,)),
    # The failed status stands for a while: a poll sent at once still sees the failure that is over.
    "retry": {
        JobStatus.PAUSED: (JobStatus.PAUSED, JobStatus.REPLICATING),
        JobStatus.START_FAILED: _FROM_START,
        JobStatus.FULL_FAILED: (JobStatus.FULL_FAILED, JobStatus.FULL_STARTED, JobStatus.REPLICATING),
        JobStatus.REPLICATION_FAILED: (JobStatus.REPLICATION_FAILED, JobStatus.REPLICATING),
    },
}
_STOP: Final = (JobStatus.STOPPING, JobStatus.STOPPED)
_CANNOT_STOP: Final[frozenset[str]] = frozenset(
    {*_STOP, JobStatus.CREATE_FAILED, JobStatus.CHILD_STOPPING, JobStatus.CHILD_STOPPED}
)
_CAN_DELETE: Final[frozenset[str]] = frozenset({JobStatus.CREATE_FAILED, JobStatus.STOPPED, JobStatus.CHILD_STOPPED})
#: What the documentation spells in two ways.
_SPELLINGS: Final[dict[str, str]] = {"PAUSEING": JobStatus.PAUSED, "STARTJOB_FAILED": JobStatus.START_FAILED}


class JobLifecycle:
    """The status and the lag of ``job`` from the moment ``now``, at which it was added.

    ``controls`` are the job controls that were accepted, in order; ``deleted`` says that the last one deleted it.
    """

    def __init__(self, job: Job, now: float) -> None:
        self.controls: list[str] = []
        self.deleted = False
        self._job = job
        self._added_at = now
        self._status_at = self._lag_at = 0
        self._path: list[tuple[float, str]] = []  # since when which status, after a job control

    def status(self, now: float) -> str:
        """The status the job is in. It uses up no item of a script; the last real status that was shown counts."""
        if self._path:
            return _latest(self._path, now, self._path[0][1])
        if self._job.task_status_script is not None:
            given = self._job.task_status_script[: max(self._status_at, 1)]
            return next(
                (item for item in reversed(given) if item not in (None, ScriptItem.ABSENT, ScriptItem.MISSING)),
                self._job.status,
            )
        if self._job.task_status_series is not None:
            begun = [status for since, status in self._job.task_status_series if since <= now - self._added_at]
            return next(filter(None, reversed(begun)), self._job.status)
        return self._job.status

    def next_status(self, now: float) -> str | None:
        """What ``batch-status`` shows: a status, None, ``"ABSENT"`` or ``"MISSING"``; goes one item on in a script."""
        script, series = self._job.task_status_script, self._job.task_status_series
        if series is not None and not self._path:
            return _latest(series, now - self._added_at, self._job.status)
        if script is None or self._path:
            return self.status(now)
        self._status_at += 1
        return script[min(self._status_at, len(script)) - 1]

    def next_lag(self, now: float) -> str | None:
        """What ``batch-progress`` shows as the lag: a string, None, or ``"ABSENT"``; goes one item on in a script."""
        usual = "0" if self.status(now) == JobStatus.REPLICATING else "-1"
        lag: Lag = usual
        if self._job.lag_script is not None:
            self._lag_at += 1
            lag = self._job.lag_script[min(self._lag_at, len(self._job.lag_script)) - 1]
        elif self._job.lag_series is not None:
            lag = _latest(self._job.lag_series, now - self._added_at, usual)
        return None if lag is None else str(lag)

    def control(self, name: str, now: float, not_before: float = 0.0) -> str | None:
        """Start, pause, retry, terminate, force_terminate or delete the job.

        :param not_before: when a start is to take place, seconds since the epoch
        :return: None when accepted, otherwise the error code
        """
        job, status = self._job, self.status(now)
        following = _following(name, _SPELLINGS.get(status, status))
        if job.control_refused is not None or following is None:
            return job.control_refused or "DRS.M00304"
        self.controls.append(name)
        if name == "delete":
            self.deleted = True
            return None
        path = tuple(job.transition or following)
        begins, step = max(now, not_before), job.transition_seconds / max(len(path) - 1, 1)
        waiting = [(now, JobStatus.WAITING_FOR_START)] if begins > now else []
        self._path = waiting + [(begins + step * place, status) for place, status in enumerate(path)]
        return None


def _following(control: str, status: str) -> tuple[str, ...] | None:
    if control == "delete":
        return () if status in _CAN_DELETE else None
    if control in ("terminate", "force_terminate"):
        return None if status in _CANNOT_STOP else _STOP
    return _FOLLOWING[control].get(status)


def _latest(series: Sequence[tuple[float, T]], now: float, before: T) -> T:
    return next((value for since, value in reversed(series) if since <= now), before)
