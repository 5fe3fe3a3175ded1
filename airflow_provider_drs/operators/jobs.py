"""The operators that start, pause, resume and stop a task of DRS."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, BaseOperator, conf

from airflow_provider_drs.hooks.drs import DrsHook
from airflow_provider_drs.links.drs import DrsConsoleLink
from airflow_provider_drs.operators.driving import drive
from airflow_provider_drs.sensors.base import seconds

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_drs.clients.sync_client import DrsClient
    from airflow_provider_drs.protocol.jobs.control import Order
    from airflow_provider_drs.protocol.jobs.wait import JobsCondition
    from airflow_provider_drs.protocol.polling import LogLine

# The wait ends by itself at its deadline; a triggerer that is not there is noticed this much later.
TRIGGERER_SLACK = 300.0


class DrsJobOperator(BaseOperator):
    """Base of the operators that bring one task of DRS into another state, and wait until it is there.

    A task that is there already is a success without a request; one on its way is waited for. A retry therefore changes
    nothing that the try before it has done. ``docs/gates.md`` has the details.

    The XCom return value is ``{job_id, action, status_before, status, requested, finished_at}``; ``status`` is the last
    one seen, ``requested`` tells whether a request was needed.

    :param job_id: the job (templated).
    :param drs_conn_id: id of the connection (templated).
    :param project_id: project to work in, instead of the connection's (templated).
    :param wait_for_completion: False: return once DRS has accepted.
    :param deferrable: wait in the triggerer; default ``[operators] default_deferrable``.
    :param poll_interval: seconds or timedelta between polls; default 5.
    :param timeout: seconds or timedelta for the wait; default 1 hour.
    :param transient_error_timeout: seconds or timedelta of trouble without one good answer after which to give up.

    :raises DrsRequestError: DRS refuses, also inside a 2xx.
    :raises DrsJobNotFoundError: DRS does not list the job.
    :raises DrsJobFailedError: the job failed on the way; not retried.
    :raises DrsError: DRS or IAM cannot be asked, or the state was not reached in time.
    """

    template_fields: Sequence[str] = ("job_id", "project_id", "drs_conn_id")
    operator_extra_links = (DrsConsoleLink(),)
    ui_color = "#e6e2f0"

    def __init__(
        self,
        *,
        job_id: str,
        drs_conn_id: str = DrsHook.default_conn_name,
        project_id: str | None = None,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: timedelta | float = 5,
        timeout: timedelta | float = timedelta(hours=1),
        transient_error_timeout: timedelta | float = timedelta(minutes=15),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        self.drs_conn_id = drs_conn_id
        self.project_id = project_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = seconds("poll_interval", poll_interval)
        self.timeout = seconds("timeout", timeout)
        self.transient_error_timeout = seconds("transient_error_timeout", transient_error_timeout)
        self.console_link: str | None = None

    @abstractmethod
    def _order(self, error_context: str) -> Order:
        """Return what is to be done."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask for the state if need be, then wait for it: here, or in the triggerer.

        :return: the XCom.
        """
        from airflow_provider_drs.protocol.http.request import checked_job_id, describe_job
        from airflow_provider_drs.protocol.jobs.control import Taken, control
        from airflow_provider_drs.protocol.polling import utc
        from airflow_provider_drs.protocol.settings import error_context

        self.console_link = ""
        order = self._order(error_context(self.drs_conn_id, describe_job(checked_job_id(self.job_id))))
        hook = DrsHook(self.drs_conn_id, self.project_id)
        if address := hook.settings.console_link(self.job_id):
            self.console_link = address
            DrsConsoleLink.publish(context, address)
        client = hook.get_conn()
        taken: Taken = drive(control(order), client, self._say)
        record = {
            "job_id": self.job_id,
            "action": order.action.name,
            "status_before": taken.before,
            "status": taken.before,
            "requested": taken.requested,
            "finished_at": utc(taken.at),
        }
        if not self.wait_for_completion or (taken.before in order.action.goals and not taken.requested):
            return record
        wanted = taken.wanted(order, time.time() + self.timeout)
        if self.deferrable:
            self._defer(wanted, record)
        return self._wait_here(client, wanted, record, order.error_context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """End the task as the wait ended.

        :param event: the event of :class:`~airflow_provider_drs.triggers.jobs.DrsJobsTrigger`, with the ``record`` of
            what was known when the wait began.
        :return: the XCom.
        """
        from airflow_provider_drs.job_failures import DrsJobFailedError
        from airflow_provider_drs.protocol.errors import DrsError
        from airflow_provider_drs.protocol.jobs.wait import FAILED
        from airflow_provider_drs.protocol.polling import ERROR

        if event["outcome"] == ERROR:
            raise DrsError.from_dict(event["error"])
        if event["outcome"] == FAILED:
            raise DrsJobFailedError(event["jobs"])
        result = event["result"]
        return {**event["record"], "status": result["samples"][self.job_id]["status"], "finished_at": result["done_at"]}

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after the trigger; one that broke leaves the job on its way, for a retry to look after."""
        from airflow_provider_drs.exceptions import DrsError

        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowFailException:
            raise
        except AirflowException as error:
            raise DrsError(f"the trigger that waited for job {self.job_id} ended without a result: {error}") from None

    def _defer(self, wanted: JobsCondition, record: dict[str, Any]) -> None:
        from airflow_provider_drs.triggers.jobs import DrsJobsTrigger

        self.defer(
            trigger=DrsJobsTrigger(
                wanted=wanted.to_dict(),
                drs_conn_id=self.drs_conn_id,
                project_id=self.project_id,
                poke_interval=self.poll_interval,
                transient_error_timeout=self.transient_error_timeout,
                record=record,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout + self.transient_error_timeout + TRIGGERER_SLACK),
        )

    def _wait_here(
        self, client: DrsClient, wanted: JobsCondition, record: dict[str, Any], error_context: str
    ) -> dict[str, Any]:
        from airflow_provider_drs.protocol.errors import DrsError
        from airflow_provider_drs.protocol.jobs.wait import JobsWait
        from airflow_provider_drs.protocol.polling import KeepPolling, Pace, PollResult

        wait = JobsWait(
            wanted,
            Pace(self.poll_interval),
            transient_error_timeout=self.transient_error_timeout,
            error_context=error_context,
        )
        while True:
            verdict: PollResult
            try:
                replies = [client.call(call) for call in wait.calls()]
            except DrsError as error:
                verdict = wait.failed(error, time.time())
            else:
                verdict = wait.answered(replies, time.time())
            for line in verdict.lines:
                self._say(line)
            if not isinstance(verdict, KeepPolling):
                return self.execute_complete({}, {**verdict.event(), "record": record})
            time.sleep(verdict.delay)

    def _say(self, line: LogLine) -> None:
        self.log.log(line.level, line.text)


