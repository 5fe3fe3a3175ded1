"""The tasks of a cutover that judge what its switchover left behind: may it be rolled back, and is it done.

Private to this package; :func:`~airflow_provider_drs.cutover.cutover` makes these tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
    TriggerRule,
    get_current_context,
)

from airflow_provider_drs import protocol
from airflow_provider_drs.pages import see
from airflow_provider_drs.run_evidence import Evidence, evidence_of, states_of, switchovers_of_run
from airflow_provider_drs.task import check_unless_templated

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

LOOK_UP = f"see the runbook ({see('runbook')})"
PERSON = f"a person decides, {LOOK_UP}"
# Of the tasks that only read, and of those that must run: they have no other way to get over a lost answer.
RETRIES, RETRY_DELAY = 3, timedelta(seconds=20)

# What evidence says in place of an outcome where there was no switchover.
NOT_STARTED = "not started"
# Neither says that the task has started.
NEVER_STARTED = (None, "upstream_failed")
FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
# What Airflow does not tell.
NOT_KNOWN = "not known"


@dataclass(frozen=True)
class Situation:
    """What a gate knows of its run.

    :param switchover: task id of the switchover.
    :param evidence: what it left behind, empty for nothing.
    :param state: the state of its task.
    :param last: the last switchover of the job in this run, by whatever task; None where there was none.
    :param verification: the state of each task of the verification.
    """

    switchover: str
    evidence: Mapping[str, Any]
    state: str | None
    last: Mapping[str, Any] | None = None
    verification: Mapping[str, str | None] | None = None

    def later(self) -> Mapping[str, Any] | None:
        """Return the switchover of another task of this run that came after this one; None where there is none."""
        if self.last is None or self.last["task_id"] == self.switchover:
            return None
        if self.last.get("attached"):  # and seen before the end of this one: it is this one
            is_later = protocol.when(self.last) > (self.evidence.get("finished_at") or "")
        else:
            is_later = protocol.order_of(self.last) > protocol.order_of(self.evidence)
        return self.last if is_later else None

    def by_person(self) -> bool:
        """Tell whether a person has marked the task success: by itself it succeeds only when all is as it is to be."""
        return self.state == "success" and self.evidence.get("outcome") not in protocol.SUCCEEDED


def decide(found: Situation) -> tuple[bool, str]:
    """Return whether a cutover is to be rolled back, and why. What is not certain is not rolled back."""
    evidence, state, outcome = found.evidence, found.state, found.evidence.get("outcome")
    if not evidence:
        return False, without_evidence(found.switchover, state)
    if later := found.later():
        return False, f"{found.switchover} is not the last switchover of this run, {_named(later)} is; {PERSON}"
    if not protocol.may_have_switched(evidence):
        return False, f"nothing was changed (outcome {outcome!r})"
    if found.by_person() or evidence.get("decided_by") == "person":
        return False, f"the outcome is {outcome!r}, and a person has marked {found.switchover} {state}; {PERSON}"
    if evidence.get("attached"):
        return False, f"{found.switchover} joined a switchover that it had not asked for; {PERSON}"
    if outcome == protocol.Phase.FAILED and state == "failed" and _never_left(evidence):
        return False, "DRS reports that the switchover failed, and the witness sees that traffic never left"
    if outcome == protocol.Phase.FAILED and state == "failed":
        return True, "DRS reports that the switchover failed"
    if outcome == protocol.Phase.DONE and state in ("success", "failed"):
        return _decide_by_verification(found.verification or {})
    return False, f"the outcome of the switchover is {outcome!r} and its task is {state}: not certain; {PERSON}"


def _never_left(evidence: Mapping[str, Any]) -> bool:
    look = (evidence.get("witness") or {}).get("at_end") or {}
    return look.get("side") == protocol.Side.BEFORE


def _decide_by_verification(verification: Mapping[str, str | None]) -> tuple[bool, str]:
    unfinished = {name: state for name, state in verification.items() if state not in FINISHED}
    failed = [name for name, state in verification.items() if state == "failed"]
    if unfinished:
        return False, f"the switchover is complete, and of its verification {unfinished} have not ended; {PERSON}"
    if failed:
        return True, f"the switchover is complete, and of its verification {', '.join(failed)} failed"
    return False, "the switchover is complete, and no task of its verification failed"


def without_evidence(task_id: str, state: str | None) -> str:
    """Return what is known of a switchover that left no evidence."""
    if state in NEVER_STARTED:
        return f"there was no switchover: {task_id} has not started ({state or 'no state'})"
    if state == "skipped":
        return (
            f"{task_id} was skipped and left no evidence; if it was skipped after its start "
            f"(its log tells), a person must look, {LOOK_UP}"
        )
    return f"{task_id} is {state} and left no evidence: a person must look, {LOOK_UP}"


def _named(evidence: Mapping[str, Any]) -> str:
    """Return which switchover this is, in DRS's words."""
    at = f", asked for at {evidence['posted_at']}" if evidence.get("posted_at") else ""
    return f"that of task {evidence['task_id']} (mode {evidence.get('mode')}, outcome {evidence.get('outcome')}{at})"


