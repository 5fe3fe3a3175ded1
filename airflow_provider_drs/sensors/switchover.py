"""The sensor that waits for a switchover of virtual IP addresses."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_drs.sensors.base import DrsSensor

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_drs.protocol.freshness import Freshness
    from airflow_provider_drs.protocol.waiting import SwitchoverWait, Verdict

NO_SWITCHOVER = "any"


class DrsSwitchoverSensor(DrsSensor):
    """Waits until DRS says that a job's switchover of virtual IP addresses is complete; fails when it failed.

    The same in poke, reschedule and deferrable mode. ``docs/sensor.md`` lists what each answer of DRS comes to.
    DRS API, "Querying the Switchover Result".

    The XCom return value is ``{job_id, status, first_polled_at, done_at, polls}``, the times in UTC, ISO 8601.

    :param job_id: the job (templated); of a cross-AZ task, the parent's. May be left out with ``switchover``.
    :param switchover: the XCom of a ``DrsSwitchoverOperator`` with ``wait_for_completion=False`` (templated): wait for
        that switchover, so that a result left over from an earlier one is not taken for it.
    :param verify_job_id: fail when the answer is about another job; False for a cross-AZ parent that answers with a
        child's id.
    :param end_from_trigger: when deferred, let the triggerer end the task once the switchover is complete, without
        another start of a worker. None (default): unless the task has outlets, an ``on_success_callback`` or a
        ``post_execute``, which Airflow takes care of on a worker only, or pushes no XCom.

    The other parameters are those of :class:`~airflow_provider_drs.sensors.base.DrsSensor` and of every sensor.
    ``soft_fail`` skips on a time-out and on a failed switchover, never on an error in talking to DRS.

    :raises DrsSwitchoverFailedError: DRS says that the switchover failed; not retried.
    :raises DrsSwitchoverUnknownError: with ``switchover``: it cannot be told whether it took place; not retried.
    :raises AirflowSensorTimeout: no end within ``timeout``.
    :raises DrsError: DRS or IAM cannot be asked, or answers what a wait cannot go on with.
    """

    template_fields: Sequence[str] = ("job_id", "project_id", "drs_conn_id", "switchover")

    def __init__(
        self,
        *,
        job_id: str | None = None,
        switchover: Any = NO_SWITCHOVER,
        verify_job_id: bool = True,
        end_from_trigger: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        # None is what an upstream task without a record renders to; it must not pass for "any switchover".
        self._bound = switchover is not NO_SWITCHOVER
        self.switchover = switchover if self._bound else None
        self.verify_job_id = verify_job_id
        self.end_from_trigger = end_from_trigger

    def _check(self, context: Context) -> str:
        from airflow_provider_drs.exceptions import DrsArgumentError
        from airflow_provider_drs.protocol.calls import checked_job_id

        if self._bound:
            if self.switchover is None:
                raise DrsArgumentError("switchover is None: the task it comes from left no record of one")
            meant = self.switchover.get("job_id") if isinstance(self.switchover, dict) else None
            if self.job_id is None:
                self.job_id = meant
            self._freshness()
            if self.job_id != meant:
                raise DrsArgumentError(f"job_id is {self.job_id!r}, the switchover is of job {meant!r}")
        return checked_job_id(self.job_id)

    def _new_wait(self, memory: dict[str, Any], seed: str) -> SwitchoverWait:
        from airflow_provider_drs.protocol.calls import about_job
        from airflow_provider_drs.protocol.settings import where
        from airflow_provider_drs.protocol.waiting import Memory, Pace, SwitchoverWait

        return SwitchoverWait(
            str(self.job_id),
            Pace(self.poke_interval, self.exponential_backoff, self._pace()["max_wait"], seed),
            verify_job_id=self.verify_job_id,
            transient_error_timeout=None if self.reschedule else self.transient_error_timeout,
            memory=Memory.from_dict(memory),
            where=where(self.drs_conn_id, about_job(str(self.job_id))),
            freshness=self._freshness(),
            fast=not self.reschedule,
        )

    def _ask(self, wait: SwitchoverWait) -> Verdict:
        asked_at = time.time()
        reply = self._hook().get_switchover_status(str(self.job_id))
        return wait.answered(reply, time.time(), asked_at)

    def _trigger(self) -> BaseTrigger:
        from airflow_provider_drs.triggers.drs import DrsSwitchoverTrigger

        freshness = self._freshness()
        return DrsSwitchoverTrigger(
            job_id=str(self.job_id),
            drs_conn_id=self.drs_conn_id,
            project_id=self.project_id,
            transient_error_timeout=self.transient_error_timeout,
            verify_job_id=self.verify_job_id,
            silent_fail=self.silent_fail,
            freshness=freshness.to_dict() if freshness else None,
            end_from_trigger=self._ends_from_trigger(),
            **self._pace(),
        )

    def _ends_from_trigger(self) -> bool:
        """Tell whether nothing is left for a worker to do once the switchover is complete."""
        if self.end_from_trigger is not None:
            return self.end_from_trigger and self.do_xcom_push
        # Airflow does these on a worker only, and leaves them out without a word when the triggerer ends a task.
        hooked = self._post_execute_hook is not None or type(self).post_execute is not BaseOperator.post_execute
        return self.do_xcom_push and not (self.outlets or self.on_success_callback or hooked)

    def _ended(self, event: dict[str, Any]) -> dict[str, Any]:
        from airflow_provider_drs.exceptions import DrsSwitchoverFailedError, DrsSwitchoverUnknownError
        from airflow_provider_drs.protocol.waiting import FAILED, UNDECIDED

        if event["outcome"] == FAILED:
            raise DrsSwitchoverFailedError(**event["switchover"])
        if event["outcome"] == UNDECIDED:
            raise DrsSwitchoverUnknownError(str(self.job_id), event["reason"])
        return dict(event["result"])

    def _never_skipped(self) -> tuple[type[Exception], ...]:
        from airflow_provider_drs.exceptions import DrsSwitchoverUnknownError

        return (DrsSwitchoverUnknownError,)

    def _about(self) -> str:
        return f"the switchover of job {self.job_id}"

    def _freshness(self) -> Freshness | None:
        """Return which switchover is meant, from the operator's XCom."""
        from airflow_provider_drs.protocol.record import freshness_of

        return freshness_of(self.switchover) if self._bound else None