class DrsStartJobOperator(DrsJobOperator):
    """Starts a task of DRS that is configured, and waits until it transfers.

    Done in FULL_TRANSFER_STARTED, FULL_TRANSFER_COMPLETE and INCRE_TRANSFER_STARTED; a
    :class:`~airflow_provider_drs.sensors.jobs.DrsJobReadySensor` waits until it is ready to be cut over.
    DRS API, "Starting Tasks in Batches".

    Parameters, XCom and exceptions are those of :class:`DrsJobOperator`.
    """

    def _order(self, error_context: str) -> Order:
        from airflow_provider_drs.protocol.jobs.calls import start_jobs
        from airflow_provider_drs.protocol.jobs.control import START, Order

        return Order(self.job_id, START, start_jobs, self.transient_error_timeout, error_context)


class DrsPauseJobOperator(DrsJobOperator):
    """Pauses a task of DRS and waits until it is PAUSING, all that the documentation names of a paused task.

    DRS API, "Pausing Tasks in Batches".

    :param pause_mode: ``target`` (default): stop writing to the target, go on reading the log; ``all``: stop both
        (templated).

    The other parameters, XCom and exceptions are those of :class:`DrsJobOperator`.
    """

    template_fields: Sequence[str] = (*DrsJobOperator.template_fields, "pause_mode")

    def __init__(self, *, pause_mode: str = "target", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pause_mode = pause_mode

    def _order(self, error_context: str) -> Order:
        from airflow_provider_drs.protocol.jobs.calls import pause_jobs
        from airflow_provider_drs.protocol.jobs.control import PAUSE, Order

        pause_jobs([self.job_id], self.pause_mode)  # checks both before anything is asked
        return Order(
            self.job_id,
            PAUSE,
            lambda ids: pause_jobs(ids, self.pause_mode),
            self.transient_error_timeout,
            error_context,
        )


class DrsResumeJobOperator(DrsJobOperator):
    """Resumes a paused task of DRS, or retries a failed one, and waits until it transfers.

    A failed task may show its old failure for a minute after DRS has accepted; only then is it the task's new one.
    DRS API, "Resuming Tasks in Batches".

    Parameters, XCom and exceptions are those of :class:`DrsJobOperator`.
    """

    def _order(self, error_context: str) -> Order:
        from airflow_provider_drs.protocol.jobs.calls import resume_jobs
        from airflow_provider_drs.protocol.jobs.control import RESUME, Order

        return Order(self.job_id, RESUME, resume_jobs, self.transient_error_timeout, error_context)


class DrsStopJobOperator(DrsJobOperator):
    """Ends a task of DRS for good and waits until its resources are released. It cannot be started again.

    After a cutover this keeps the replication from overwriting data.
    DRS API, "Stopping or Deleting Tasks in Batches".

    :param force: do not wait for the task's own end.

    The other parameters, XCom and exceptions are those of :class:`DrsJobOperator`.
    """

    def __init__(self, *, force: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.force = force

    def _order(self, error_context: str) -> Order:
        from airflow_provider_drs.protocol.jobs.calls import stop_jobs
        from airflow_provider_drs.protocol.jobs.control import STOP, Order

        return Order(
            self.job_id, STOP, lambda ids: stop_jobs(ids, self.force), self.transient_error_timeout, error_context
        )
