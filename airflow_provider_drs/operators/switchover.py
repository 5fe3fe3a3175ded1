"""The operator that starts a switchover of virtual IP addresses, once, and guards it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_drs import protocol, triggers
from airflow_provider_drs.exceptions import DrsSwitchoverFailedError, DrsSwitchoverUnknownError
from airflow_provider_drs.operators.base import DrsOperator
from airflow_provider_drs.operators.task_state import (
    actor_of,
    leave_evidence,
    save_record,
    saved_record,
)
from airflow_provider_drs.task import TaskRuntime, seconds

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_drs.triggers.drs import DrsSwitchoverTrigger

MIN_POLL_INTERVAL = 0.1


class DrsSwitchoverOperator(DrsOperator):
    """Switches the virtual IP address of one database of a DRS job, at most once per intent, and waits for the end.

    It reads the job and guards (the job replicates, its lag is known and within ``max_lag``, no switchover is running),
    saves its intent, asks DRS once, and waits until the outcome is certain. A retry, a killed worker or a cleared task
    resumes from the record and never asks a second time. ``docs/switchover.md`` describes it step by
    step, ``docs/runbook.md`` what to do about each failure.
    DRS API, "Switching Dual Virtual IP Addresses" and "Querying the Switchover Result".

    The XCom return value is the evidence: ``{job_id, mode, outcome, status, error_code, error_msg, dag_id, run_id,
    task_id, try_number, user, guards, baseline, posted_at, accepted_at, observed, finished_at, seconds, ...}``. A task
    that fails leaves the same under the XCom key ``switchover``.

    :param job_id: the job (templated); of a cross-AZ task, the parent's.
    :param mode: ``source`` or ``target`` (templated): which database's virtual IP address to switch.
    :param wait_for_completion: False: return once DRS has accepted; wait with ``DrsSwitchoverSensor(switchover=...)``.
    :param poll_interval: seconds or timedelta between polls; default 5. Until the start is seen it polls every second.
    :param timeout: seconds or timedelta for the wait, after which the outcome is unknown; default 1 hour.
    :param max_lag: seconds or timedelta the job may lag behind (templated); None: any lag that is known.
    :param settle: seconds or timedelta after the acceptance for which an unchanged final status is not trusted; None:
        it never is.
    :param decide_within: seconds or timedelta after which a switchover that has not shown itself is unknown.
    :param on_running: ``fail`` where a switchover is running already, or ``attach``: wait for the end of that one.
    :param dry_run: change nothing; return the plan: each guard with its evidence, and the call that would be made.
    :param verify_job_id: fail when a response is about another job.

    The other parameters are those of :class:`~airflow_provider_drs.operators.base.DrsOperator`.

    :raises DrsGuardError: a guard does not hold; nothing was changed.
    :raises DrsSwitchoverRefusedError: DRS refuses; nothing was changed.
    :raises DrsSwitchoverFailedError: DRS says that the switchover failed; not retried.
    :raises DrsSwitchoverUnknownError: it cannot be told whether it took place; not retried.
    :raises DrsError: DRS or IAM cannot be asked; a retry takes up where this try ended.
    """

    template_fields: Sequence[str] = ("job_id", "mode", "project_id", "drs_conn_id", "max_lag")
    ui_color = "#f4dfd0"

    def __init__(
        self,
        *,
        mode: str,
        wait_for_completion: bool = True,
        max_lag: timedelta | float | str | None = None,
        settle: timedelta | float | None = 30,
        decide_within: timedelta | float = timedelta(minutes=5),
        on_running: str = "fail",
        dry_run: bool = False,
        verify_job_id: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if on_running not in ("fail", "attach"):
            raise ValueError(f"on_running must be 'fail' or 'attach', not {on_running!r}")
        self.mode = mode
        self.wait_for_completion = wait_for_completion
        self.poll_interval = max(self.poll_interval, MIN_POLL_INTERVAL)
        self.max_lag = max_lag
        self.settle = None if settle is None else seconds("settle", settle)
        self.decide_within = seconds("decide_within", decide_within)
        self.on_running = on_running
        self.plan_only = dry_run  # BaseOperator has a method of the name dry_run
        self.verify_job_id = verify_job_id
        self._record: protocol.Record | None = None
        self._evidence_left = False

    def execute(self, context: Context) -> dict[str, Any]:
        """Switch and wait, or resume what an earlier try began.

        :return: the evidence; with ``dry_run`` the plan.
        """
        self._record, self._evidence_left = None, False
        runtime = self._runtime(lambda record: self._save(record, context))
        try:
            return self._execute(context, runtime)
        except Exception:  # whatever ends the task, the evidence is left first; it is raised again
            if not self._evidence_left and not self.plan_only:
                blank = protocol.Record(
                    str(self.job_id), str(self.mode), began_at=runtime.now(), actor=actor_of(context)
                )
                self._leave_evidence(self._record or blank, context)
            raise

    def _execute(self, context: Context, runtime: TaskRuntime) -> dict[str, Any]:
        protocol.switch_vip(self.job_id, self.mode)  # checks both
        request = self._request(context)
        self._connect(context, runtime)
        if self.plan_only:
            return plan(request, runtime)
        try:
            record = protocol.switch(request, saved_record(context), runtime)
        except protocol.NotSwitchedError as stopped:
            self._leave_evidence(stopped.record, context)
            raise stopped.error from None
        self._record = record
        if record.phase in (protocol.Phase.DONE, protocol.Phase.FAILED, protocol.Phase.UNKNOWN):
            return self._end(record, context)
        here = not self.deferrable or not self.wait_for_completion
        trigger = self._trigger(record, runtime.now() + self.timeout)
        # One poll before deferring: what is over already needs no triggerer, and a short START is seen.
        evidence = self._wait_here(trigger, record, runtime, context, max_polls=None if here else 1)
        if evidence is None:
            self._defer(self._trigger(record, runtime.now() + self.timeout))
            raise AssertionError("defer() does not return")
        return evidence

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """End the task as the wait ended.

        :param event: the event of :class:`~airflow_provider_drs.triggers.drs.DrsSwitchoverTrigger`, which hands back
            the record as it was when the wait began.
        :return: the evidence.
        """
        record = protocol.Record.from_dict(event["record"])
        record.end(event)
        self._save(record, context)
        if event["outcome"] == protocol.Outcome.ERROR:
            self._leave_evidence(record, context)
            error = protocol.DrsError.from_dict(event["error"])
            error.message += (
                f"; the switchover was asked for (at {record.evidence()['posted_at']}) and may be running or done: "
                "a retry, or clearing this task, reads its status and does not switch"
            )
            raise error
        return self._end(record, context)

    def _on_broken_trigger(self, context: Context) -> None:
        if (record := saved_record(context)) is not None:
            self._leave_evidence(record, context)

    def _request(self, context: Context) -> protocol.SwitchoverRequest:
        ti = context["ti"]
        return protocol.SwitchoverRequest(
            self.job_id,
            self.mode,
            max_lag=protocol.lag_limit(self.max_lag),
            attach=self.on_running == "attach",
            settle=self.settle,
            decide_within=self.decide_within,
            verify_job_id=self.verify_job_id,
            first_try=ti.try_number <= 1,
            timeout=self.timeout,
            max_tries=getattr(ti, "max_tries", None) or 0,
            transient_error_timeout=self.transient_error_timeout,
            error_context=self._error_context,
            actor=actor_of(context),
        )

    def _trigger(self, record: protocol.Record, deadline: float) -> DrsSwitchoverTrigger:
        return triggers.DrsSwitchoverTrigger(
            job_id=self.job_id,
            verify_job_id=self.verify_job_id,
            record=record.to_dict(),
            deadline=deadline,
            **self._trigger_kwargs(),
        )

    def _wait_here(
        self,
        trigger: DrsSwitchoverTrigger,
        record: protocol.Record,
        runtime: TaskRuntime,
        context: Context,
        max_polls: int | None = None,
    ) -> dict[str, Any] | None:
        """Poll until the outcome is certain; without ``wait_for_completion`` until it is certain that DRS took it.

        :param max_polls: stop after so many polls.
        :return: the evidence, None where it stopped before.
        """
        until_taken = not self.wait_for_completion
        if not (until_taken and record.phase is protocol.Phase.ACCEPTED):
            result = protocol.wait_for_end(
                trigger.new_wait(), record, runtime, until_taken=until_taken, max_polls=max_polls
            )
            if result is not None:
                return self.execute_complete(context, {**result.event(), "record": record.to_dict()})
            if not until_taken:
                return None
            record.show()
            self._save(record, context)
        return record.evidence()

    def _end(self, record: protocol.Record, context: Context) -> dict[str, Any]:
        if record.phase is protocol.Phase.DONE:
            return record.evidence()
        self._leave_evidence(record, context)
        if record.phase is protocol.Phase.FAILED:
            raise DrsSwitchoverFailedError(record.job_id, record.error_code, record.error_msg)
        raise DrsSwitchoverUnknownError(record.job_id, record.reason or "nothing is known about it")

    def _save(self, record: protocol.Record, context: Context) -> None:
        self._record = record
        save_record(record, context)

    def _leave_evidence(self, record: protocol.Record, context: Context) -> None:
        self._evidence_left = True
        leave_evidence(record, context, self.log)


def plan(request: protocol.SwitchoverRequest, runtime: TaskRuntime) -> dict[str, Any]:
    """Read and judge as a switchover would, and change nothing.

    :return: ``{dry_run, job_id, mode, ready, guards, baseline, call: {method, url, body}}``; no call where a running
        switchover would be joined.
    :raises DrsError: DRS or IAM cannot be asked.
    """
    record = request.new_record(runtime.now(), [])
    joins = protocol.read_and_guard(request, record, runtime)
    call = protocol.switch_vip(request.job_id, request.mode)
    hook = runtime.hook
    http = call.request(hook.settings.endpoint, protocol.Token("", hook.get_conn().project_id), hook.settings.language)
    return {
        "dry_run": True,
        "job_id": request.job_id,
        "mode": request.mode,
        "ready": all(guard["ok"] for guard in record.guards),
        "guards": record.guards,
        "baseline": record.baseline,
        "call": None if joins else {"method": http.method, "url": http.url, "body": dict(call.body or {})},
    }
