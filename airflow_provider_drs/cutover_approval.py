"""The tasks that ask a person before a switchover: what they show is what the person decides by.

Private to this package. Loaded only where something is to be approved: Airflow before 3.1 has no ``ApprovalOperator``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseSensorOperator
from airflow.providers.standard.operators.hitl import ApprovalOperator

from airflow_provider_drs import protocol
from airflow_provider_drs.cutover_results import FINISHED, map_index_of
from airflow_provider_drs.links.drs import DrsConsoleLink
from airflow_provider_drs.notifications import DrsCutoverMessage
from airflow_provider_drs.params import mode_in_words
from airflow_provider_drs.run_evidence import states_of
from airflow_provider_drs.versions import earlier_pokes
from airflow_provider_drs.witness import Witness, look, rendered

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# The list of what waits for an answer cuts a subject off after about 45 characters: what differs comes first.
SHOWN_OF_ID = 5
LONGEST_ID_SHOWN = 16
NOT_TOLD = "not known: Airflow does not tell now"
ANSWERS = "**Approve** switches once. **Reject** switches nothing."
Rows = Sequence[tuple[str, str]]


class CutoverApproval(ApprovalOperator):
    """Asks whether one job may be switched, and shows what is known of it by then.

    :param job_id: the job (templated).
    :param mode: ``source`` or ``target`` (templated).
    :param max_lag: seconds or timedelta, the limit of the switchover's guard (templated); None: any lag that is known.
    :param ready: id of the task that has found the job ready.
    :param comparison: id of the task that compares, None for none.
    :param compare: what it compares.
    :param witness: who answers at the virtual IP address; asked once, None for none.
    :param freezes: whether the writers are stopped after the approval.
    :param subject: instead of the one made here (templated).
    :param body: likewise (templated).
    """

    template_fields: Collection[str] = (*ApprovalOperator.template_fields, "job_id", "mode", "max_lag")

    def __init__(
        self,
        *,
        job_id: str,
        mode: str,
        max_lag: Any,
        ready: str,
        comparison: str | None = None,
        compare: str | None = None,
        witness: Witness | None = None,
        freezes: bool = False,
        subject: str = "",
        body: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(subject=subject, body=body, **kwargs)
        self.job_id = job_id
        self.mode = mode
        self.max_lag = max_lag
        self.ready = ready
        self.comparison = comparison
        self.compare = compare
        self.witness = witness
        self.freezes = freezes

    def execute(self, context: Context) -> Any:
        """Ask, and wait for the answer."""
        self.subject = self.subject or f"mode {self.mode}: job {_short(str(self.job_id))}"
        self.body = self.body or table([*self._rows(context), *_afterwards(self.witness, self.freezes)])
        return super().execute(context)

    def _rows(self, context: Context) -> Rows:
        return [
            ("Job", _code(self.job_id)),
            _mode_row(self.mode),
            ("Who serves now", self._who_serves(context)),
            ("Lag", self._lag(context)),
            ("Comparison", self._comparison(context)),
            ("DRS console", self._console(context)),
        ]

    def _pull(self, context: Context, task_id: str, key: str = "return_value") -> Any:
        return context["ti"].xcom_pull(task_ids=task_id, key=key, map_indexes=map_index_of(context))

    def _who_serves(self, context: Context) -> str:
        if self.witness is None:
            return "not known: this cutover has no witness, and DRS does not tell"
        seen = look(rendered(self.witness, self, context))
        return f"the witness says: {seen} (at {_time(protocol.utc(seen.at))})"

    def _lag(self, context: Context) -> str:
        limit = "any that is known" if self.max_lag is None else f"{protocol.seconds('max_lag', self.max_lag):g} s"
        try:
            sample = (self._pull(context, self.ready) or {}).get(self.job_id) or {}
        except Exception:  # whatever Airflow raises while its API server is away: a person can still be asked
            return f"{NOT_TOLD}; limit: {limit}"
        lag = f"{sample['lag']:g} s at {_time(sample['at'])}" if sample.get("lag") is not None else "not known"
        return f"{lag}; limit: {limit}"

    def _comparison(self, context: Context) -> str:
        if self.comparison is None:
            return "not asked for"
        try:
            states = states_of(context, self.comparison)
        except Exception:  # likewise
            return NOT_TOLD
        state = states.get(map_index_of(context), states.get(-1))
        if state == "success":
            return f"done: no difference found ({self.compare})"
        if state == "skipped":
            return f"**skipped**: DRS does not compare this job ({self.compare})"
        return f"{self.compare}: {state or 'not known'}"

    def _console(self, context: Context) -> str:
        try:
            address = self._pull(context, self.ready, DrsConsoleLink.key)
        except Exception:  # likewise
            return NOT_TOLD
        return f"[page of the job]({_address(address)})" if address else "no address known: see the connection"


class FleetApproval(ApprovalOperator):
    """Asks once whether many jobs may be switched.

    :param jobs: id of the task that tells which jobs there are.
    :param mode: ``source`` or ``target`` (templated).
    :param limits: ``at_once``, ``stop_after`` and ``canary``.
    :param subject: instead of the one made here (templated).
    :param body: likewise (templated).
    """

    template_fields: Collection[str] = (*ApprovalOperator.template_fields, "mode")

    def __init__(
        self,
        *,
        jobs: str,
        mode: str,
        limits: Mapping[str, int],
        witness: Witness | None = None,
        freezes: bool = False,
        subject: str = "",
        body: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(subject=subject, body=body, **kwargs)
        self.jobs = jobs
        self.mode = mode
        self.limits = dict(limits)
        self.witness = witness
        self.freezes = freezes

    def execute(self, context: Context) -> Any:
        """Ask, and wait for the answer."""
        if not self.subject or not self.body:
            found: Sequence[str] = context["ti"].xcom_pull(task_ids=self.jobs, map_indexes=-1)
            self.subject = self.subject or f"mode {self.mode}: {len(found)} DRS jobs"
            self.body = self.body or table([*self._rows(found), *_afterwards(self.witness, self.freezes)])
        return super().execute(context)

    def _rows(self, found: Sequence[str]) -> Rows:
        first = f"the first {self.limits['canary']} must be done before the others; " if self.limits["canary"] else ""
        return [
            (f"Jobs ({len(found)})", ", ".join(_code(job_id) for job_id in found)),
            _mode_row(self.mode),
            ("Order", f"{first}{self.limits['at_once']} at a time"),
            ("No more start", f"once {self.limits['stop_after']} have not gone well"),
            ("Lag, comparison", "waited for and made for each job after your answer"),
        ]


class ApprovalReminder(BaseSensorOperator):
    """Tells, once, that an approval has been waited for longer than it should. It ends with the approval.

    :param approval: id of the task that asks.
    :param job_id: the job (templated), None for a fleet.
    :param switch_mode: ``source`` or ``target`` (templated).
    :param remind: takes a :class:`~airflow_provider_drs.notifications.DrsCutoverMessage`.
    :param after: how long an answer may take.
    """

    template_fields: Collection[str] = ("job_id", "switch_mode")

    def __init__(
        self,
        *,
        approval: str,
        job_id: str | None,
        switch_mode: str,
        remind: Callable[[DrsCutoverMessage], Any],
        after: timedelta,
        **kwargs: Any,
    ) -> None:
        # In reschedule mode: it takes a worker's slot only for each look.
        usual = {"mode": "reschedule", "poke_interval": 60, "timeout": timedelta(days=7).total_seconds(), "retries": 2}
        super().__init__(**{**usual, **kwargs})
        self.approval = approval
        self.job_id = job_id
        self.switch_mode = switch_mode
        self.remind = remind
        self.after = after

    def poke(self, context: Context) -> bool:
        """Tell whether there is nothing more to remind of."""
        states = states_of(context, self.approval)
        if states.get(map_index_of(context), states.get(-1)) in FINISHED:
            return True
        _, first = earlier_pokes(context)
        waited = timedelta(seconds=time.time() - first) if first is not None else timedelta(0)
        if waited < self.after:
            return False
        ti = context["ti"]
        asked = {"job_id": self.job_id, "mode": self.switch_mode, "outcome": "begun"}
        run = {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": self.approval}
        self.remind(DrsCutoverMessage({**asked, **run}, waiting_minutes=round(waited.total_seconds() / 60)))
        return True


def table(rows: Rows) -> str:
    """Return rows as Markdown, with the answers below."""
    lines = [f"| {name} | {_cell(text)} |" for name, text in rows]
    return "\n".join(["| | |", "|---|---|", *lines, "", ANSWERS])


def _mode_row(mode: str) -> tuple[str, str]:
    return "Mode", f"{mode_in_words(mode)}. DRS does not document which database serves afterwards."


def _afterwards(witness: Witness | None, freezes: bool) -> Rows:
    """Return what happens between the answer and the request to DRS."""
    asked = ", the switchover status and the witness" if witness is not None else " and the switchover status"
    stops = "the writers are stopped, and a lag of 0 is waited for; then " if freezes else ""
    read = f"the job's state, its lag{asked} are read again, right before the switchover"
    text = f"{stops}{read}. It is asked for only if all are as they must be."
    return [("After your answer", text)]


def _short(job_id: str) -> str:
    return job_id if len(job_id) <= LONGEST_ID_SHOWN else f"…{job_id[-SHOWN_OF_ID:]}"


def _time(at: str) -> str:
    return f"{at[:19].replace('T', ' ')} UTC"


def _code(text: Any) -> str:
    return f"`{str(text).replace('`', '')}`"


def _address(address: str) -> str:
    return "".join(f"%{ord(char):02X}" if char in " ()<>|" else char for char in address)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
