"""What all operators of this provider share: connect, wait here or in the triggerer, resume."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_drs import protocol, triggers
from airflow_provider_drs.hooks.drs import DrsHook
from airflow_provider_drs.task import (
    BEGINS_AGAIN,
    TRIGGERER_SLACK,
    DrsTask,
    TaskRuntime,
    deferral_hold,
    interval,
    seconds,
)
from airflow_provider_drs.versions import unguarded

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_drs.triggers.base import DrsTrigger

# How long a worker waits for a DRS or an IAM in trouble before it leaves that to the triggerer, in seconds.
LEAVE_AFTER = 15.0
# How often the triggerer asks at the most whether DRS responds, in seconds: an interval may be long, trouble is short.
ASK_EVERY = 5.0


class DrsOperator(DrsTask):
    """Base of the operators; a kind of operator says what to ask, which trigger waits, and how its end is read.

    Trouble of DRS or IAM before anything is asked for is waited out for ``transient_error_timeout``: of a deferrable
    operator, after a few seconds, in the triggerer. Then the task begins again, and stays on its worker.

    :param job_id: the job (templated).
    :param poll_interval: seconds or timedelta between polls; default 5.
    :param timeout: seconds or timedelta for the wait (templated); default 1 hour.

    The other parameters are those of :class:`~airflow_provider_drs.task.DrsTask` and of every operator.
    """

    template_fields: Sequence[str] = ("job_id", "project_id", "drs_conn_id", "timeout")

    def __init__(
        self,
        *,
        job_id: str,
        poll_interval: timedelta | float = 5,
        timeout: timedelta | float | str = timedelta(hours=1),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        self.poll_interval = interval("poll_interval", poll_interval)
        self.timeout = timeout
        if timeout is None or isinstance(timeout, (int, float, timedelta)):
            seconds("timeout", timeout)

    _switches = False
    # How the task was woken where it had left to the triggerer to wait for DRS to respond.
    _woken: dict[str, Any] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Do what the operator is for; in the triggerer as far as it waits.

        :return: the XCom.
        """
        try:
            return self._begin(context)
        except protocol.TroubleLasts as left:
            self._defer_until_it_responds(left)

    def execute_again(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Begin again once DRS responds; nothing was asked for before.

        :param event: the event of :class:`~airflow_provider_drs.triggers.responding.DrsRespondingTrigger`.
        :return: the XCom.
        """
        # That of a subclass, which may do more before and after.
        execute = type(self).execute
        self._woken = event
        try:
            return (unguarded(execute) if execute is DrsOperator.execute else execute)(self, context)
        finally:
            self._woken = None

    @abstractmethod
    def _begin(self, context: Context) -> dict[str, Any]:
        """Begin, or resume what an earlier try began.

        :return: the XCom.
        """

    def _check_woken(self) -> None:
        """Raise the error with which the wait for DRS to respond has ended, if it has."""
        if self._woken is not None and self._woken["outcome"] == protocol.Outcome.ERROR:
            raise protocol.DrsError.from_dict(self._woken["error"])

    @abstractmethod
    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """End the task as the wait ended; return the XCom."""

    def _subject(self) -> str:
        return f"job {self.job_id}"

    def _runtime(self) -> TaskRuntime:
        return TaskRuntime(DrsHook(self.drs_conn_id, self.project_id), self.log)

    def _connect(self, context: Context, runtime: TaskRuntime) -> None:
        self._publish_link(runtime.hook, self.job_id, context)

    @property
    def _timeout(self) -> float:
        """How long the wait may take, in seconds.

        :raises DrsArgumentError: what ``timeout`` was rendered to is no duration.
        """
        return protocol.seconds("timeout", self.timeout)

    @property
    def _error_context(self) -> str:
        return protocol.error_context(self.drs_conn_id, protocol.describe_job(self.job_id))

    def _trigger_kwargs(self) -> dict[str, Any]:
        """Return what every trigger takes."""
        return {
            "drs_conn_id": self.drs_conn_id,
            "project_id": self.project_id,
            "poke_interval": self.poll_interval,
            "transient_error_timeout": self.transient_error_timeout,
        }

    @property
    def _leave_after(self) -> float | None:
        """Seconds of trouble after which the triggerer waits for DRS to respond; None: a worker does."""
        # Once: where DRS responds to the triggerer, and not to the worker or not to what it asks, they would take turns
        # without end.
        return LEAVE_AFTER if self.deferrable and self._woken is None else None

    def _defer_until_it_responds(self, left: protocol.TroubleLasts) -> NoReturn:
        now, limit = time.time(), self.transient_error_timeout
        if self.execution_timeout is not None:  # Airflow does not watch a deferred task
            limit = min(limit, self.execution_timeout.total_seconds())
        options = {
            **self._trigger_kwargs(),
            "poke_interval": min(self.poll_interval, ASK_EVERY),
            "transient_error_timeout": limit,
        }
        trigger = triggers.DrsRespondingTrigger(job_id=self.job_id, switchover=self._switches, **options)
        hold_until = now + deferral_hold(limit)
        trigger.handover = {"memory": asdict(left.trouble), "poll_at": left.ask_at, "hold_until": hold_until}
        self.log.info("Deferring until DRS responds, then this task begins again: %s", self._subject())
        # DRS may have named a time that is later than all patience.
        timeout = max(left.ask_at - now, 0.0) + limit + TRIGGERER_SLACK
        self.defer(trigger=trigger, method_name=BEGINS_AGAIN, timeout=timedelta(seconds=timeout))

    def _wait(self, trigger: DrsTrigger, runtime: TaskRuntime, context: Context) -> Any:
        """Wait as the trigger describes it: in the triggerer, or here.

        :return: the XCom.
        """
        if self.deferrable:
            self._defer(trigger, runtime)
        result = protocol.wait_until_over(trigger.new_wait(), runtime)
        return self.execute_complete(context, trigger.event_of(result))

    def _defer(self, trigger: DrsTrigger, runtime: TaskRuntime, **handover: Any) -> None:
        trigger.handover = {"hold_until": runtime.now() + deferral_hold(self._timeout), **handover}
        timeout = self._timeout + self.transient_error_timeout + TRIGGERER_SLACK
        self._tell_deferral(self.poll_interval, self._timeout, runtime.now())
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=timeout))
