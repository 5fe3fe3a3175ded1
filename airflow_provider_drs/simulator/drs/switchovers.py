"""The switchovers of one simulated job over time. No sockets; the time is handed in."""

from __future__ import annotations

from enum import Enum

from airflow_provider_drs.simulator.jobs import Job
from airflow_provider_drs.simulator.statuses import BEFORE_ANY_SWITCHOVER, ScriptItem, SwitchoverStatus


class SwitchResult(Enum):
    """The result of a request for a switchover."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # by the job's ``on_switch``
    BUSY = "busy"  # one is under way
    WRONG_STATUS = "wrong status"  # the job does not replicate increments


class Switchovers:
    """The switchover status of ``job`` from the moment ``now``, at which it was added."""

    def __init__(self, job: Job, now: float) -> None:
        self.modes: list[str] = []
        self._job = job
        self._accepted_at = now if job.running else None  # of the switchover that counts now
        self._before = job.leftover  # the result that stood until then
        self._script_at = self._script_after_at = 0

    def next_status(self, now: float) -> str | None:
        """What the status call says: a status, None, ``"ABSENT"`` or ``"EMPTY"``; goes one item on in a script."""
        if self._accepted_at is not None and self._job.status_after_switch is not None:
            script = self._job.status_after_switch
            self._script_after_at += 1
            return script[min(self._script_after_at, len(script)) - 1]
        if self._job.status_script is not None:
            script = self._job.status_script
            self._script_at += 1
            return script[min(self._script_at, len(script)) - 1]
        return self._timed_status(now)

    def switch(self, mode: str, now: float, replicates: bool) -> SwitchResult:
        """Ask for a switchover; a job with a script is never busy, so that a second request is accepted and counted.

        :param replicates: whether the job is in the one status a switchover is documented for
        """
        if not replicates and not self._job.switch_in_any_status:
            return SwitchResult.WRONG_STATUS
        if self._job.on_switch == "refused":
            return SwitchResult.REFUSED
        if self._under_way(now):
            return SwitchResult.BUSY
        if self._accepted_at is not None:
            self._before = self._job.final
        self._accepted_at = now
        self._script_after_at = 0
        self.modes.append(mode)
        return SwitchResult.ACCEPTED

    def shown(self, now: float) -> str | None:
        """The status of the switchover that counts now, None before it has begun; uses up no item of a script.

        In a script it is what the status call has said last.
        """
        if self._accepted_at is None:
            return None
        for script, place in (
            (self._job.status_after_switch, self._script_after_at),
            (self._job.status_script, self._script_at),
        ):
            if script is not None:
                said = script[min(place, len(script)) - 1] if place else None
                return None if said in (ScriptItem.ABSENT, ScriptItem.EMPTY) else said
        return self._timed_status(now) if now - self._accepted_at >= self._job.start_after else None

    def _under_way(self, now: float) -> bool:
        job = self._job
        if self._accepted_at is None or job.status_script is not None or job.status_after_switch is not None:
            return False
        return now - self._accepted_at < job.start_after + job.start_lasts

    def _timed_status(self, now: float) -> str | None:
        job = self._job
        elapsed = -1.0 if self._accepted_at is None else now - self._accepted_at
        if self._accepted_at is None or elapsed < job.start_after:
            return BEFORE_ANY_SWITCHOVER[job.no_switchover] if self._before is None else self._before
        return SwitchoverStatus.START if elapsed < job.start_after + job.start_lasts else job.final
