"""A whole cutover as a group of tasks: ready, compared, approved, switched, verified, and a rollback if need be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowOptionalProviderFeatureException,
    BaseOperator,
    TaskGroup,
    TriggerRule,
    XComArg,
    conf,
)

from airflow_provider_drs.cutover_freeze import Stopped
from airflow_provider_drs.cutover_results import (
    RETRIES,
    RETRY_DELAY,
    CutoverResultOperator,
    DryRunGate,
    JoinGate,
    RollbackGate,
    SwitchedOperator,
)
from airflow_provider_drs.cutover_tasks import GivenTasks
from airflow_provider_drs.hooks.drs import DrsHook
from airflow_provider_drs.lazy import lazy_names
from airflow_provider_drs.operators.compare import DrsCompareOperator
from airflow_provider_drs.operators.switchover import DrsSwitchoverOperator
from airflow_provider_drs.sensors.downtime import DrsDowntimeSensor
from airflow_provider_drs.sensors.jobs import DrsJobReadySensor
from airflow_provider_drs.witness import Witness

if TYPE_CHECKING:
    from airflow_provider_drs.cutover_fleet import fleet_cutover

__all__ = ["cutover", "fleet_cutover"]
__getattr__ = lazy_names("airflow_provider_drs", {"cutover_fleet": "fleet_cutover"})

TOOLTIP = "Switches a virtual IP address of one DRS job: guarded, at most once, with evidence"


def cutover(
    *,
    job_id: str,
    mode: str,
    max_lag: timedelta | float | str | None = timedelta(0),
    drs_conn_id: str = DrsHook.default_conn_name,
    project_id: str | None = None,
    deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
    group_id: str = "cutover",
    compare: str | None = None,
    on_compare_unavailable: str = "fail",
    approve: bool | Mapping[str, Any] = False,
    verify: Any = None,
    on_failure: Any = None,
    freeze: Any = None,
    thaw: Any = None,
    catch_up_timeout: timedelta | float = timedelta(minutes=5),
    thaw_on_unknown: bool | str = False,
    witness: Witness | None = None,
    measure_downtime: bool = False,
    ready_kwargs: Mapping[str, Any] | None = None,
    compare_kwargs: Mapping[str, Any] | None = None,
    switchover_kwargs: Mapping[str, Any] | None = None,
) -> TaskGroup:
    """Add a cutover to the DAG: ready, comparison, approval, switchover, verification, and on failure a rollback.

    The tasks are ``ready``, ``comparison``, ``approval``, ``switchover``, with ``on_failure`` also ``rollback_gate``,
    and with ``verify`` or ``on_failure`` also ``done``; with ``dry_run`` also ``dry_run``, ``for_real``, ``done`` and
    ``switched``. The switchover reads its guards again itself, right before it
    asks DRS, so that an approval given hours later cannot switch a job that is no longer ready. The rollback runs only
    after a switchover that DRS says has failed, or one that is complete and whose verification failed; never where
    nothing was changed, nor where the outcome is unknown. A cutover that failed, or was rejected, fails the group,
    whatever came of the rollback. ``docs/cutover.md`` has the details.

    :param job_id: the job (templated); of a cross-AZ job, the parent's.
    :param mode: ``source`` or ``target`` (templated): which database's virtual IP address to switch. DRS does not
        document which database serves afterwards, nor that the other mode reverses a switchover.
    :param max_lag: seconds or timedelta the job may lag behind, for ``ready`` and for the guard (templated); default 0;
        None: any lag that is known.
    :param drs_conn_id: id of the connection (templated).
    :param project_id: project to work in, instead of the connection's (templated).
    :param deferrable: wait in the triggerer; default ``[operators] default_deferrable``.
    :param group_id: id of the group, and prefix of the ids of its tasks.
    :param compare: ``objects``, ``lines`` or ``contents``: compare source and target first; None: do not.
    :param on_compare_unavailable: where DRS refuses to compare this job: ``fail``, or ``skip`` it and go on.
    :param approve: True: a person approves before the switchover (Airflow 3.1 and later); a mapping: the same, with
        these arguments for ``ApprovalOperator``. A rejection fails the cutover, unless ``fail_on_reject`` is False.
        With ``remind``, a function that takes a :class:`~airflow_provider_drs.notifications.DrsCutoverMessage`, and
        ``remind_after``, a timedelta, it is told when nobody has answered by then.
    :param verify: what makes sure that the databases' users are served: a function, decorated with ``@task`` or
        ``@task_group`` or not, that takes the switchover's evidence and raises; an operator, or
        ``functools.partial`` of its class, which makes it within the group; a task group; or a list of these. All of
        its tasks run after the switchover, also those that do not use the evidence.
    :param on_failure: what to do when the switchover or the verification failed, in the same forms.
    :param freeze: what stops the writers once all is ready and approved, in the same forms; it takes what ``ready`` has
        found. Then ``caught_up`` waits for a lag of 0, and the switchover's guard wants no less.
    :param thaw: what lets the writers go again, in the same forms; needed with ``freeze``. It runs whenever ``freeze``
        has begun, however the cutover ended, and takes the evidence of the last switchover of the job in this run. Its
        tasks have three retries unless they have retries of their own.
    :param catch_up_timeout: seconds or timedelta that ``caught_up`` waits, nobody writing; default 5 minutes.
    :param thaw_on_unknown: True: let the writers go also where nobody knows which side serves (templated); by default
        they stay stopped until a person has looked.
    :param witness: who answers at the virtual IP address, for the switchover: a guard, and a word beside DRS's at the
        end. Where it sees that traffic never left, a failed switchover is not rolled back.
    :param measure_downtime: True: ``downtime`` samples who answers beside ``switchover``, and its result is
        ``downtime`` in the evidence of ``done``. It needs a witness, and occupies a worker of its own.
    :param ready_kwargs: more arguments for ``DrsJobReadySensor``, such as ``timeout`` and ``stable_samples``.
    :param compare_kwargs: more arguments for ``DrsCompareOperator``, such as ``tables``.
    :param switchover_kwargs: more arguments for ``DrsSwitchoverOperator``, such as ``settle``. With ``dry_run``
        (templated), ``ready`` and the comparison run, the switchover returns its plan, and all else is skipped.
    :return: the group; what is downstream of it runs when the cutover is done.
    :raises ValueError: arguments that contradict each other, a DAG with ``dagrun_timeout`` that would skip ``thaw``, or
        a trigger rule by which a given task would not wait for the task before it.
    :raises TypeError: what was given is nothing that can be made a task.
    :raises AirflowOptionalProviderFeatureException: ``approve`` before Airflow 3.1.
    """
    if (freeze is None) != (thaw is None):
        raise ValueError("freeze and thaw belong together: give both, or none")
    if measure_downtime and witness is None:
        raise ValueError("measure_downtime needs a witness")
    more = {**({} if witness is None else {"witness": witness}), **(switchover_kwargs or {})}
    common: dict[str, Any] = {
        "job_id": job_id,
        "drs_conn_id": drs_conn_id,
        "project_id": project_id,
        "deferrable": deferrable,
    }
    # A gate that was skipped on purpose lets the next task run; one skipped along with all before it does not.
    passed: dict[str, Any] = {"trigger_rule": TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS}
    let_through = passed
    with TaskGroup(group_id, tooltip=TOOLTIP) as group:
        if is_mapped := any(group.iter_mapped_task_groups()):
            # See JoinGate, which is then before what is none.
            passed, let_through = {"trigger_rule": TriggerRule.NONE_FAILED}, {"trigger_rule": TriggerRule.ALL_SUCCESS}
        gates: list[BaseOperator] = [
            DrsJobReadySensor(task_id="ready", max_lag=max_lag, **common, **(ready_kwargs or {}))
        ]
        compared = None
        if compare is not None:
            compared = DrsCompareOperator(
                task_id="comparison",
                compare=compare,
                on_unavailable=on_compare_unavailable,
                **common,
                **(compare_kwargs or {}),
            )
            gates[0] >> compared
            gates += [compared]
        ready = gates[0].task_id
        defaults = {**(group.dag.default_args if group.dag else {}), **group.default_args}
        dry_run = more.pop("dry_run", defaults.get("dry_run", False))
        plans: list[DryRunGate] = []
        planned: dict[str, Any] = {}
        if dry_run is not False:
            # It is read once: whatever a template makes of it later, no task takes it otherwise.
            plans = [DryRunGate(task_id="dry_run", dry_run=dry_run, wanted=True, **passed)]
            dry_run = XComArg(plans[0], key=DryRunGate.key)
            if is_mapped:
                # An XComArg is also a dependency: the gate of a run that is no dry run would skip the switchover.
                dry_run = plans[0].template_of_key()
            for_real = DryRunGate(task_id="for_real", dry_run=dry_run, wanted=False, **passed)
            planned = {"dry_run": plans[0].task_id}
            gates >> plans[0]
            [*gates, plans[0]] >> for_real
            gates = [for_real]
        if is_mapped and len(gates) > 1:
            gates = [_joined("compared", gates, passed)]
        approval = None
        if approve is not False:
            shown = {
                "job_id": job_id,
                "mode": mode,
                "max_lag": 0 if freeze is not None else max_lag,
                "ready": ready,
                "comparison": compared.task_id if compared else None,
                "compare": compare,
                "witness": more.get("witness"),
                "freezes": freeze is not None,
            }
            asked = {} if approve is True else dict(approve)
            approval = approval_after(gates, "CutoverApproval", {**shown, **let_through}, asked)
            gates = [approval]
        stopped = None
        if freeze is not None:
            catching_up = {
                **common,
                **let_through,
                **(ready_kwargs or {}),
                "timeout": catch_up_timeout,
                "soft_fail": False,
            }
            stopped = Stopped(freeze, gates, ready, catching_up, passed)
            # With the writers stopped there is nothing left to lag behind.
            gates, max_lag = [stopped.caught_up], 0
        before_it = [*gates, *plans]
        if is_mapped and plans:
            before_it = [_joined("let_through", before_it, passed)]
        switchover = DrsSwitchoverOperator(
            task_id="switchover", mode=mode, max_lag=max_lag, dry_run=dry_run, **common, **let_through, **more
        )
        switchover.approval_task_id = approval.task_id if approval else None
        _check(switchover, result_is_used=verify is not None or on_failure is not None)
        before_it >> switchover
        measured = None
        if measure_downtime and witness is not None:
            # The least there is: where both wait for a slot, the switchover gets it.
            least: dict[str, Any] = {"priority_weight": 1, "weight_rule": "absolute", "retries": 3}
            measured = DrsDowntimeSensor(
                task_id="downtime", witness=witness, switchover=switchover.task_id, **least, **let_through
            )
            gates >> measured
        verification = GivenTasks("verify", verify, after=switchover) if verify is not None else None
        if verification and plans:
            for_real >> verification.roots
            verification.check_that_a_skipped_gate_skips_them()
        gate, rollback = None, None
        if on_failure is not None:
            gate = RollbackGate(
                task_id="rollback_gate",
                switchover=switchover.task_id,
                verification=verification.ids_that_count() if verification else [],
                **planned,
                trigger_rule=TriggerRule.ALL_DONE,
            )
            # Of all its tasks: the last one can end early where another still runs.
            [switchover, *(verification.all_but_setups() if verification else [])] >> gate
            rollback = GivenTasks("on_failure", on_failure, after=gate)
            rollback.check_that_a_skipped_gate_skips_them()
        let_go = None
        if stopped is not None:
            given = [each for each in (verification, rollback) if each]
            before_thaw = [switchover, *([gate] if gate else []), *(t for each in given for t in each.all_but_setups())]
            thaw_gate = stopped.thaw_gate(switchover, before_thaw, job_id=job_id, thaw_on_unknown=thaw_on_unknown)
            let_go = GivenTasks("thaw", thaw, after=thaw_gate)
            let_go.check_that_a_skipped_gate_skips_them()
            let_go.retry_by_default(RETRIES, RETRY_DELAY)
        if verification or rollback or plans or let_go or measured:
            done = CutoverResultOperator(
                task_id="done",
                switchover=switchover.task_id,
                downtime=measured.task_id if measured else None,
                **planned,
                **passed,
            )
            before = [switchover, *(verification.that_count() if verification else [])]
            # All of these, so that nothing else is at the end of the group: what comes after it waits for ``done``.
            before += [gate, *rollback.all_but_setups()] if gate and rollback else []
            before += [*let_go.all_but_setups()] if let_go else []
            before += [measured] if measured else []
            before >> done
            if plans:
                [done, for_real] >> SwitchedOperator(task_id="switched")
    return group


def _check(switchover: DrsSwitchoverOperator, *, result_is_used: bool) -> None:
    if not switchover.wait_for_completion:
        raise ValueError("a cutover waits for the end of its switchover: wait_for_completion=False cannot be given")
    if result_is_used:
        # A switchover that was joined has no known mode: there is nothing to verify, nor to roll back.
        switchover.attach_allowed = False  # what comes out of a template
        if switchover.on_running == "attach":
            raise ValueError(
                "on_running='attach' cannot be given with verify or on_failure: "
                "the mode of a switchover that is joined is not known"
            )


def _joined(task_id: str, gates: Sequence[BaseOperator], passed: Mapping[str, Any]) -> JoinGate:
    join = JoinGate(task_id=task_id, **passed)
    list(gates) >> join
    return join


def approval_after(
    gates: Sequence[BaseOperator], kind: str, shown: Mapping[str, Any], asked: Mapping[str, Any]
) -> BaseOperator:
    """Return the task that asks a person; a rejection is final.

    :param gates: the tasks before it.
    :param kind: the operator, of ``cutover_approval``.
    :param shown: its arguments, which nobody else may give.
    :param asked: what the user gives for ``ApprovalOperator``.
    :raises AirflowOptionalProviderFeatureException: this Airflow has no approvals.
    """
    try:
        # Airflow 3.1 and later has it; the standard provider may be missing.
        from airflow_provider_drs import cutover_approval
    except (ImportError, AirflowOptionalProviderFeatureException) as error:
        raise AirflowOptionalProviderFeatureException(
            "cutover(approve=...) needs ApprovalOperator: Airflow 3.1 or later, with apache-airflow-providers-standard"
        ) from error

    if asked.get("retries") and asked.get("fail_on_reject", True):
        raise ValueError("approve: a retry would ask again after a rejection; retries needs fail_on_reject=False")
    defaults: dict[str, Any] = {
        # A rejected cutover is not a completed one, and a rejection is not asked for twice.
        "fail_on_reject": True,
        "retries": 0,
    }
    own = {name: value for name, value in asked.items() if name not in ("remind", "remind_after")}
    approval: BaseOperator = getattr(cutover_approval, kind)(task_id="approval", **shown, **{**defaults, **own})
    list(gates) >> approval
    if own.keys() != asked.keys():
        remind, after = asked.get("remind"), asked.get("remind_after")
        if not callable(remind) or not isinstance(after, timedelta):
            raise ValueError("approve: remind, a function, and remind_after, a timedelta, belong together")
        reminder = cutover_approval.ApprovalReminder(
            task_id="approval_reminder",
            approval=approval.task_id,
            job_id=shown.get("job_id"),
            switch_mode=shown["mode"],
            remind=remind,
            after=after,
        )
        list(gates) >> reminder
        # Nothing waits for it, and its failure is none of the run.
        reminder.as_teardown()
    return approval
