"""A whole cutover as a group of tasks: ready, compared, approved, switched, verified, and a rollback if need be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import FunctionType
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowOptionalProviderFeatureException,
    AirflowSkipException,
    BaseOperator,
    TaskGroup,
    TriggerRule,
    conf,
    task,
)

from airflow_provider_drs import protocol
from airflow_provider_drs.hooks.drs import DrsHook
from airflow_provider_drs.operators.compare import DrsCompareOperator
from airflow_provider_drs.operators.switchover import DrsSwitchoverOperator
from airflow_provider_drs.operators.task_state import EVIDENCE_KEY
from airflow_provider_drs.sensors.jobs import DrsJobReadySensor

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

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
    ready_kwargs: Mapping[str, Any] | None = None,
    compare_kwargs: Mapping[str, Any] | None = None,
    switchover_kwargs: Mapping[str, Any] | None = None,
) -> TaskGroup:
    """Add a cutover to the DAG: ready, comparison, approval, switchover, verification, and on failure a rollback.

    The tasks are ``ready``, ``comparison``, ``approval``, ``switchover``, and with ``on_failure`` also
    ``rollback_gate`` and ``done``. The switchover reads its guards again itself, right before it asks DRS, so that an
    approval given hours later cannot switch a job that is no longer ready. The rollback runs only after a switchover
    that DRS says has failed, or a verification that failed; never where nothing was changed, nor where the outcome is
    unknown. A cutover that failed fails the group, whatever came of the rollback. ``docs/cutover.md`` has the details.

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
        these arguments for ``ApprovalOperator``.
    :param verify: what makes sure that the databases' users are served: a function, decorated with ``@task`` or not,
        that takes the switchover's evidence and raises, or an operator or task group.
    :param on_failure: what to do when the switchover or the verification failed, in the same forms.
    :param ready_kwargs: more arguments for ``DrsJobReadySensor``, such as ``timeout`` and ``stable_samples``.
    :param compare_kwargs: more arguments for ``DrsCompareOperator``, such as ``tables``.
    :param switchover_kwargs: more arguments for ``DrsSwitchoverOperator``, such as ``settle`` and ``dry_run``.
    :return: the group; what is downstream of it runs when the cutover is done.
    :raises ValueError: arguments that contradict each other.
    :raises TypeError: ``verify`` or ``on_failure`` is nothing that can be made a task.
    :raises AirflowOptionalProviderFeatureException: ``approve`` before Airflow 3.1.
    """
    more = dict(switchover_kwargs or {})
    if not more.get("wait_for_completion", True):
        raise ValueError("a cutover waits for the end of its switchover: wait_for_completion=False cannot be given")
    if more.get("dry_run") and (verify is not None or on_failure is not None):
        raise ValueError("dry_run changes nothing, so that there is nothing to verify or to roll back")
    common: dict[str, Any] = {
        "job_id": job_id,
        "drs_conn_id": drs_conn_id,
        "project_id": project_id,
        "deferrable": deferrable,
    }
    # A gate that was skipped on purpose lets the next task run; one skipped along with all before it does not.
    passed: dict[str, Any] = {"trigger_rule": TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS}
    with TaskGroup(group_id, tooltip=TOOLTIP) as group:
        gates: list[BaseOperator] = [
            DrsJobReadySensor(task_id="ready", max_lag=max_lag, **common, **(ready_kwargs or {}))
        ]
        if compare is not None:
            gates += [
                DrsCompareOperator(
                    task_id="comparison",
                    compare=compare,
                    on_unavailable=on_compare_unavailable,
                    **common,
                    **(compare_kwargs or {}),
                )
            ]
            gates[0] >> gates[1]
        if approve is not False:
            asked = {} if approve is True else dict(approve)
            gates = [_approval(job_id, mode, gates[0].task_id, asked, passed, gates)]
        switchover = DrsSwitchoverOperator(task_id="switchover", mode=mode, max_lag=max_lag, **common, **passed, **more)
        gates >> switchover
        checked: list[Any] = [switchover]
        if verify is not None:
            checked.append(_task("verify", verify, after=switchover))
        if on_failure is not None:
            gate = RollbackGate(
                task_id="rollback_gate", switchover=switchover.task_id, trigger_rule=TriggerRule.ONE_FAILED
            )
            checked >> gate
            rollback = _task("on_failure", on_failure, after=gate)
            [*checked, rollback] >> CutoverResultOperator(task_id="done", switchover=switchover.task_id, **passed)
    return group


class SwitchoverResultOperator(BaseOperator):
    """Base of the tasks that look at what a switchover left behind.

    :param switchover: id of its task in this DAG.
    """

    ui_color = "#f4dfd0"

    def __init__(self, *, switchover: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.switchover = switchover

    def evidence(self, context: Context) -> dict[str, Any]:
        """Return the evidence of the switchover, empty where it left none."""
        ti = context["ti"]
        for key in ("return_value", EVIDENCE_KEY):
            found = ti.xcom_pull(task_ids=self.switchover, key=key, map_indexes=ti.map_index)
            if isinstance(found, dict):
                return found
        return {}


class RollbackGate(SwitchoverResultOperator):
    """Lets the rollback run where there is something to roll back, and skips it otherwise.

    It runs when the switchover or the verification has failed. The XCom return value is the evidence of the switchover.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the evidence.

        :raises AirflowSkipException: nothing was changed, or it is not known what was.
        """
        evidence = self.evidence(context)
        if reason := reason_not_to_roll_back(evidence.get("outcome")):
            raise AirflowSkipException(f"Not rolling back: {reason}")
        return evidence


class CutoverResultOperator(SwitchoverResultOperator):
    """Runs when the cutover is done, and hands its evidence on; fails with it (``upstream_failed``) otherwise."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the evidence."""
        return self.evidence(context)


