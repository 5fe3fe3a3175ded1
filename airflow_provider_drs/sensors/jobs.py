"""The sensors that wait for jobs: until they are ready to be cut over, or have a certain status."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_drs import protocol, triggers
from airflow_provider_drs.exceptions import DrsJobFailedError
from airflow_provider_drs.sensors.base import DrsSensor
from airflow_provider_drs.task import TRIGGERER_SLACK, Limits, check_flags, checked_now, seconds

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, PokeReturnValue

    from airflow_provider_drs.triggers.base import DrsTrigger

MAX_STAY = 5.0


def _samples(name: str, value: object) -> int:
    return int(protocol.number(name, value, at_least=1, whole=True))


class DrsJobsSensor(DrsSensor):
    """Base of the sensors that wait for jobs; a kind of sensor says how the jobs should be."""

    _wanted: protocol.JobsCondition
    _triggerer_slack = TRIGGERER_SLACK

    def __init__(self, *, failure_grace: timedelta | float = timedelta(minutes=5), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.failure_grace = seconds("failure_grace", failure_grace)

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Poll once; where reschedule mode cannot save what was seen (before Airflow 3.3), until that is settled.

        :return: the XCom when all jobs are as they should be, False while they are not.
        """
        done = super().poke(context)
        while not done and self.reschedule and self._is_unsettled() and context.get("task_state_store") is None:
            self._runtime.sleep(min(self._delay, MAX_STAY))
            done = super().poke(context)
        return done

    def _is_unsettled(self) -> bool:
        """Tell whether the next polls count on what this one saw: samples in a row, or how long a failure stands."""
        return bool(self._wait.memory.samples or self._wait.memory.failing)

    def _trigger(self) -> DrsTrigger:
        # A deferred wait ends by itself, so that its time-out can tell what was seen at last.
        deadline = self._runtime.now() + self.timeout if self.deferrable else None
        wanted = replace(self._wanted, deadline=deadline)
        return triggers.DrsJobsTrigger(wanted=wanted.to_dict(), **self._trigger_kwargs())

    def _at_last(self) -> str:
        return self._wait.at_last if self._wait else ""

    def _ended(self, event: dict[str, Any]) -> dict[str, Any]:
        if event["outcome"] == protocol.Outcome.FAILED:
            raise DrsJobFailedError(event["jobs"])
        return dict(event["result"])


