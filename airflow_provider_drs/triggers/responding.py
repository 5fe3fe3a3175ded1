"""The trigger that waits for DRS to respond again, before an operator asks anything."""

from __future__ import annotations

from typing import Any

from airflow_provider_drs import protocol
from airflow_provider_drs.triggers.base import DrsTrigger


class DrsRespondingTrigger(DrsTrigger):
    """Waits until DRS gives a good response to each call that an operator reads a job with, and fires one event.

    :param job_id: the job.
    :param switchover: the operator is to switch, and reads more than the job's status.

    The other parameters are those of :class:`~airflow_provider_drs.triggers.base.DrsTrigger`.

    The event is plain JSON: ``{"outcome": "ready"}`` or ``{"outcome": "error", "error": {...}}``.
    """

    def __init__(self, job_id: str, *, switchover: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        self.switchover = switchover

    def _serialized(self) -> dict[str, Any]:
        return {"job_id": self.job_id, "switchover": self.switchover}

    def new_wait(self, seed: str = "", memory: dict[str, Any] | None = None) -> protocol.RespondingWait:
        """Return the state machine of this wait."""
        return protocol.RespondingWait(
            f"Job {self.job_id}",
            protocol.reads(self.job_id) if self.switchover else [protocol.batch_status([self.job_id])],
            self._pace(seed),
            protocol.PollMemory.from_dict(self._memory(memory)),
            transient_error_timeout=self.transient_error_timeout,
            error_context=self._error_context(protocol.describe_job(self.job_id)),
        )
