"""The status and the lag of one simulated job over time, and what job control does to them. No sockets, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from airflow_provider_drs.simulator.jobs import ABSENT, MISSING, Job, Lag

REPLICATING: Final = "INCRE_TRANSFER_STARTED"
RELEASED: Final = "RELEASE_RESOURCE_COMPLETE"

_RUNNING_FROM_START: Final = ("STARTJOBING", "FULL_TRANSFER_STARTED", REPLICATING)
#: control -> status in which it is accepted -> the statuses that follow, of which the last stays.
_FOLLOWING: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "start": {"CONFIGURATION": _RUNNING_FROM_START, "WAITING_FOR_START": _RUNNING_FROM_START},
    # PAUSING is all that is documented of a paused job.
    "pause": {"FULL_TRANSFER_STARTED": ("PAUSING",), REPLICATING: ("PAUSING",)},
    # What was wrong stands for a while: who asks at once is told of a failure that is over.
    "retry": {
        "PAUSING": ("PAUSING", REPLICATING),
        "START_JOB_FAILED": _RUNNING_FROM_START,
        "FULL_TRANSFER_FAILED": ("FULL_TRANSFER_FAILED", "FULL_TRANSFER_STARTED", REPLICATING),
        "INCRE_TRANSFER_FAILED": ("INCRE_TRANSFER_FAILED", REPLICATING),
    },
}
_STOPPED: Final = ("RELEASE_RESOURCE_STARTED", RELEASED)
_CANNOT_STOP: Final = frozenset(
    {*_STOPPED, "CREATING", "CREATE_FAILED", "RELEASE_CHILD_TRANSFER_STARTED", "RELEASE_CHILD_TRANSFER_COMPLETE"}
)
_CAN_DELETE: Final = frozenset({"CREATE_FAILED", RELEASED, "RELEASE_CHILD_TRANSFER_COMPLETE"})
_SPELLINGS: Final = {"PAUSEING": "PAUSING", "STARTJOB_FAILED": "START_JOB_FAILED"}


class JobLifecycle:
    """What the status and the lag of ``job`` are from the moment ``now`` on, at which it was added.

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
        """The status the job is in; uses up nothing of a script, of which the last real status given out counts."""
        if self._path:
            return str(_latest(self._path, now, self._path[0][1]))
        if self._job.task_status_script is not None:
            given = self._job.task_status_script[: max(self._status_at, 1)]
            return next((item for item in reversed(given) if item not in (None, ABSENT, MISSING)), self._job.status)
        if self._job.task_status_series is not None:
            return str(_latest(self._job.task_status_series, now - self._added_at, self._job.status))
        return self._job.status

    def next_status(self, now: float) -> str | None:
        """What ``batch-status`` shows: a status, None, ``"ABSENT"`` or ``"MISSING"``; goes one item on in a script."""
        script = self._job.task_status_script
        if script is None or self._path:
            return self.status(now)
        self._status_at += 1
        return script[min(self._status_at, len(script)) - 1]

    def next_lag(self, now: float) -> str | None:
        """What ``batch-progress`` shows as the lag: a string, None, or ``"ABSENT"``; goes one item on in a script."""
        usual = "0" if self.status(now) == REPLICATING else "-1"
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
        waiting = [(now, "WAITING_FOR_START")] if begins > now else []
        self._path = waiting + [(begins + step * place, status) for place, status in enumerate(path)]
        return None


def _following(control: str, status: str) -> tuple[str, ...] | None:
    if control == "delete":
        return () if status in _CAN_DELETE else None
    if control in ("terminate", "force_terminate"):
        return None if status in _CANNOT_STOP else _STOPPED
    return _FOLLOWING[control].get(status)


def _latest(series: Sequence[tuple[float, Any]], now: float, before: Any) -> Any:
    return next((value for since, value in reversed(series) if since <= now), before)