class DrsJobReadySensor(DrsJobsSensor):
    """Waits until jobs can be cut over: all in INCRE_TRANSFER_STARTED, their lag within a limit, and both for a while.

    One request of each kind asks for up to 100 jobs. A job that was stopped ends the wait at once, and so does one that
    DRS does not list. One that failed has ``failure_grace`` to recover. A lag that DRS does not tell ("-1" before
    incremental transfer runs) is never within the limit. ``docs/gates.md`` has the details.
    DRS API, "Querying Task Statuses" and "Querying the Task Progress".

    The XCom return value is the last sample of each job: ``{job_id: {status, lag, at}}``, the lag in seconds, the time
    in UTC, ISO 8601.

    :param job_ids: the jobs (templated): a list, also as text: with commas between, in JSON or as Python writes it.
    :param job_id: the job, where it is one (templated).
    :param max_lag: seconds or timedelta a job may lag behind (templated); default 0; None in the DAG file: any lag that
        is known.
    :param stable_samples: polls in a row that must find all jobs ready (templated); default 3.
    :param failure_grace: seconds or timedelta that a job may stay in a status that ends in _FAILED before it fails the
        task, because DRS resumes some jobs by itself; default 5 minutes.

    The other parameters are those of :class:`~airflow_provider_drs.sensors.base.DrsSensor` and of every sensor.
    ``soft_fail`` skips on a timeout and on a failed job, never on an error in talking to DRS.

    :raises DrsJobFailedError: a job failed or was stopped; not retried.
    :raises DrsJobNotFoundError: DRS does not list a job.
    :raises AirflowSensorTimeout: not ready within ``timeout``.
    :raises DrsError: DRS or IAM cannot be asked.
    """

    label = "{{ task.job_id or task.job_ids }}"
    template_fields: Sequence[str] = ("job_ids", "job_id", "max_lag", "stable_samples", "project_id", "drs_conn_id")

    def __init__(
        self,
        *,
        job_ids: Sequence[str] | str | None = None,
        job_id: str | None = None,
        max_lag: timedelta | float | str | None = timedelta(0),
        stable_samples: int | str = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (job_ids is None) == (job_id is None):
            raise ValueError("give either job_ids or job_id")
        if isinstance(stable_samples, (int, float)):
            checked_now(_samples, "stable_samples", stable_samples)
        self._one = job_ids is None
        self.job_ids = job_ids
        self.job_id = job_id
        self.max_lag = max_lag
        self.stable_samples = stable_samples
        self._limits = Limits(self, max_lag=max_lag)

    def _check(self, context: Context) -> str | None:
        ids = [protocol.checked_job_id(self.job_id)] if self._one else protocol.checked_job_ids(self.job_ids)
        self._wanted = protocol.JobsCondition(
            tuple(ids),
            (protocol.HEALTHY,),
            protocol.usual_failures((protocol.HEALTHY,)),
            needs_lag=True,
            max_lag=self._limits.seconds("max_lag", self.max_lag),
            stable_samples=_samples("stable_samples", self.stable_samples),
            failure_grace=self.failure_grace,
        )
        return ids[0] if len(ids) == 1 else None

    def _ended(self, event: dict[str, Any]) -> dict[str, Any]:
        return dict(super()._ended(event)["samples"])

    def _subject(self) -> str:
        ids = self.job_id or self.job_ids
        return f"job {ids} to be ready" if isinstance(ids, str) else f"{len(ids or ())} jobs to be ready"


class DrsJobStatusSensor(DrsJobsSensor):
    """Waits until a job has one of certain statuses.

    DRS API, "Querying Task Statuses".

    The XCom return value is ``{job_id, status, first_polled_at, done_at, polls}``, the times in UTC, ISO 8601.

    :param job_id: the job (templated).
    :param target_statuses: the statuses to wait for (templated): one, or a list in the forms of ``job_ids`` above.
    :param failure_statuses: the statuses that fail the task, at once (templated); None, or what renders to nothing: the
        stopped ones unless one of those is a target, at once, and the failed ones after ``failure_grace``; an empty
        list: none. A status that is not documented is waited out.
    :param failure_grace: as for :class:`DrsJobReadySensor`.
    :param allow_unknown_statuses: take statuses that this version does not know, such as those of a newer DRS. Without
        it, a misspelt one fails the task at once.

    The other parameters are those of :class:`~airflow_provider_drs.sensors.base.DrsSensor` and of every sensor.
    ``soft_fail`` skips on a timeout and on a failed job, never on an error in talking to DRS.

    :raises DrsJobFailedError: the job has one of ``failure_statuses``; not retried.
    :raises DrsJobNotFoundError: DRS does not list the job.
    :raises AirflowSensorTimeout: none of the statuses within ``timeout``.
    :raises DrsError: DRS or IAM cannot be asked.
    """

    template_fields: Sequence[str] = ("job_id", "target_statuses", "failure_statuses", "project_id", "drs_conn_id")

    def __init__(
        self,
        *,
        job_id: str,
        target_statuses: Iterable[str] | str,
        failure_statuses: Iterable[str] | str | None = None,
        allow_unknown_statuses: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        self.target_statuses = target_statuses
        self.failure_statuses = failure_statuses
        check_flags(allow_unknown_statuses=allow_unknown_statuses)
        self.allow_unknown_statuses = allow_unknown_statuses

    def _check(self, context: Context) -> str:
        unknown = self.allow_unknown_statuses
        targets = protocol.checked_statuses("target_statuses", self.target_statuses, allow_unknown=unknown)
        failures, grace = protocol.usual_failures(targets), self.failure_grace
        given = protocol.items("failure_statuses", self.failure_statuses)
        if given is not None:
            failures, grace = (), 0.0
            if given:
                failures = protocol.checked_statuses("failure_statuses", given, allow_unknown=unknown)
        ids = (protocol.checked_job_id(self.job_id),)
        self._wanted = protocol.JobsCondition(ids, targets, failures, failure_grace=grace, no_error=True)
        return self.job_id

    def _ended(self, event: dict[str, Any]) -> dict[str, Any]:
        result = super()._ended(event)
        status = result.pop("samples")[self.job_id]["status"]
        return {"job_id": self.job_id, "status": status, **result}

    def _subject(self) -> str:
        return f"job {self.job_id} to become {self.target_statuses}"
