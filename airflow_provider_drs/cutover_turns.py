"""The tasks of a fleet: which jobs there are, whose turn it is, how each has ended, and what came of all of them.

Private to this package; :func:`~airflow_provider_drs.cutover_fleet.fleet_cutover` makes these tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
    BaseSensorOperator,
)

from airflow_provider_drs import protocol
from airflow_provider_drs.cutover_results import FINISHED, NOT_STARTED, RETRIES, RETRY_DELAY, map_index_of
from airflow_provider_drs.run_evidence import evidence_of, states_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

WELL = "success"


def turn_of(
    place: int, over: Mapping[int, str | None], *, at_once: int, stop_after: int, canary: int
) -> tuple[bool | None, str]:
    """Return whether a job may start: True, False for not yet, None for never; and why.

    The jobs start in their order, so that no two of them can take the same turn.

    :param place: of the job in the list, from 0.
    :param over: how the cutovers of the jobs that have ended have ended: the states of their last tasks.
    """
    bad = [other for other, state in over.items() if state not in (WELL, "skipped")]
    if len(bad) >= stop_after:
        return None, f"{len(bad)} of the jobs have ended otherwise than well"
    if place >= canary:
        canaries = [over.get(other, "") for other in range(canary)]
        if any(state not in (WELL, "") for state in canaries):
            return None, "a canary has not ended well"
        if "" in canaries:
            return False, "the canaries have not ended"
    running = sum(other not in over for other in range(place))
    return running < at_once, f"{running} of the jobs before it have not ended"


class FleetJobs(BaseOperator):
    """Tells which jobs there are. The XCom return value is the list of their ids.

    :param jobs: a list, also as text, or the output of another task (templated).
    """

    template_fields: Sequence[str] = ("jobs",)
    ui_color = "#f4dfd0"

    def __init__(self, *, jobs: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.jobs = jobs

    def execute(self, context: Context) -> list[str]:
        """Return the ids.

        :raises DrsArgumentError: there are none, one is no id, or one is there twice.
        """
        found = [str(protocol.given("jobs", each)).strip() for each in protocol.items("jobs", self.jobs) or []]
        protocol.given("jobs", found or None)
        if twice := sorted({each for each in found if found.count(each) > 1}):
            raise protocol.DrsArgumentError(f"jobs has {', '.join(twice)} more than once: a job is switched once")
        return found


class FleetTurnSensor(BaseSensorOperator):
    """Waits until it is the turn of its job, and is skipped where that will never be.

    :param done: id of the last task of a cutover.
    :param ended: id of the task that runs once all of a cutover has ended.
    """

    ui_color = "#e2f0ea"

    def __init__(
        self,
        *,
        done: str,
        ended: str,
        limits: Mapping[str, int],
        retries: int = RETRIES,
        retry_delay: timedelta = RETRY_DELAY,
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=retries, retry_delay=retry_delay, **kwargs)
        self.done = done
        self.ended = ended
        self.limits = dict(limits)

    def poke(self, context: Context) -> bool:
        """Tell whether the job may start.

        :raises AirflowSkipException: it never will.
        """
        done, ended = states_of(context, self.done), states_of(context, self.ended)
        over = {place: done.get(place) for place, state in ended.items() if place >= 0 and state in FINISHED}
        go, reason = turn_of(map_index_of(context), over, **self.limits)
        if go is None:
            raise AirflowSkipException(f"Not started: {reason}")
        self.log.info("%s: %s", "Starting" if go else "Waiting", reason)
        return go


class FleetRow(BaseOperator):
    """Runs once all of a cutover has ended, however it did. The XCom return value is its row of the table.

    :param job_id: the job (templated).
    :param switchover: id of the switchover.
    :param done: id of the last task of the cutover.
    """

    template_fields: Sequence[str] = ("job_id",)
    ui_color = "#f4dfd0"

    def __init__(
        self,
        *,
        job_id: str,
        switchover: str,
        done: str,
        retries: int = RETRIES,
        retry_delay: timedelta = RETRY_DELAY,
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=retries, retry_delay=retry_delay, **kwargs)
        self.job_id = job_id
        self.switchover = switchover
        self.done = done

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the row: ``{job_id, state, outcome, evidence}``."""
        index = map_index_of(context)
        evidence = evidence_of(context, self.switchover, index)
        plan = None if evidence else context["ti"].xcom_pull(task_ids=self.switchover, map_indexes=index)
        state = states_of(context, self.done).get(index)
        return row(self.job_id, state, evidence or plan or {})


def row(job_id: str, state: str | None, evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return one row of the table.

    :param state: of the last task of the job's cutover: ``success`` says that it is done.
    :param evidence: of its switchover, the plan of a dry run, or empty.
    """
    outcome = evidence.get("outcome", "planned" if evidence.get("dry_run") else NOT_STARTED)
    return {"job_id": job_id, "state": state, "outcome": outcome, "evidence": dict(evidence)}


class FleetSummary(BaseOperator):
    """Runs once all jobs have ended. The XCom return value is the table: one row for each job, in their order.

    It fails unless all are done, so that what comes after the fleet does not run.

    :param jobs: id of the task that tells which jobs there are.
    :param ended: id of the task that has the row of each.
    """

    ui_color = "#f4dfd0"

    def __init__(
        self,
        *,
        jobs: str,
        ended: str,
        retries: int = RETRIES,
        retry_delay: timedelta = RETRY_DELAY,
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=retries, retry_delay=retry_delay, **kwargs)
        self.jobs = jobs
        self.ended = ended

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Return the table.

        :raises AirflowFailException: a job is not done; the table is in XCom nevertheless. Or nothing tells which jobs
            there are: none was started.
        """
        ti = context["ti"]
        jobs: Sequence[str] = ti.xcom_pull(task_ids=self.jobs, map_indexes=-1) or []
        if not jobs:
            raise AirflowFailException(f"No job was started: {self.jobs} did not tell which there are; see its log")
        table = [
            ti.xcom_pull(task_ids=self.ended, map_indexes=place) or row(job_id, None, {})
            for place, job_id in enumerate(jobs)
        ]
        for each in table:
            self.log.info("%s: %s (%s)", each["job_id"], each["outcome"], each["state"])
        ti.xcom_push(key="return_value", value=table)
        others = [f"{each['job_id']} ({each['outcome']})" for each in table if each["state"] != WELL]
        if others:
            raise AirflowFailException(f"{len(others)} of {len(table)} jobs are not done: {', '.join(others)}")
        return table
