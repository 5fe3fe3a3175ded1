"""The operators that start, pause, resume and stop a job of DRS."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_drs import protocol, triggers
from airflow_provider_drs.exceptions import DrsJobFailedError
from airflow_provider_drs.operators.base import DrsOperator
from airflow_provider_drs.task import check_flags, check_unless_templated

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class DrsJobOperator(DrsOperator):
    """Base of the operators that bring one job of DRS into another state, and wait until it is there.

    A job that is there already is a success without a request; one on its way is waited for. A retry therefore changes
    nothing that the try before it has done. ``docs/gates.md`` has the details.

    The XCom return value is ``{job_id, action, status_before, status, requested, finished_at}``; ``status`` is the last
    one seen, ``requested`` tells whether a request was needed.

    :param wait_for_completion: False: return once DRS has accepted.

    The other parameters are those of :class:`~airflow_provider_drs.operators.base.DrsOperator`.

    :raises DrsRequestError: DRS refuses, also inside a 2xx.
    :raises DrsJobNotFoundError: DRS does not list the job.
    :raises DrsJobFailedError: the job failed on the way; not retried.
    :raises DrsError: DRS or IAM cannot be asked, or the state was not reached in time.
    """

    ui_color = "#e6e2f0"

    def __init__(self, *, wait_for_completion: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_flags(wait_for_completion=wait_for_completion)
        self.wait_for_completion = wait_for_completion

    @abstractmethod
    def _request(self) -> protocol.JobActionRequest:
        """Return what is to be done."""

    def _action(self, action: protocol.Action, call: Any) -> protocol.JobActionRequest:
        return protocol.JobActionRequest(
            protocol.checked_job_id(self.job_id),
            action,
            call,
            self.transient_error_timeout,
            self._error_context,
            self._leave_after,
        )

    def _begin(self, context: Context) -> dict[str, Any]:
        self._check_woken()
        with self._naming_connection():
            request, timeout = self._request(), self._timeout
        runtime = self._runtime()
        self._connect(context, runtime)
        result = protocol.control(request, runtime)
        record = {
            "job_id": self.job_id,
            "action": request.action.name,
            "status_before": result.before,
            "status": result.before,
            "requested": result.requested,
            "finished_at": protocol.utc(result.at),
        }
        if not self.wait_for_completion or (result.before in request.action.goals and not result.requested):
            return record
        wanted = result.wanted(request, runtime.now() + timeout).to_dict()
        trigger = triggers.DrsJobsTrigger(wanted=wanted, record=record, **self._trigger_kwargs())
        return dict(self._wait(trigger, runtime, context))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """End the task as the wait ended.

        :param event: the event of :class:`~airflow_provider_drs.triggers.jobs.DrsJobsTrigger`, with the ``record`` of
            what was known when the wait began.
        :return: the XCom.
        """
        if event["outcome"] == protocol.Outcome.ERROR:
            raise protocol.DrsError.from_dict(event["error"])
        if event["outcome"] == protocol.Outcome.FAILED:
            raise DrsJobFailedError(event["jobs"])
        result = event["result"]
        return {**event["record"], "status": result["samples"][self.job_id]["status"], "finished_at": result["done_at"]}


class DrsStartJobOperator(DrsJobOperator):
    """Starts a job of DRS that is configured, and waits until it transfers.

    Done in FULL_TRANSFER_STARTED, FULL_TRANSFER_COMPLETE and INCRE_TRANSFER_STARTED; a
    :class:`~airflow_provider_drs.sensors.jobs.DrsJobReadySensor` waits until it is ready to be cut over.
    DRS API, "Starting Tasks in Batches".

    Parameters, XCom and exceptions are those of :class:`DrsJobOperator`.
    """

    def _request(self) -> protocol.JobActionRequest:
        return self._action(protocol.START, protocol.start_jobs)


class DrsPauseJobOperator(DrsJobOperator):
    """Pauses a job of DRS and waits until it is PAUSING, all that the documentation names of a paused job.

    DRS API, "Pausing Tasks in Batches".

    :param pause_mode: ``target`` (default): stop writing to the target, go on reading the log; ``all``: stop both
        (templated).

    The other parameters, XCom and exceptions are those of :class:`DrsJobOperator`.
    """

    template_fields: Sequence[str] = (*DrsJobOperator.template_fields, "pause_mode")

    def __init__(self, *, pause_mode: str = "target", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pause_mode = pause_mode

    def _request(self) -> protocol.JobActionRequest:
        protocol.pause_jobs([self.job_id], self.pause_mode)  # checks both before anything is asked
        return self._action(protocol.PAUSE, lambda ids: protocol.pause_jobs(ids, self.pause_mode))


class DrsResumeJobOperator(DrsJobOperator):
    """Resumes a paused job of DRS, or retries a failed one, and waits until it transfers.

    A failed job may still report its previous failure for a minute after DRS has accepted; only then is it a new one.
    DRS API, "Resuming Tasks in Batches".

    :param is_sync_re_edit: True after the objects of a synchronization were edited. One page of the documentation wants
        True for every resume, its examples send none; None (default): do not send it.

    The other parameters, XCom and exceptions are those of :class:`DrsJobOperator`.
    """

    def __init__(self, *, is_sync_re_edit: bool | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if is_sync_re_edit is not None:
            check_flags(is_sync_re_edit=is_sync_re_edit)
        self.is_sync_re_edit = is_sync_re_edit

    def _request(self) -> protocol.JobActionRequest:
        return self._action(protocol.RESUME, lambda ids: protocol.resume_jobs(ids, self.is_sync_re_edit))


class DrsStopJobOperator(DrsJobOperator):
    """Ends a job of DRS for good and waits until its resources are released. It cannot be started again.

    After a cutover this keeps the replication from overwriting data.
    DRS API, "Stopping or Deleting Tasks in Batches".

    :param force: do not wait for the job's own end (templated).

    The other parameters, XCom and exceptions are those of :class:`DrsJobOperator`.
    """

    template_fields: Sequence[str] = (*DrsJobOperator.template_fields, "force")

    def __init__(self, *, force: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_unless_templated(protocol.flag, "force", force)
        self.force = force

    def _request(self) -> protocol.JobActionRequest:
        force = protocol.flag("force", self.force)
        return self._action(protocol.STOP, lambda ids: protocol.stop_jobs(ids, force))
