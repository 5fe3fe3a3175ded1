"""The tasks of a cutover before its writers are stopped, and before they are let go: may they be, and who says so.

Private to this package; :func:`~airflow_provider_drs.cutover.cutover` makes these tasks.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, BaseOperator, TriggerRule

from airflow_provider_drs import protocol
from airflow_provider_drs.cutover_results import (
    NEVER_STARTED,
    NOT_KNOWN,
    NOT_STARTED,
    RETRIES,
    RETRY_DELAY,
    JoinGate,
    Situation,
    SwitchoverResultOperator,
    map_index_of,
    with_decision,
    without_evidence,
)
from airflow_provider_drs.cutover_tasks import GivenTasks
from airflow_provider_drs.operators.same_run import FROZEN_KEY, LET_GO_KEY
from airflow_provider_drs.pages import see
from airflow_provider_drs.run_evidence import states_of
from airflow_provider_drs.sensors.jobs import DrsJobReadySensor
from airflow_provider_drs.task import check_unless_templated
from airflow_provider_drs.witness import WitnessLooks, rendered

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_drs.cutover_tasks import AnyOperator
    from airflow_provider_drs.operators.switchover import DrsSwitchoverOperator
    from airflow_provider_drs.witness import Witness

# In these states nothing of a task has run.
NEVER_RAN = frozenset({*NEVER_STARTED, "skipped", "removed"})
NOBODY: Mapping[str, Any] = {"side": None, "value": None, "at": None}


def decide_thaw(
    found: Situation, last: Mapping[str, Any], *, caught_up: str | None, on_unknown: bool
) -> tuple[bool, str]:
    """Return whether the writers may be let go, and why.

    :param found: the switchover as the gate finds it.
    :param last: the evidence of the last switchover of this run, empty for none.
    :param caught_up: the state of the task before the switchover.
    :param on_unknown: let them go even so.
    """
    outcome, side = last.get("outcome"), _at_end(last)["side"]
    if not last and (found.state in NEVER_STARTED or (found.state == "skipped" and caught_up in NEVER_RAN)):
        return True, "there was no switchover"
    # With these it is known whether DRS has switched. What it has reported as failed leaves the address where it leads.
    if last and outcome in {protocol.Phase.DONE, protocol.Phase.FAILED, *protocol.UNCHANGED}:
        return True, f"the outcome of {last['task_id']} is {outcome!r}"
    if last.get("decided_by") == "person":
        return True, f"the outcome of {last['task_id']} is {outcome!r}, and a person has marked it success"
    if side:
        return True, f"the outcome of {last['task_id']} is {outcome!r}, and by the witness {side!r} serves"
    text = (
        f"the outcome of {last['task_id']} is {outcome!r}" if last else without_evidence(found.switchover, found.state)
    )
    return on_unknown, text


def told_to_thaw(job_id: str, mode: str, last: Mapping[str, Any]) -> dict[str, Any]:
    """Return what thaw gets: the evidence of the last switchover, with the keys that it may rely on."""
    witness = {"at_start": NOBODY, "decided": False, **(last.get("witness") or {}), "at_end": _at_end(last)}
    return {"job_id": job_id, "mode": mode, "outcome": NOT_STARTED, **last, "witness": witness}


def _at_end(evidence: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return who serves by the witness, once the switchover was over."""
    return {**NOBODY, **((evidence.get("witness") or {}).get("at_end") or {})}


class FreezeGate(JoinGate):
    """Runs right before the writers are stopped: where it has not succeeded, nothing has stopped them.

    The XCom return value is what ``ready`` has found.

    :param ready: id of that task.
    """

    ui_color = "#f4dfd0"

    def __init__(
        self, *, ready: str, retries: int = RETRIES, retry_delay: timedelta = RETRY_DELAY, **kwargs: Any
    ) -> None:
        super().__init__(retries=retries, retry_delay=retry_delay, **kwargs)
        self.ready = ready

    def execute(self, context: Context) -> Any:
        """Return the last sample of the job, and note that what follows stops the writers (anew)."""
        self._join(context)
        ti = context["ti"]
        ti.xcom_push(key=FROZEN_KEY, value=protocol.utc(time.time()))
        return ti.xcom_pull(task_ids=self.ready, map_indexes=map_index_of(context))


