"""What is to be switched, and under which conditions: what the operator hands to ``switch``."""

from __future__ import annotations

from dataclasses import dataclass, field

from airflow_provider_drs.protocol.errors import Json
from airflow_provider_drs.protocol.polling import DEFAULT_TRANSIENT_ERROR_TIMEOUT, Patience
from airflow_provider_drs.protocol.switchover.freshness import DEFAULT_DECIDE_WITHIN, DEFAULT_MAX_GAP, DEFAULT_SETTLE
from airflow_provider_drs.protocol.switchover.record import Record


@dataclass(frozen=True)
class SwitchoverRequest:
    """What is to be switched, and under which conditions.

    :param mode: ``source`` or ``target``: which database's virtual IP address.
    :param max_lag: seconds the job may lag; None: any lag that is known.
    :param attach: join a switchover that is running already.
    :param first_try: no other try of this task in this run can have asked DRS.
    :param timeout: seconds the wait may take, and for which nobody may have watched for an end still to be ours.
    :param max_tries: Airflow's number of tries granted so far, which grows when a person clears the task.
    :param transient_error_timeout: seconds of trouble to wait out before DRS is asked.
    :param leave_after: seconds of trouble after which whoever asks leaves the wait to somebody else; None: never. Where
        DRS has been asked to switch, nobody leaves.
    :param error_context: what errors are about.
    :param superseded_by: the task that has made a later switchover of the job in this run, "" for none.
    :param open_elsewhere: the other task of this run whose switchover of the job is open, "" for none.
    :param order: the number of this switchover among those of the job in this run, from 1.
    :param actor: dag_id, run_id, task_id, try_number, user.
    :param approvals: who approved the switchover.
    :param witness_timeout: seconds for which the witness is asked until two looks agree; None: there is no witness.
    :param already_is_success: traffic that is where it is to go already is a success, and DRS is not asked.
    """

    job_id: str
    mode: str
    max_lag: float | None = None
    attach: bool = False
    settle: float | None = DEFAULT_SETTLE
    decide_within: float = DEFAULT_DECIDE_WITHIN
    verify_job_id: bool = True
    first_try: bool = True
    timeout: float = DEFAULT_MAX_GAP
    max_tries: int = 0
    transient_error_timeout: float = DEFAULT_TRANSIENT_ERROR_TIMEOUT
    leave_after: float | None = None
    error_context: str = ""
    superseded_by: str = ""
    open_elsewhere: str = ""
    order: int = 1
    actor: Json = field(default_factory=dict)
    approvals: list[Json] = field(default_factory=list)
    witness_timeout: float | None = None
    already_is_success: bool = False

    @property
    def subject(self) -> str:
        """How log lines name the job."""
        return f"Job {self.job_id}"

    def patience(self, leave_after: float | None = None) -> Patience:
        """Return a fresh patience for this job.

        :param leave_after: seconds of trouble after which somebody else is to wait; None: never.
        """
        limit, context = self.transient_error_timeout, self.error_context
        return Patience(self.subject, limit, error_context=context, leave_after=leave_after)

    def new_record(self, at: float, earlier: list[Json]) -> Record:
        """Return the record of a switchover that begins now.

        :param earlier: the evidence of those that this task has made in this run before.
        """
        return Record(
            self.job_id,
            self.mode,
            began_at=at,
            settle=self.settle,
            decide_within=self.decide_within,
            timeout=self.timeout,
            max_tries=self.max_tries,
            order=self.order,
            actor=dict(self.actor),
            approvals=list(self.approvals),
            earlier=earlier,
        )
