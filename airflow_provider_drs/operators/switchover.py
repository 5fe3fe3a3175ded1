"""The operator that starts a switchover of virtual IP addresses, once, and guards it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, BaseOperator, conf

from airflow_provider_drs.hooks.drs import DrsHook
from airflow_provider_drs.links.drs import DrsConsoleLink
from airflow_provider_drs.operators.driving import drive
from airflow_provider_drs.operators.planning import plan
from airflow_provider_drs.operators.task_state import (
    has_durable_store,
    keep_record,
    kept_record,
    leave_evidence,
    who,
)
from airflow_provider_drs.sensors.base import seconds

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_drs.protocol.polling import LogLine
    from airflow_provider_drs.protocol.switchover.record import Record
    from airflow_provider_drs.protocol.switchover.switch import Order
    from airflow_provider_drs.protocol.switchover.wait import SwitchoverWait

MIN_POLL_INTERVAL = 0.1


class DrsSwitchoverOperator(BaseOperator):
    """Switches the virtual IP address of one database of a DRS job, at most once per intent, and waits for the end.

    It reads the job and guards (the job replicates, its lag is known and within ``max_lag``, no switchover is running),
    writes its intent down, asks DRS once, and waits until the outcome is certain. A retry, a killed worker or a cleared
    task takes up what was written down and never asks a second time. ``docs/switchover.md`` describes it step by
    step, ``docs/runbook.md`` what to do about each failure.
    DRS API, "Switching Dual Virtual IP Addresses" and "Querying the Switchover Result".

    The XCom return value is the evidence: ``{job_id, mode, outcome, status, error_code, error_msg, dag_id, run_id,
    task_id, try_number, user, guards, baseline, posted_at, accepted_at, observed, finished_at, seconds, ...}``. A task
    that fails leaves the same under the XCom key ``switchover``.

    :param job_id: the job (templated); of a cross-AZ task, the parent's.
    :param mode: ``source`` or ``target`` (templated): which database's virtual IP address to switch.
    :param drs_conn_id: id of the connection (templated).
    :param project_id: project to work in, instead of the connection's (templated).
    :param wait_for_completion: False: return once DRS has accepted; wait with ``DrsSwitchoverSensor(switchover=...)``.
    :param deferrable: wait in the triggerer; default ``[operators] default_deferrable``.
    :param poll_interval: seconds or timedelta between polls; default 5. Until the start is seen it polls every second.
    :param timeout: seconds or timedelta for the wait, after which the outcome is unknown; default 1 hour.
    :param max_lag: seconds or timedelta the job may lag behind (templated); None: any lag that is known.
    :param settle: seconds or timedelta after the acceptance for which an unchanged final status is not trusted; None:
        it never is.
    :param decide_within: seconds or timedelta after which a switchover that has not shown itself is unknown.
    :param on_running: ``fail`` where a switchover is running already, or ``attach``: wait for the end of that one.
    :param dry_run: change nothing; return the plan: each guard with its evidence, and the call that would be made.
    :param transient_error_timeout: seconds or timedelta of trouble without one good answer after which to give up.
    :param verify_job_id: fail when an answer is about another job.

    :raises DrsGuardError: a guard does not hold; nothing was changed.
    :raises DrsSwitchoverRefusedError: DRS refuses; nothing was changed.
    :raises DrsSwitchoverFailedError: DRS says that the switchover failed; not retried.
    :raises DrsSwitchoverUnknownError: it cannot be told whether it took place; not retried.
    :raises DrsError: DRS or IAM cannot be asked; a retry takes up where this try ended.
    """

    template_fields: Sequence[str] = ("job_id", "mode", "project_id", "drs_conn_id", "max_lag")
    operator_extra_links = (DrsConsoleLink(),)
    ui_color = "#f4dfd0"

    def __init__(
        self,
        *,
        job_id: str,
        mode: str,
        drs_conn_id: str = DrsHook.default_conn_name,
        project_id: str | None = None,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: timedelta | float = 5,
        timeout: timedelta | float = timedelta(hours=1),
        max_lag: timedelta | float | str | None = None,
        settle: timedelta | float | None = 30,
        decide_within: timedelta | float = timedelta(minutes=5),
        on_running: str = "fail",
        dry_run: bool = False,
        transient_error_timeout: timedelta | float = timedelta(minutes=15),
        verify_job_id: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if on_running not in ("fail", "attach"):
            raise ValueError(f"on_running must be 'fail' or 'attach', not {on_running!r}")
        self.job_id = job_id
        self.mode = mode
        self.drs_conn_id = drs_conn_id
        self.project_id = project_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = max(seconds("poll_interval", poll_interval), MIN_POLL_INTERVAL)
        self.timeout = seconds("timeout", timeout)
        self.max_lag = max_lag
        self.settle = None if settle is None else seconds("settle", settle)
        self.decide_within = seconds("decide_within", decide_within)
        self.on_running = on_running
        self.plan_only = dry_run  # BaseOperator has a method of the name dry_run
        self.transient_error_timeout = seconds("transient_error_timeout", transient_error_timeout)
        self.verify_job_id = verify_job_id
        self.console_link: str | None = None
        self._kept_hook: DrsHook | None = None
        self._record: Record | None = None
        self._told = False

    def execute(self, context: Context) -> dict[str, Any]:
        """Switch and wait, or take up what an earlier try began.

        :return: the evidence; with ``dry_run`` the plan.
        """
        from airflow_provider_drs.protocol.switchover.record import Record

        self.console_link, self._record, self._told = "", None, False
        self._kept_hook = DrsHook(self.drs_conn_id, self.project_id)
        try:
            return self._execute(context)
        except Exception:  # whatever ends the task, the evidence is left first; it is raised again
            if not self._told and not self.plan_only:
                blank = Record(str(self.job_id), str(self.mode), began_at=time.time(), who=who(context))
                self._leave_evidence(self._record or blank, context)
            raise

    def _execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_drs.protocol.switchover.calls import switch_vip
        from airflow_provider_drs.protocol.switchover.record import Phase
        from airflow_provider_drs.protocol.switchover.switch import Refusal, switch

        switch_vip(self.job_id, self.mode)  # checks both
        order = self._order(context)
        if address := self._hook().settings.console_link(self.job_id):
            self.console_link = address
            DrsConsoleLink.publish(context, address)
        if self.plan_only:
            return plan(order, self._hook(), self._say)
        try:
            record: Record = drive(
                switch(order, kept_record(context)),
                self._hook().get_conn(),
                self._say,
                lambda record: self._keep(record, context),
            )
        except Refusal as refusal:
            self._leave_evidence(refusal.record, context)
            raise refusal.error from None
        self._record = record
        if record.phase in (Phase.DONE, Phase.FAILED, Phase.UNKNOWN):
            return self._end(record, context)
        here = not self.deferrable or not self.wait_for_completion
        # One poll before deferring: what is over already needs no triggerer, and a short START is seen.
        evidence = self._finish(record, context, polls=None if here else 1)
        if evidence is None:
            self._defer(record)
            raise AssertionError("defer() does not return")
        return evidence

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """End the task as the wait ended.

        :param event: the event of :class:`~airflow_provider_drs.triggers.drs.DrsSwitchoverTrigger`, which hands back
            what was written down when the wait began.
        :return: the evidence.
        """
        from airflow_provider_drs.protocol.switchover.record import Record

        return self._conclude(Record.from_dict(event["record"]), event, context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after the trigger; one that broke or timed out leaves the switchover open, for a retry to take up."""
        from airflow_provider_drs.exceptions import DrsError

        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowFailException:
            raise
        except AirflowException as error:
            if (record := kept_record(context)) is not None:
                self._leave_evidence(record, context)
            raise DrsError(f"the trigger that waited for job {self.job_id} ended without a result: {error}") from None

    def _order(self, context: Context) -> Order:
        from airflow_provider_drs.protocol.http.request import describe_job
        from airflow_provider_drs.protocol.jobs.wait import lag_limit
        from airflow_provider_drs.protocol.settings import error_context
        from airflow_provider_drs.protocol.switchover.switch import Order

        ti = context["ti"]
        return Order(
            self.job_id,
            self.mode,
            max_lag=lag_limit(self.max_lag),
            attach=self.on_running == "attach",
            settle=self.settle,
            decide_within=self.decide_within,
            verify_job_id=self.verify_job_id,
            may_switch=has_durable_store(context) or ti.try_number <= 1,
            max_tries=getattr(ti, "max_tries", None) or 0,
            patience=self.transient_error_timeout,
            error_context=error_context(self.drs_conn_id, describe_job(self.job_id)),
            who=who(context),
        )

    def _wait(self, record: Record) -> SwitchoverWait:
        from airflow_provider_drs.protocol.http.request import describe_job
        from airflow_provider_drs.protocol.settings import error_context
        from airflow_provider_drs.protocol.switchover.wait import Pace, SwitchoverWait

        return SwitchoverWait(
            self.job_id,
            Pace(self.poll_interval),
            verify_job_id=self.verify_job_id,
            transient_error_timeout=self.transient_error_timeout,
            error_context=error_context(self.drs_conn_id, describe_job(self.job_id)),
            freshness=record.freshness(),
            deadline=time.time() + self.timeout,
        )

    def _finish(self, record: Record, context: Context, polls: int | None = None) -> dict[str, Any] | None:
        """Poll until the outcome is certain; without ``wait_for_completion`` until it is certain that DRS took it.

        :param polls: stop after so many polls.
        :return: the evidence, None where it stopped before.
        """
        from airflow_provider_drs.protocol.switchover.finishing import finish
        from airflow_provider_drs.protocol.switchover.record import Phase

        taken = not self.wait_for_completion
        if not (taken and record.phase is Phase.ACCEPTED):
            steps = finish(self._wait(record), record, taken=taken, polls=polls)
            verdict = drive(steps, self._hook().get_conn(), self._say, lambda record: self._keep(record, context))
            if verdict is not None:
                return self._conclude(record, verdict.event(), context)
            if not taken:
                return None
            record.phase = Phase.ACCEPTED
            self._keep(record, context)
        return record.evidence()

    def _defer(self, record: Record) -> None:
        from airflow_provider_drs.triggers.drs import DrsSwitchoverTrigger

        self.defer(
            trigger=DrsSwitchoverTrigger(
                job_id=self.job_id,
                drs_conn_id=self.drs_conn_id,
                project_id=self.project_id,
                poke_interval=self.poll_interval,
                transient_error_timeout=self.transient_error_timeout,
                verify_job_id=self.verify_job_id,
                record=record.to_dict(),
                deadline=time.time() + self.timeout,
            ),
            method_name="execute_complete",
            # The trigger ends by itself at its deadline; this is for a triggerer that is not there.
            timeout=timedelta(seconds=self.timeout + self.transient_error_timeout + 300),
        )

    def _conclude(self, record: Record, event: dict[str, Any], context: Context) -> dict[str, Any]:
        from airflow_provider_drs.protocol.errors import DrsError
        from airflow_provider_drs.protocol.polling import ERROR

        record.ended(event)
        self._keep(record, context)
        if event["outcome"] == ERROR:
            self._leave_evidence(record, context)
            error = DrsError.from_dict(event["error"])
            error.message += (
                f"; the switchover was asked for (at {record.evidence()['posted_at']}) and may be running or done: "
                "a retry, or clearing this task, reads its status and does not switch"
            )
            raise error
        return self._end(record, context)

    def _end(self, record: Record, context: Context) -> dict[str, Any]:
        from airflow_provider_drs.exceptions import DrsSwitchoverFailedError, DrsSwitchoverUnknownError
        from airflow_provider_drs.protocol.switchover.record import Phase

        if record.phase is Phase.DONE:
            return record.evidence()
        self._leave_evidence(record, context)
        if record.phase is Phase.FAILED:
            raise DrsSwitchoverFailedError(record.job_id, record.error_code, record.error_msg)
        raise DrsSwitchoverUnknownError(record.job_id, record.reason or "nothing is known about it")

    def _say(self, line: LogLine) -> None:
        self.log.log(line.level, line.text)

    def _keep(self, record: Record, context: Context) -> None:
        self._record = record
        keep_record(record, context)

    def _leave_evidence(self, record: Record, context: Context) -> None:
        self._told = True
        leave_evidence(record, context, self.log)

    def _hook(self) -> DrsHook:
        return self._kept_hook or DrsHook(self.drs_conn_id, self.project_id)
