"""The triggers that wait for jobs and for comparisons."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_drs import protocol
from airflow_provider_drs.triggers.base import DrsTrigger


class DrsJobsTrigger(DrsTrigger):
    """Waits until jobs are as they should be, or one has failed, and fires one event.

    :param wanted: which jobs, and how they should be, as ``protocol.JobsCondition.to_dict`` writes it.
    :param record: what an operator knew when the wait began, handed back with the event.

    The other parameters are those of :class:`~airflow_provider_drs.triggers.base.DrsTrigger`.

    The event is plain JSON: ``{"outcome": "ready", "result": {samples, first_polled_at, done_at, polls}}``,
    ``{"outcome": "failed", "jobs": [{job_id, status, error_code, error_msg}]}`` or
    ``{"outcome": "error", "error": {...}}``.
    """

    def __init__(
        self,
        wanted: dict[str, Any],
        *,
        record: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wanted = wanted
        self.record = record

    def _serialized(self) -> dict[str, Any]:
        return {"wanted": self.wanted, "record": self.record}

    def _echo(self) -> dict[str, Any]:
        return {} if self.record is None else {"record": self.record}

    def new_wait(self, seed: str = "", memory: dict[str, Any] | None = None) -> protocol.JobsWait:
        """Return the state machine of this wait."""
        wanted = protocol.JobsCondition.from_dict(self.wanted)
        return protocol.JobsWait(
            wanted,
            self._pace(seed),
            transient_error_timeout=self.transient_error_timeout,
            memory=protocol.JobsMemory.from_dict(self._memory(memory)),
            error_context=self._error_context(protocol.describe_jobs(wanted.job_ids)),
            tell_every=conf.getfloat("drs", "progress_interval", fallback=protocol.TELL_EVERY),
        )


class DrsCompareTrigger(DrsTrigger):
    """Waits until a comparison of source and target has ended, and fires one event.

    :param job_id: the job.
    :param compare: what is compared: ``objects``, ``lines`` or ``contents``.
    :param compare_id: the comparison, as DRS named it when it was created.
    :param deadline: seconds since the epoch after which to give up; None: never.

    The other parameters are those of :class:`~airflow_provider_drs.triggers.base.DrsTrigger`.

    The event is plain JSON: ``{"outcome": "compared", "result": {...}}`` or ``{"outcome": "error", "error": {...}}``.
    """

    def __init__(
        self,
        job_id: str,
        compare: str,
        compare_id: str,
        *,
        poke_interval: float = 10.0,
        deadline: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.job_id = job_id
        self.compare = compare
        self.compare_id = compare_id
        self.deadline = deadline

    def _serialized(self) -> dict[str, Any]:
        return {
            "job_id": self.job_id,
            "compare": self.compare,
            "compare_id": self.compare_id,
            "deadline": self.deadline,
        }

    def new_wait(self, seed: str = "", memory: dict[str, Any] | None = None) -> protocol.CompareWait:
        """Return the state machine of this wait."""
        return protocol.CompareWait(
            self.job_id,
            self.compare,
            self.compare_id,
            self._pace(seed),
            transient_error_timeout=self.transient_error_timeout,
            error_context=self._error_context(protocol.describe_job(self.job_id)),
            deadline=self.deadline,
        )