class ThawGate(SwitchoverResultOperator):
    """Lets ``thaw`` run once all before it has ended, however it did, and ``freeze`` may have begun.

    Where nobody knew at the end of the switchover which side serves, it asks the witness again. It fails where nobody
    knows still: the writers stay stopped until a person has looked. The XCom return value, also of one that fails, is
    what ``thaw`` gets: the evidence of the last switchover of the job in this run. It always has ``job_id``, ``mode``,
    ``outcome`` and ``witness``.

    :param job_id: the job (templated).
    :param mode: of the switchover (templated).
    :param freeze_gate: id of the task before ``freeze``.
    :param freeze: ids of the tasks of ``freeze``.
    :param caught_up: id of the task before the switchover.
    :param thaw_on_unknown: let the writers go although nobody knows which side serves (templated).
    :param witness: that of the switchover, None for none.
    :param witness_timeout: seconds for which it is asked at most.
    """

    template_fields: Sequence[str] = ("job_id", "mode", "thaw_on_unknown")

    def __init__(
        self,
        *,
        job_id: str,
        mode: str,
        freeze_gate: str,
        freeze: Sequence[str],
        caught_up: str,
        thaw_on_unknown: bool | str = False,
        witness: Witness | None = None,
        witness_timeout: float = 60,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_unless_templated(protocol.flag, "thaw_on_unknown", thaw_on_unknown)
        self.job_id = job_id
        self.mode = mode
        self.freeze_gate = freeze_gate
        self.freeze = list(freeze)
        self.caught_up = caught_up
        self.thaw_on_unknown = thaw_on_unknown
        self.witness = witness
        self.witness_timeout = witness_timeout

    def execute(self, context: Context) -> dict[str, Any]:
        """Return what ``thaw`` gets.

        :raises AirflowSkipException: ``freeze`` has not begun.
        :raises AirflowFailException: nobody knows which side serves.
        """
        index, ti = map_index_of(context), context["ti"]
        found = self.situation(context, self.freeze)
        frozen = states_of(context, self.freeze_gate).get(index, NOT_KNOWN) == "success"
        if not frozen and set((found.verification or {}).values()) <= NEVER_RAN:
            raise AirflowSkipException("Nothing to thaw: freeze has not begun")
        last = self._last(context, found)
        caught_up = states_of(context, self.caught_up).get(index, NOT_KNOWN)
        on_unknown = protocol.flag("thaw_on_unknown", self.thaw_on_unknown)
        known, _ = decide_thaw(found, last, caught_up=caught_up, on_unknown=False)
        if not known:
            last = self._look_again(context, last)
        evidence = told_to_thaw(self.job_id, self.mode, last)
        ti.xcom_push(key="return_value", value=evidence)
        let_go, reason = decide_thaw(found, last, caught_up=caught_up, on_unknown=on_unknown)
        if not let_go:
            raise AirflowFailException(
                f"The writers stay stopped: {reason}, and nobody tells which side serves. Find out which, see "
                f"the runbook ({see('runbook')}); then mark this task success, and thaw runs"
            )
        self.log.info("Letting the writers go: %s", reason)
        ti.xcom_push(key=LET_GO_KEY, value=ti.xcom_pull(task_ids=self.freeze_gate, key=FROZEN_KEY, map_indexes=index))
        return evidence

    def _look_again(self, context: Context, last: Mapping[str, Any]) -> dict[str, Any]:
        """Return the evidence with who serves now, by the witness of the switchover.

        A rollback has a witness of its own, whose words are the other way round.
        """
        if self.witness is None or last.get("task_id") != self.switchover:
            return dict(last)
        return protocol.look_later(
            dict(last), WitnessLooks(rendered(self.witness, self, context)), self.witness_timeout
        )

    def _last(self, context: Context, found: Situation) -> dict[str, Any]:
        """Return the evidence of the switchover that decides which side serves, empty where there is none."""
        last = dict(found.last or found.evidence)
        if not last or last["task_id"] == self.switchover:
            return with_decision(last, found.state) if last else {}
        return with_decision(last, states_of(context, last["task_id"]).get(last.get("map_index", -1), NOT_KNOWN))


class Stopped:
    """What stops the writers of a cutover, and waits until nothing lags behind any more.

    :param freeze: what stops them.
    :param gates: the tasks that let it through.
    :param ready: id of the task whose samples it takes.
    :param catching_up: arguments for the sensor that waits.
    :param passed: the trigger rule of a gate.
    :raises ValueError: the DAG, or a trigger rule, could leave the writers stopped, or stop them too early.
    """

    def __init__(
        self,
        freeze: Any,
        gates: Sequence[BaseOperator],
        ready: str,
        catching_up: Mapping[str, Any],
        passed: Mapping[str, Any],
    ) -> None:
        if gates[0].dag.dagrun_timeout is not None:
            raise ValueError("dagrun_timeout of the DAG could skip thaw, and leave the writers stopped: take it away")
        self.gate = FreezeGate(task_id="freeze_gate", ready=ready, **passed)
        list(gates) >> self.gate
        self.given = GivenTasks("freeze", freeze, after=self.gate)
        self.given.check_that_a_skipped_gate_skips_them()
        self.caught_up = DrsJobReadySensor(task_id="caught_up", max_lag=0, **catching_up)
        self.given.all_but_setups() >> self.caught_up

    def thaw_gate(self, switchover: DrsSwitchoverOperator, before: Sequence[AnyOperator], **options: Any) -> ThawGate:
        """Return what lets ``thaw`` run once all of this, and all of ``before``, has ended."""
        gate = ThawGate(
            task_id="thaw_gate",
            switchover=switchover.task_id,
            mode=switchover.mode,
            freeze_gate=self.gate.task_id,
            freeze=[t.task_id for t in self.given.tasks],
            caught_up=self.caught_up.task_id,
            witness=switchover.witness,
            witness_timeout=switchover.witness_timeout,
            trigger_rule=TriggerRule.ALL_DONE,
            **options,
        )
        switchover.freeze_task_ids = (self.gate.task_id, gate.task_id)
        [self.gate, *self.given.all_but_setups(), self.caught_up, *before] >> gate
        return gate
