"""The sensor: waits for a switchover of virtual IP addresses."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_drs.hooks.drs import DrsHook
from airflow_provider_drs.links.drs import DrsConsoleLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_drs.protocol.waiting import Memory, SwitchoverWait, Verdict

# What needs the network is imported where it is used: a DAG file that names the sensor must load in no time.

MEMORY_KEY = "drs_switchover_wait"


class DrsSwitchoverSensor(BaseSensorOperator):
    """Waits until DRS says that a job's switchover of virtual IP addresses is complete; fails when it failed.

    The same in poke, reschedule and deferrable mode. ``docs/sensor.md`` lists what each answer of DRS comes to.
    DRS API, "Querying the Switchover Result".

    The XCom return value is ``{job_id, status, first_polled_at, done_at, polls}``, the times in UTC, ISO 8601.

    :param job_id: the job (templated); of a cross-AZ task, the parent's.
    :param drs_conn_id: id of the connection (templated).
    :param project_id: project to work in, instead of the connection's (templated).
    :param deferrable: wait in the triggerer; default ``[operators] default_deferrable``.
    :param poke_interval: seconds or timedelta between polls; default 5, in reschedule mode 60.
    :param timeout: seconds or timedelta after which to stop waiting, with ``AirflowSensorTimeout``; default 24 hours.
    :param transient_error_timeout: seconds or timedelta of trouble at DRS or IAM, without one good answer, after which
        to fail; default 15 minutes. In reschedule mode ``timeout`` alone bounds it.
    :param verify_job_id: fail when the answer is about another job; False for a cross-AZ parent that answers with a
        child's id.

    ``soft_fail`` skips on a time-out and on a failed switchover, never on an error in talking to DRS.

    :raises DrsSwitchoverFailedError: DRS says that the switchover failed; not retried.
    :raises AirflowSensorTimeout: no end within ``timeout``.
    :raises DrsError: DRS or IAM cannot be asked, or answers what a wait cannot go on with.
    """

    template_fields: Sequence[str] = ("job_id", "project_id", "drs_conn_id")
    operator_extra_links = (DrsConsoleLink(),)
    ui_color = "#e2f0ea"

    def __init__(
        self,
        *,
        job_id: str,
        drs_conn_id: str = DrsHook.default_conn_name,
        project_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float | None = None,
        timeout: timedelta | float = timedelta(hours=24),
        transient_error_timeout: timedelta | float = timedelta(minutes=15),
        verify_job_id: bool = True,
        **kwargs: Any,
    ) -> None:
        if poke_interval is None:
            poke_interval = 60 if kwargs.get("mode") == "reschedule" and not deferrable else 5
        super().__init__(poke_interval=poke_interval, timeout=timeout, **kwargs)
        self.job_id = job_id
        self.drs_conn_id = drs_conn_id
        self.project_id = project_id
        self.deferrable = deferrable
        self.transient_error_timeout = _seconds("transient_error_timeout", transient_error_timeout)
        self.verify_job_id = verify_job_id
        self._wait: SwitchoverWait | None = None
        self._delay = self.poke_interval
        self.console_link: str | None = None

    def execute(self, context: Context) -> Any:
        """Check what was rendered, then wait: here, or in the triggerer.

        :return: the XCom.
        """
        from airflow_provider_drs.protocol.calls import checked_job_id

        self._wait, self.console_link = None, ""
        checked_job_id(self.job_id)
        if address := self._hook().settings.console_link(self.job_id):
            self.console_link = address
            DrsConsoleLink.publish(context, address)
        if not self.deferrable:
            return super().execute(context)
        from airflow_provider_drs.triggers.drs import DrsSwitchoverTrigger

        self.defer(
            trigger=DrsSwitchoverTrigger(
                job_id=self.job_id,
                drs_conn_id=self.drs_conn_id,
                project_id=self.project_id,
                poke_interval=self.poke_interval,
                exponential_backoff=self.exponential_backoff,
                max_wait=_seconds("max_wait", self.max_wait) if self.max_wait else None,
                transient_error_timeout=self.transient_error_timeout,
                verify_job_id=self.verify_job_id,
                silent_fail=self.silent_fail,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Ask DRS once.

        :return: the XCom when the switchover is complete, False while it is not.
        """
        from airflow_provider_drs.protocol.errors import DrsError
        from airflow_provider_drs.protocol.waiting import Done, Wait

        if self._wait is None:
            self._wait = self._new_wait(context)
        try:
            reply = self._hook().get_switchover_status(self.job_id)
        except DrsError as error:
            verdict = self._wait.failed(error, time.time())
        else:
            verdict = self._wait.answered(reply, time.time())
        self._note(verdict, context)
        if isinstance(verdict, Wait):
            return False
        result = self.execute_complete(context, verdict.event())
        return PokeReturnValue(is_done=isinstance(verdict, Done), xcom_value=result)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """End the task as the wait ended.

        :param event: the trigger's event, as ``DrsSwitchoverTrigger`` describes it.
        :return: the XCom.
        """
        from airflow_provider_drs.exceptions import DrsError, DrsSwitchoverFailedError
        from airflow_provider_drs.protocol.waiting import DONE, FAILED

        if event["outcome"] == DONE:
            return dict(event["result"])
        if event["outcome"] == FAILED:
            raise DrsSwitchoverFailedError(**event["switchover"])
        raise DrsError.from_dict(event["error"])

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after the trigger, and end as the poke loop would: Airflow's own rules for this vary by version."""
        from airflow_provider_drs.exceptions import DrsError, DrsSwitchoverFailedError

        ended: BaseException
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSkipException as skip:
            ended = skip.__cause__ or skip
        except (AirflowException, DrsError) as error:
            ended = error
        if isinstance(ended, AirflowSensorTimeout) or type(ended).__name__ == "TaskDeferralTimeout":
            ended = AirflowSensorTimeout(
                f"The switchover of job {self.job_id} did not end within the timeout of {self.timeout:g} seconds"
            )
        elif not isinstance(ended, (DrsError, DrsSwitchoverFailedError)):
            ended = DrsError(f"the trigger that waited for job {self.job_id} failed: {ended}")
        skips = isinstance(ended, AirflowException) and self.soft_fail
        if skips or self.never_fail:
            raise AirflowSkipException(f"Skipping: {ended}") from ended
        raise ended

    def _hook(self) -> DrsHook:
        return DrsHook(self.drs_conn_id, self.project_id)

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        """Return the seconds to the next poke, decided where the trigger's are, and never past the time-out."""
        return min(self._delay, max(self.timeout - run_duration(), 0.0) + 0.001)

    def _new_wait(self, context: Context) -> SwitchoverWait:
        from airflow_provider_drs.protocol.calls import about_job
        from airflow_provider_drs.protocol.settings import where
        from airflow_provider_drs.protocol.waiting import Pace, SwitchoverWait

        ti = context["ti"]
        seed = f"{ti.dag_id}#{ti.run_id}#{ti.task_id}#{ti.map_index}"
        max_wait = _seconds("max_wait", self.max_wait) if self.max_wait else None
        return SwitchoverWait(
            self.job_id,
            Pace(self.poke_interval, self.exponential_backoff, max_wait, seed),
            verify_job_id=self.verify_job_id,
            transient_error_timeout=None if self.reschedule else self.transient_error_timeout,
            memory=self._recall(context) if self.reschedule else None,
            where=where(self.drs_conn_id, about_job(self.job_id)),
        )

    def _note(self, verdict: Verdict, context: Context) -> None:
        from airflow_provider_drs.protocol.waiting import GiveUp, Wait

        for line in verdict.lines:
            self.log.log(line.level, line.text)
        if isinstance(verdict, (Wait, GiveUp)):
            self._delay = verdict.delay
            if self.reschedule:
                self._remember(context)

    def _recall(self, context: Context) -> Memory:
        """Return what earlier pokes of this try saw. Before Airflow 3.3 only their number and time are known."""
        from airflow_provider_drs.protocol.waiting import Memory

        store = context.get("task_state_store")
        kept = store.get(MEMORY_KEY) if store is not None else None
        if isinstance(kept, dict) and kept.get("try_number") == context["ti"].try_number:
            return Memory.from_dict(kept)
        first = context["ti"].get_first_reschedule_date(context)
        polls = int(context.get("task_reschedule_count") or 0)
        return Memory(polls=polls, first_polled_at=first.timestamp() if isinstance(first, datetime) else None)

    def _remember(self, context: Context) -> None:
        store = context.get("task_state_store")
        if store is not None and self._wait is not None:
            store.set(MEMORY_KEY, {"try_number": context["ti"].try_number, **self._wait.memory.to_dict()})


def _seconds(name: str, value: timedelta | float) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0:
        raise ValueError(f"{name} must be a timedelta or a non-negative number of seconds, not {value!r}")
    return float(seconds)