def with_decision(evidence: Evidence, state: str | None) -> Evidence:
    """Return the evidence with ``decided_by: "person"`` where a person has marked its task success."""
    person = Situation("", evidence, state).by_person()
    return {**evidence, "decided_by": "person"} if person else evidence


def tells_decision(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of the evidence that is told whether a person has decided."""

    @wraps(function)
    def informed(evidence: Any, *args: Any, **kwargs: Any) -> Any:
        # Where DRS says done there is nothing to ask: a verification must not fail because Airflow cannot be asked.
        if isinstance(evidence, dict) and evidence.get("outcome") != protocol.Phase.DONE and evidence.get("task_id"):
            context = get_current_context()
            states = states_of(context, evidence["task_id"])
            evidence = with_decision(evidence, states.get(map_index_of(context), NOT_KNOWN))
        return function(evidence, *args, **kwargs)

    return informed


class JoinGate(BaseOperator):
    """Runs where none of the tasks before it has failed and one has succeeded.

    Airflow's own rule for that holds up a group that is mapped over the output of a task: no instance of it goes on
    before all have come so far. There the rule is ``none_failed``, and the task looks for one that has succeeded.
    """

    ui_color = "#f4dfd0"

    def execute(self, context: Context) -> Any:
        """Do nothing more.

        :raises AirflowSkipException: all before it were skipped.
        """
        self._join(context)

    def _join(self, context: Context) -> None:
        """Skip what has nothing before it that went well; ``execute`` of a base class is not called on Airflow 2.11."""
        if self.trigger_rule != TriggerRule.NONE_FAILED:
            return
        index = map_index_of(context)
        for task_id in self.upstream_task_ids:
            states = states_of(context, task_id)
            if states.get(index, states.get(-1)) == "success":
                return
        raise AirflowSkipException("All before it were skipped")


class DryRunGate(JoinGate):
    """One of the two ways that a cutover can go: ``dry_run`` or ``for_real``. That of the other kind is skipped.

    What it has read is in its XCom :attr:`key` in both cases.

    :param dry_run: whether to change nothing (templated).
    :param wanted: the way that this one stands for.
    """

    key = "dry_run"
    template_fields: Sequence[str] = ("plan_only",)
    ui_color = "#f4dfd0"

    def __init__(self, *, dry_run: Any, wanted: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_unless_templated(protocol.flag, "dry_run", dry_run)
        self.plan_only = dry_run
        self.wanted = wanted

    def template_of_key(self) -> str:
        """Return a template of what it has read, for a task of the same instance of a mapped group."""
        return f"{{{{ ti.xcom_pull(task_ids='{self.task_id}', key='{self.key}', map_indexes=ti.map_index) }}}}"

    def execute(self, context: Context) -> Any:
        """Return what it stands for.

        :raises AirflowSkipException: the cutover goes the other way.
        :raises DrsArgumentError: nobody says which.
        """
        self._join(context)
        dry_run = protocol.flag("dry_run", self.plan_only)
        context["ti"].xcom_push(key=self.key, value=dry_run)
        if dry_run is not self.wanted:
            raise AirflowSkipException("This is a dry run" if dry_run else "This is no dry run")
        return dry_run


class SwitchedOperator(BaseOperator):
    """Is skipped after a dry run, and with it what waits for the cutover."""

    ui_color = "#f4dfd0"

    def execute(self, context: Context) -> None:
        """Do nothing: that it runs says that the cutover took place."""


class SwitchoverResultOperator(JoinGate):
    """Base of the tasks that look at what a switchover left behind.

    They only read, so that Airflow may try again where it cannot be asked.

    :param switchover: id of its task in this DAG.
    :param dry_run: id of the ``DryRunGate`` that tells whether it only plans, None for none.
    """

    ui_color = "#f4dfd0"

    def __init__(
        self,
        *,
        switchover: str,
        dry_run: str | None = None,
        retries: int = RETRIES,
        retry_delay: timedelta = RETRY_DELAY,
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=retries, retry_delay=retry_delay, **kwargs)
        self.switchover = switchover
        self.dry_run_gate = dry_run

    def planned(self, context: Context) -> bool:
        """Tell whether the switchover only planned. Where the gate has not decided, it has done neither."""
        pull, gate = context["ti"].xcom_pull, self.dry_run_gate
        return bool(gate) and pull(task_ids=gate, key=DryRunGate.key, map_indexes=map_index_of(context)) is True

    def situation(self, context: Context, verification: Sequence[str] = ()) -> Situation:
        """Return what this run knows of the switchover.

        :param verification: ids of the tasks of its verification.
        :raises Exception: Airflow cannot be asked.
        """
        map_index = map_index_of(context)
        evidence = evidence_of(context, self.switchover, map_index)
        job_id = evidence.get("job_id")
        made = switchovers_of_run(context, job_id) if job_id else []
        return Situation(
            switchover=self.switchover,
            evidence=evidence,
            state=states_of(context, self.switchover).get(map_index, NOT_KNOWN),
            last=made[-1] if made else None,
            verification={
                name: state for task_id in verification for name, state in _states(context, task_id, map_index).items()
            },
        )


class RollbackGate(SwitchoverResultOperator):
    """Lets the rollback run where there is something to roll back, and skips it otherwise.

    It runs when the switchover and all tasks of the verification have ended, however they did. The XCom return value
    is the evidence of the switchover.

    :param verification: ids of the tasks of the verification.
    """

    def __init__(self, *, verification: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.verification = list(verification)

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the evidence.

        :raises AirflowSkipException: all is well, nothing was changed, or it is not known what was.
        """
        if self.planned(context):
            raise AirflowSkipException("Not rolling back: this was a dry run")
        found = self.situation(context, self.verification)
        roll_back, reason = decide(found)
        if not roll_back:
            raise AirflowSkipException(f"Not rolling back: {reason}")
        self.log.info("Rolling back: %s", reason)
        return dict(found.evidence)


class CutoverResultOperator(SwitchoverResultOperator):
    """Runs when the cutover is done, and hands its evidence on; fails with it (``upstream_failed``) otherwise.

    It fails, too, where the switchover that it reports is not the last one of the job in this run.

    :param downtime: id of the ``DrsDowntimeSensor`` whose result goes into the evidence, None for none.
    """

    def __init__(self, *, downtime: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.downtime = downtime

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the evidence; of a dry run, the plan.

        :raises AirflowFailException: another task of this run has switched the job since, or nobody says that it is
            done.
        """
        self._join(context)
        if self.planned(context):
            plan: dict[str, Any] = context["ti"].xcom_pull(task_ids=self.switchover, map_indexes=map_index_of(context))
            self.log.info("This was a dry run, nothing was changed. The plan: %s", plan)
            return plan
        found = self.situation(context)
        outcome = found.evidence.get("outcome")
        if later := found.later():
            raise AirflowFailException(
                f"the last switchover of job {later['job_id']} in this run is {_named(later)}. "
                f"It came after {self.switchover} (mode {found.evidence.get('mode')}), which this task reports: "
                "what is done is not this cutover"
            )
        if outcome not in protocol.SUCCEEDED and not found.by_person():
            raise AirflowFailException(
                f"{self.switchover} is {found.state} with the outcome {outcome!r}: a person must look, {LOOK_UP}"
            )
        if found.by_person():
            self.log.warning(
                "A person has marked %s success; the outcome in its evidence is %r", self.switchover, outcome
            )
        evidence = with_decision(dict(found.evidence), found.state)
        if self.downtime is not None:
            pulled = context["ti"].xcom_pull(task_ids=self.downtime, map_indexes=map_index_of(context))
            evidence["downtime"] = pulled
        return evidence


def map_index_of(context: Context) -> int:
    """Return which instance of a mapped task this is, -1 where it is not mapped."""
    index = context["ti"].map_index
    return -1 if index is None else index


def _states(context: Context, task_id: str, map_index: int) -> dict[str, str | None]:
    """Return the states of a task of the verification; within a mapped group, of its instance in the same group."""
    states = states_of(context, task_id)
    if map_index >= 0 and map_index in states:
        states = {map_index: states[map_index]}
    if not states:
        return {task_id: NOT_KNOWN}
    return {task_id if index < 0 else f"{task_id}[{index}]": state for index, state in states.items()}
