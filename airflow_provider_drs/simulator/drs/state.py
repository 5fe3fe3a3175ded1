"""All jobs of a simulator and the state each is in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_drs.simulator.drs.lifecycle import JobLifecycle
from airflow_provider_drs.simulator.drs.switchovers import Switchovers, SwitchResult
from airflow_provider_drs.simulator.jobs import Job, Lag
from airflow_provider_drs.simulator.statuses import JobStatus


@dataclass
class _JobState:
    job: Job
    switchovers: Switchovers
    lifecycle: JobLifecycle
    measured: Callable[[], Lag] | None = None


class JobStore:
    """The jobs by their ids; safe to use from several threads. All but `add`, `get` and `gone` need a known id."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._states: dict[str, _JobState] = {}
        self._lock = threading.Lock()

    def add(self, job: Job, lag: Callable[[], Lag] | None = None) -> None:
        """Add a job, or replace the one with the same id, which starts from the beginning.

        :param lag: measures the lag, in place of the job's own; may take a while
        """
        now = self.clock()
        with self._lock:
            self._states[job.job_id] = _JobState(job, Switchovers(job, now), JobLifecycle(job, now), lag)

    def get(self, job_id: str) -> Job | None:
        """The job with this id, or None when there is none or it was deleted."""
        state = self._states.get(job_id)
        return state.job if state and not state.lifecycle.deleted else None

    def gone(self, job_id: str) -> str:
        """The error code for a job that `get` does not find."""
        return "DRS.M05004" if job_id in self._states else "DRS.M05003"

    def all(self) -> list[Job]:
        """Every job that was not deleted, in the order they were added."""
        with self._lock:
            return [state.job for state in self._states.values() if not state.lifecycle.deleted]

    def switched(self, job_id: str) -> list[str]:
        """The modes of the switchovers that were accepted for a job, in order."""
        with self._lock:
            return list(self._states[job_id].switchovers.modes)

    def controlled(self, job_id: str) -> list[str]:
        """The job controls that were accepted for a job, in order, also for one that was deleted."""
        with self._lock:
            return list(self._states[job_id].lifecycle.controls)

    def next_switchover_status(self, job_id: str) -> str | None:
        """What the switchover status is now, see `Switchovers.next_status`."""
        with self._lock:
            return self._states[job_id].switchovers.next_status(self.clock())

    def traffic(self, job_id: str | None) -> tuple[list[str], str | None]:
        """The modes of the switchovers that were accepted, and the status of the last, see `Switchovers.shown`.

        :param job_id: None: of the job that was added first; where there is none, no switchover was accepted
        """
        now = self.clock()
        with self._lock:
            state = next(iter(self._states.values()), None) if job_id is None else self._states.get(job_id)
            return ([], None) if state is None else (list(state.switchovers.modes), state.switchovers.shown(now))

    def switch(self, job_id: str, mode: str) -> SwitchResult:
        """Ask for a switchover."""
        now = self.clock()
        with self._lock:
            state = self._states[job_id]
            return state.switchovers.switch(mode, now, state.lifecycle.status(now) == JobStatus.REPLICATING)

    def status(self, job_id: str) -> str:
        """The status of the job, without using up an item of a script."""
        with self._lock:
            return self._states[job_id].lifecycle.status(self.clock())

    def next_status(self, job_id: str) -> str | None:
        """What ``batch-status`` shows now, see `JobLifecycle.next_status`."""
        with self._lock:
            return self._states[job_id].lifecycle.next_status(self.clock())

    def next_lag(self, job_id: str) -> str | None:
        """What ``batch-progress`` shows as the lag now, measured or by `JobLifecycle.next_lag`."""
        with self._lock:
            state = self._states[job_id]
            now = self.clock()
            if state.measured is None or state.lifecycle.status(now) != JobStatus.REPLICATING:
                return state.lifecycle.next_lag(now)
        lag = state.measured()  # not while all others wait
        return None if lag is None else str(lag)

    def control(self, job_id: str, name: str, not_before: float = 0.0) -> str | None:
        """Start, pause, retry, terminate, force_terminate or delete a job; returns None or an error code."""
        with self._lock:
            return self._states[job_id].lifecycle.control(name, self.clock(), not_before)