def reason_not_to_roll_back(outcome: str | None) -> str | None:
    """Return why a cutover that failed is not to be rolled back; None where it is to be.

    :param outcome: of the switchover, from its evidence; None where there is none.
    """
    if outcome in (protocol.Phase.DONE, protocol.Phase.FAILED):  # done: then it is the verification that failed
        return None
    if outcome in (protocol.Phase.READ, protocol.Phase.REFUSED):
        return "nothing was changed"
    if outcome is None:
        return "there was no switchover, or it left no evidence; a person decides, see docs/runbook.md"
    return f"the outcome of the switchover is {outcome!r}, not certain; a person decides, see docs/runbook.md"


def _approval(
    job_id: str, mode: str, ready: str, asked: dict[str, Any], passed: dict[str, Any], gates: Sequence[BaseOperator]
) -> BaseOperator:
    try:
        # Airflow 3.1 and later has it; the standard provider may be missing.
        from airflow.providers.standard.operators.hitl import ApprovalOperator
    except (ImportError, AirflowOptionalProviderFeatureException) as error:
        raise AirflowOptionalProviderFeatureException(
            "cutover(approve=...) needs ApprovalOperator: Airflow 3.1 or later, with apache-airflow-providers-standard"
        ) from error

    asks = {
        "subject": f"Switch DRS job {job_id} ({mode})?",
        "body": f"When it was found ready: `{{{{ ti.xcom_pull(task_ids='{ready}') }}}}`. "
        "The guards are read again after your answer, right before the switchover.",
    }
    approval = ApprovalOperator(task_id="approval", **passed, **{**asks, **asked})
    list(gates) >> approval
    return approval


def _task(name: str, given: Any, *, after: BaseOperator) -> Any:
    """Return what was given as a task downstream of ``after``, whose XCom it takes where it takes one."""
    if hasattr(given, "set_upstream"):
        after >> given
        return given
    make: Callable[[Any], Any] = task(given) if isinstance(given, FunctionType) else given
    made = make(after.output) if callable(make) else None
    if not hasattr(made, "set_upstream"):
        raise TypeError(f"{name} must be a function, an operator or a task group, not {given!r}")
    return made
