"""The operator that starts a switchover of virtual IP addresses, once, and guards it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_drs import lineage, protocol, triggers
from airflow_provider_drs.exceptions import (
    DrsSwitchoverDisputedError,
    DrsSwitchoverFailedError,
    DrsSwitchoverUnknownError,
)
from airflow_provider_drs.hooks.drs import DrsHook
from airflow_provider_drs.operators.base import DrsOperator
from airflow_provider_drs.operators.plan import plan
from airflow_provider_drs.operators.same_run import approvals_of, check_still_frozen, same_run
from airflow_provider_drs.operators.task_state import RecordingRuntime, RecordStore, actor_of
from airflow_provider_drs.task import NOT_GIVEN, Limits, check_flags, check_unless_templated, seconds
from airflow_provider_drs.triggers.without_worker import may_end, needs_a_worker
from airflow_provider_drs.witness import Witness, check_witness, rendered

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_drs.triggers.drs import DrsSwitchoverTrigger

RUNNING_CHOICES = ("fail", "attach")
ALREADY_CHOICES = ("fail", "succeed")
# How long the evidence of an end is pushed again and again, while Airflow's API server is away.
PUSH_AGAIN_FOR = 60.0
# How long a worker looks for START before it defers.
START_BEFORE_DEFERRING = 15.0
# What a subclass may change about the end of a task, and a worker only would call.
_ENDINGS = ("execute_complete", "resume_execution")


class DrsSwitchoverOperator(DrsOperator):
    """Switches the virtual IP address of one database of a DRS job, at most once per intent, and waits for the end.

    It reads the job and guards (the job replicates, its lag is known and within ``max_lag``, no switchover is running),
    saves its intent, asks DRS once, and waits until the outcome is certain. A retry, a killed worker or a cleared task
    resumes from the record and never asks a second time. ``docs/switchover.md`` describes it step by
    step, ``docs/runbook.md`` what to do about each failure.
    DRS API, "Switching Dual Virtual IP Addresses" and "Querying the Switchover Result".

    The XCom return value is the evidence: ``{job_id, mode, outcome, status, error_code, error_msg, dag_id, run_id,
    task_id, try_number, user, guards, baseline, posted_at, accepted_at, observed, finished_at, seconds, ...}``. A task
    that fails leaves the same under the XCom key ``switchover``, and so does one that is not over.

    :param job_id: the job (templated); of a cross-AZ job, the parent's.
    :param mode: ``source`` or ``target`` (templated): which database's virtual IP address to switch.
    :param wait_for_completion: False: return once DRS has accepted; wait with ``DrsSwitchoverSensor(switchover=...)``.
    :param poll_interval: seconds or timedelta between polls; default 5. Until the start is seen it polls every second.
    :param timeout: seconds or timedelta for the wait (templated), after which the outcome is unknown; default 1 hour.
    :param max_lag: seconds or timedelta the job may lag behind (templated); None in the DAG file (default): any lag
        that is known.
    :param settle: seconds or timedelta after the acceptance for which an unchanged final status is not trusted
        (templated); None in the DAG file: it never is.
    :param decide_within: seconds or timedelta after which a switchover that has not shown itself is unknown.
    :param on_running: ``fail`` where a switchover is running already, or ``attach``: wait for the end of that one
        (templated).
    :param dry_run: change nothing (templated); return the plan: each guard with its evidence, and the call that would
        be made.
    :param verify_job_id: fail when a response is about another job.
    :param witness: who answers at the virtual IP address: a :class:`~airflow_provider_drs.witness.SqlWitness`, or a
        function that returns ``before``, ``after`` or None. It is a guard, and at the end its word counts beside DRS's.
        An operator with a witness waits on a worker, never in the triggerer.
    :param witness_timeout: seconds or timedelta for which traffic may still be on its way at the end.
    :param end_from_trigger: when deferred, let the triggerer end the task once the switchover is complete, without
        another start of a worker. None (default): unless the task has a witness, outlets, an ``on_success_callback``, a
        ``post_execute``, ``multiple_outputs``, an end of its own in a subclass or tasks mapped over its output, or
        OpenLineage is on: a worker only takes care of these.
    :param on_already: ``fail`` where the witness sees traffic there already, or ``succeed`` without asking DRS
        (templated).

    The other parameters are those of :class:`~airflow_provider_drs.operators.base.DrsOperator`.

    :raises DrsGuardError: a guard does not hold; nothing was changed.
    :raises DrsSwitchoverRefusedError: DRS refuses; nothing was changed.
    :raises DrsSwitchoverFailedError: DRS says that the switchover failed; not retried.
    :raises DrsSwitchoverUnknownError: it cannot be told whether it took place; not retried.
    :raises DrsSwitchoverDisputedError: DRS says one thing, the witness another; not retried.
    :raises DrsRecordError: the record of this run stands against it; nothing was asked.
    :raises DrsError: DRS, IAM or Airflow's API server cannot be used; a retry resumes where this try ended.
    """

    # Set by a cutover: the task that approves, those before the writers are stopped and let go, and whether what the
    # evidence says of the mode is relied upon.
    approval_task_id: str | None = None
    freeze_task_ids: tuple[str, str] | None = None
    attach_allowed = True
    _switches = True
    _last_recording: RecordingRuntime | None = None

    template_fields: Sequence[str] = (
        *DrsOperator.template_fields,
        *("mode", "max_lag", "settle", "on_running", "on_already", "plan_only"),
    )
    ui_color = "#f4dfd0"

    def __init__(
        self,
        *,
        mode: str,
        wait_for_completion: bool = True,
        max_lag: timedelta | float | str | None = NOT_GIVEN,
        settle: timedelta | float | str | None = 30,
        decide_within: timedelta | float = timedelta(minutes=5),
        on_running: str = "fail",
        dry_run: bool | str = False,
        verify_job_id: bool = True,
        witness: Witness | None = None,
        witness_timeout: timedelta | float = 60,
        on_already: str = "fail",
        end_from_trigger: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if end_from_trigger is not None:
            check_flags(end_from_trigger=end_from_trigger)
        check_witness(witness)
        check_unless_templated(partial(protocol.choice, known=ALREADY_CHOICES), "on_already", on_already)
        check_flags(wait_for_completion=wait_for_completion, verify_job_id=verify_job_id)
        check_unless_templated(partial(protocol.choice, known=RUNNING_CHOICES), "on_running", on_running)
        check_unless_templated(protocol.flag, "dry_run", dry_run)
        self.mode = mode
        self.wait_for_completion = wait_for_completion
        self.max_lag = None if max_lag is NOT_GIVEN else max_lag
        self.settle = settle
        self._limits = Limits(self, max_lag=max_lag, settle=settle)
        self.decide_within = seconds("decide_within", decide_within)
        self.on_running = on_running
        self.plan_only = dry_run  # BaseOperator has a method of the name dry_run
        self.verify_job_id = verify_job_id
        self.witness = witness
        self.witness_timeout = seconds("witness_timeout", witness_timeout)
        self.on_already = on_already
        self.end_from_trigger = end_from_trigger

    def _begin(self, context: Context) -> dict[str, Any]:
        """Switch and wait, or resume what an earlier try began.

        :return: the evidence; with ``dry_run`` the plan.
        """
        runtime = self._recording(context)
        if protocol.flag("dry_run", self.plan_only):
            return self._plan(context, runtime)
        saved = self._saved(context, runtime)
        try:
            return self._execute(context, saved, runtime)
        except (TaskDeferred, protocol.TroubleLasts):
            raise
        except protocol.NotSwitchedError as stopped:
            runtime.finish(stopped.record, PUSH_AGAIN_FOR)
            raise stopped.error from None
        except protocol.DrsRecordError as error:
            record = runtime.record or self._blank(context, runtime)
            record.doubt(error.message)
            raise self._ended(record, runtime) from None
        except BaseException:  # Airflow's execution_timeout is none of Exception
            if not runtime.finished:
                runtime.finish(runtime.record or self._blank(context, runtime), 0)
            raise

    def _plan(self, context: Context, runtime: RecordingRuntime) -> dict[str, Any]:
        self._check_woken()
        protocol.switch_vip(self.job_id, self.mode)  # checks both
        request = self._request(context, runtime)
        self._connect(context, runtime)
        return plan(request, runtime)

    def _saved(self, context: Context, runtime: RecordingRuntime) -> protocol.Record | None:
        """Return what an earlier try saved: read before anything else, so that the evidence always comes from it.

        :raises DrsError: it cannot be read on a first try, before which there was none.
        :raises DrsSwitchoverUnknownError: it cannot be read, or understood, on a further one.
        """
        try:
            saved = runtime.read()
        except protocol.DrsError as error:
            blank = self._blank(context, runtime)
            if not isinstance(error, protocol.DrsRecordError) and runtime.is_first_try:
                runtime.finish(blank, 0)
                raise
            if blank.phase is protocol.Phase.BEGUN:
                blank.doubt("")
            blank.reason = f"nothing tells what an earlier try did: {error.message}"
            raise self._ended(blank, runtime) from None
        if saved is not None:
            runtime.show(saved)  # Airflow has wiped the XCom of the try before
        return saved

    def _blank(self, context: Context, runtime: RecordingRuntime) -> protocol.Record:
        """Return the record of a try that knows of none."""
        blank = protocol.Record(str(self.job_id), str(self.mode), began_at=runtime.now(), actor=actor_of(context))
        if not runtime.is_first_try:
            blank.doubt("this is a further try, and nothing tells what an earlier one did")
        return blank

    def _execute(self, context: Context, saved: protocol.Record | None, runtime: RecordingRuntime) -> dict[str, Any]:
        self._check_woken()
        with self._naming_connection():
            protocol.switch_vip(self.job_id, self.mode)  # checks both
            request = self._request(context, runtime, self._same_run(context, saved, runtime))
        self._connect(context, runtime)
        record = protocol.switch(request, saved, runtime)
        if record.phase in (*protocol.SUCCEEDED, protocol.Phase.FAILED, protocol.Phase.UNKNOWN):
            return self._end(record, runtime)
        until_taken = not self.wait_for_completion
        if until_taken and record.phase is protocol.Phase.ACCEPTED:
            runtime.finish(record, PUSH_AGAIN_FOR)
            return record.evidence()
        deadline = self._deadline(runtime)
        wait = self._trigger(record, deadline).new_wait()
        # Who waits in the triggerer cannot ask the witness: its connections are the worker's.
        defers = self.deferrable and not until_taken and self.witness is None
        may_defer_at = runtime.monotonic() + START_BEFORE_DEFERRING
        while True:
            result = protocol.wait_for_end(
                wait, record, runtime, until_taken=until_taken, max_polls=1 if defers else None
            )
            if result is not None:
                return self._take(result.event(), record, runtime)
            if until_taken:
                record.show()
                runtime.finish(record, PUSH_AGAIN_FOR)
                return record.evidence()
            in_trouble = wait.memory.trouble_since is not None
            waited_long = in_trouble or runtime.monotonic() >= may_defer_at
            # A triggerer cannot save: START is seen and saved here, and what Airflow does not take is not left behind.
            if runtime.is_saved and (waited_long or record.freshness().started):
                self._defer(self._trigger(record, deadline), runtime, ends_task=self._ends_from_trigger())
            runtime.sleep(self.poll_interval if in_trouble else min(self.poll_interval, 1.0))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """End the task as the wait ended.

        :param event: the event of :class:`~airflow_provider_drs.triggers.drs.DrsSwitchoverTrigger`, which hands back
            the record as it was when the wait began.
        :return: the evidence.
        """
        return self._take(event, protocol.Record.from_dict(event["record"]), self._recording(context))

    def _take(self, event: dict[str, Any], record: protocol.Record, runtime: RecordingRuntime) -> dict[str, Any]:
        """Take the end of the wait as its event has it."""
        if self.witness is None:
            record.end(event)
        else:
            runtime.try_save(record)  # a worker that dies while the witness is asked is followed by one that asks again
            protocol.end_with_witness(record, event, runtime, self.witness_timeout)
        if event["outcome"] != protocol.Outcome.ERROR:
            return self._end(record, runtime)
        runtime.finish(record, PUSH_AGAIN_FOR)
        error = protocol.DrsError.from_dict(event["error"])
        stands = _how_it_stands(record)
        error.message += f"; {stands}: a retry, or clearing this task, reads its status and does not switch"
        raise error

    def _broken_trigger(self, error: BaseException, context: Context) -> Exception:
        runtime = self._recording(context)
        try:
            saved = runtime.read()
        except protocol.DrsError as unread:
            self.log.warning("The evidence cannot be shown: %s", unread)
        else:
            if saved is not None:
                runtime.show(saved)
        return super()._broken_trigger(error, context)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage:
        """Return what OpenLineage is told: the databases of the job, and the evidence."""
        record = None if self._last_recording is None else self._last_recording.record
        evidence = None if record is None else record.evidence()
        return lineage.of_switchover(evidence, DrsHook(self.drs_conn_id, self.project_id), self.log)

    get_openlineage_facets_on_failure = get_openlineage_facets_on_complete

    def _recording(self, context: Context) -> RecordingRuntime:
        self._last_recording = RecordingRuntime(
            DrsHook(self.drs_conn_id, self.project_id),
            self.log,
            RecordStore(context, began_before=self._woken is not None),
            lambda: protocol.Patience(
                f"Job {self.job_id}", self.transient_error_timeout, error_context=self._error_context
            ),
            None if self.witness is None else rendered(self.witness, self, context),
        )
        return self._last_recording

    def _same_run(self, context: Context, saved: protocol.Record | None, runtime: RecordingRuntime) -> protocol.SameRun:
        if (saved is None and not runtime.is_first_try) or (saved is not None and saved.phase in protocol.OPEN):
            return protocol.SameRun()  # it does not switch, whatever others have done
        runtime.until_certain(lambda: check_still_frozen(context, self.freeze_task_ids))
        return runtime.until_certain(lambda: same_run(context, self.job_id, saved))

    def _request(
        self, context: Context, runtime: RecordingRuntime, run: protocol.SameRun | None = None
    ) -> protocol.SwitchoverRequest:
        attach = protocol.choice("on_running", self.on_running, RUNNING_CHOICES) == "attach"
        if attach and not self.attach_allowed:
            text = "on_running is 'attach', which this cutover cannot have: nobody knows the mode of what is joined"
            raise protocol.DrsArgumentError(text)
        run = run or protocol.SameRun()
        return protocol.SwitchoverRequest(
            self.job_id,
            self.mode,
            max_lag=self._limits.seconds("max_lag", self.max_lag),
            attach=attach,
            settle=self._limits.seconds("settle", self.settle),
            decide_within=self.decide_within,
            verify_job_id=self.verify_job_id,
            first_try=runtime.is_first_try,
            timeout=self._timeout,
            max_tries=getattr(context["ti"], "max_tries", None) or 0,
            transient_error_timeout=self.transient_error_timeout,
            leave_after=self._leave_after if runtime.may_begin_again and self.witness is None else None,
            error_context=self._error_context,
            superseded_by=run.superseded_by,
            open_elsewhere=run.open_elsewhere,
            order=run.order,
            actor=actor_of(context),
            approvals=approvals_of(context, self.approval_task_id),
            witness_timeout=None if self.witness is None else self.witness_timeout,
            already_is_success=protocol.choice("on_already", self.on_already, ALREADY_CHOICES) == "succeed",
        )

    def _deadline(self, runtime: RecordingRuntime) -> float:
        """Return when the wait ends, seconds since the epoch; Airflow itself does not watch a deferred task."""
        deadline = runtime.now() + self._timeout
        if self.deferrable and self.execution_timeout is not None:
            deadline = min(deadline, runtime.began + self.execution_timeout.total_seconds())
        return deadline

    def _ends_from_trigger(self) -> bool:
        """Tell whether nothing is left for a worker to do once the switchover is complete."""
        ends = may_end(self, DrsSwitchoverOperator, _ENDINGS, self.end_from_trigger)
        return not needs_a_worker(self) if ends is None else ends

    def _trigger(self, record: protocol.Record, deadline: float) -> DrsSwitchoverTrigger:
        return triggers.DrsSwitchoverTrigger(
            job_id=self.job_id,
            verify_job_id=self.verify_job_id,
            record=record.to_dict(),
            deadline=deadline,
            **self._trigger_kwargs(),
        )

    def _end(self, record: protocol.Record, runtime: RecordingRuntime) -> dict[str, Any]:
        if record.phase not in protocol.SUCCEEDED:
            raise self._ended(record, runtime)
        runtime.finish(record, PUSH_AGAIN_FOR)
        return record.evidence()

    def _ended(self, record: protocol.Record, runtime: RecordingRuntime) -> Exception:
        """Leave the evidence of a switchover that has failed, or whose outcome is unknown; return what to raise."""
        published = runtime.finish(record, PUSH_AGAIN_FOR)
        if record.phase is protocol.Phase.FAILED:
            self._log_failure(record.job_id, record.error_code, record.error_msg)
            error: Exception = DrsSwitchoverFailedError(record.job_id, record.error_code, record.error_msg)
        elif record.phase is protocol.Phase.DISPUTED:
            error = DrsSwitchoverDisputedError(record.job_id, record.reason or "")
        else:
            error = DrsSwitchoverUnknownError(record.job_id, record.reason or "nothing is known about it")
        if not published:
            # Airflow retries this one: what runs next must not conclude from a lack of evidence.
            error = protocol.DrsError(
                f"the evidence could not be written to XCom for {PUSH_AGAIN_FOR:.0f} seconds: a retry writes it and "
                f"does not switch. What it says: {error}"
            )
        return error


def _how_it_stands(record: protocol.Record) -> str:
    posted = record.evidence()["posted_at"]
    if record.attached:
        return "the switchover that was joined may be running or done"
    if posted is None:
        return "nothing tells whether a switchover was asked for"
    if record.phase is protocol.Phase.ACCEPTED:
        return f"the switchover was asked for (at {posted}), DRS has taken it, and it may be running or done"
    if record.unsure:
        return f"an earlier try was about to ask for the switchover (at {posted}), and it may be running or done"
    return f"the switchover was asked for (at {posted}), the response to it was lost, and it may be running or done"
