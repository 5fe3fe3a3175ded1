"""The sensor that waits for a switchover of virtual IP addresses."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException, Param
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_drs import protocol, running, triggers
from airflow_provider_drs.sensors.base import DrsSensor
from airflow_provider_drs.task import check_flags

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_drs.triggers.base import DrsTrigger

ANY_SWITCHOVER = "any"
# What a subclass may change about the end of a task, and a worker only would call.
_ENDINGS = ("execute_complete", "resume_execution", "_ended")
# What a template may ask for that Airflow's triggerer has no answer to: it would hang until the timeout.
_UNANSWERED = (
    r"prev_\w+_success|task_state_store|inlet_events|get_previous|get_first_reschedule_date|"
    r"xcom_pull(?!.*map_indexes\s*=(?!\s*None))"
)


class DrsSwitchoverSensor(DrsSensor):
    """Waits until DRS says that a job's switchover of virtual IP addresses is complete; fails when it failed.

    The same in poke, reschedule and deferrable mode. ``docs/sensor.md`` lists what each response of DRS comes to.
    DRS API, "Querying the Switchover Result".

    The XCom return value is ``{job_id, status, first_polled_at, done_at, polls}``, the times in UTC, ISO 8601.

    :param job_id: the job (templated); of a cross-AZ job, the parent's. May be left out with ``switchover``.
    :param switchover: the XCom of a ``DrsSwitchoverOperator`` with ``wait_for_completion=False`` (templated): wait for
        that switchover, so that a result left over from an earlier one is not taken for it. After a dry run the wait
        is skipped; where traffic was found there already, it is over at once, without a poll.
    :param verify_job_id: fail when the response is about another job; False for a cross-AZ parent that responds with a
        child's id.
    :param end_from_trigger: when deferred, let the triggerer end the task once the switchover is complete, without
        another start of a worker. None (default): unless the task has outlets, an ``on_success_callback``, a
        ``post_execute``, an end of its own in a subclass or tasks mapped over its output, or OpenLineage is on: a
        worker only takes care of all that.
    :param start_from_trigger: begin in the triggerer, so that no worker starts at all (Airflow 3.3+; before, and for
        mapped tasks, it means ``deferrable=True``). Templates are rendered in the triggerer: no ``.output`` of a task,
        no ``xcom_pull`` without ``map_indexes``, no params without a default.

    The other parameters are those of :class:`~airflow_provider_drs.sensors.base.DrsSensor` and of every sensor.
    ``soft_fail`` skips on a timeout and on a failed switchover, never on an error in talking to DRS.

    :raises DrsSwitchoverFailedError: DRS says that the switchover failed; not retried.
    :raises DrsSwitchoverUnknownError: with ``switchover``: it cannot be told whether it took place; not retried.
    :raises AirflowSensorTimeout: no end within ``timeout``.
    :raises DrsError: DRS or IAM cannot be asked, or responds with what a wait cannot go on with.
    """

    template_fields: Sequence[str] = ("job_id", "project_id", "drs_conn_id", "switchover")

    def __init__(
        self,
        *,
        job_id: str | None = None,
        switchover: Any = ANY_SWITCHOVER,
        verify_job_id: bool = True,
        end_from_trigger: bool | None = None,
        start_from_trigger: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        # None is what an upstream task without a record renders to; it must not pass for "any switchover".
        self._bound = switchover is not ANY_SWITCHOVER
        self.switchover = switchover if self._bound else None
        check_flags(verify_job_id=verify_job_id, start_from_trigger=start_from_trigger)
        if end_from_trigger is not None:
            check_flags(end_from_trigger=end_from_trigger)
        self.verify_job_id = verify_job_id
        self.end_from_trigger = end_from_trigger
        if start_from_trigger:
            self._start_from_trigger()

    def _check(self, context: Context) -> str:
        if self._bound:
            self.switchover = protocol.mapping("switchover", self.switchover)
            if self.switchover is None:
                raise protocol.DrsArgumentError("switchover is None: the task it comes from left no record of one")
            if self.switchover.get("dry_run") is True:
                raise AirflowSkipException(
                    "The switchover was a dry run: nothing was asked, there is nothing to wait for"
                )
            meant: Any = self.switchover.get("job_id")
            self.job_id = protocol.optional_id("job_id", self.job_id) or meant
            if protocol.found_already(self.switchover) is None:
                self._freshness()
            if self.job_id != meant:
                raise protocol.DrsArgumentError(f"job_id is {self.job_id!r}, the switchover is of job {meant!r}")
        return protocol.checked_job_id(self.job_id)

    def _over(self) -> dict[str, Any] | None:
        return protocol.found_already(self.switchover) if self._bound else None

    def _trigger(self, started_here: bool = False) -> DrsTrigger:
        freshness = self._freshness()
        return triggers.DrsSwitchoverTrigger(
            job_id=str(self.job_id),
            verify_job_id=self.verify_job_id,
            freshness=freshness.to_dict() if freshness else None,
            end_from_trigger=self._ends_from_trigger(started_here),
            started_here=started_here,
            **self._trigger_kwargs(),
        )

    def _ends_from_trigger(self, started_here: bool) -> bool | None:
        """Tell whether nothing is left for a worker to do once the switchover is complete; None: the trigger looks."""
        ends = running.may_end(self, DrsSwitchoverSensor, _ENDINGS, self.end_from_trigger)
        if ends is not None:
            return ends
        # While the DAG file is read, what follows on this task is not known yet.
        return None if started_here else not running.needs_a_worker(self)

    def _start_from_trigger(self) -> None:
        """Set up the start in the triggerer; refuse what would hang there, or be taken literally."""
        # Loaded only by the DAG files that ask for it.
        from airflow.triggers.base import StartTriggerArgs

        if self._bound:
            raise ValueError("start_from_trigger does not go with switchover, which only a worker can read")
        for name in ("job_id", "project_id", "drs_conn_id"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise ValueError(f"start_from_trigger takes text or a template as {name}, not {type(value).__name__}")
            if re.search(_UNANSWERED, value or "", re.DOTALL):
                raise ValueError(
                    f"start_from_trigger: Airflow's triggerer never answers what {name} asks for in {value!r}. "
                    "Give xcom_pull the map_indexes (-1 for a task that is not mapped), or leave start_from_trigger out"
                )
        known: list[Any] = [self.params, self.dag.params] if self.has_dag() else [self.params]
        nothing = Param().value
        bare = sorted({name for params in known for name in params if params.get_param(name).value is nothing})
        if bare:
            raise ValueError(
                f"start_from_trigger: Airflow's triggerer dies of a param without a default ({', '.join(bare)}). "
                "Give it one, such as an empty string, or leave start_from_trigger out"
            )
        self.deferrable = True
        if not AIRFLOW_V_3_3_PLUS:
            warnings.warn(
                "start_from_trigger needs Airflow 3.3; the task defers from a worker instead", UserWarning, stacklevel=3
            )
            return
        self.start_from_trigger = True
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls="airflow_provider_drs.triggers.drs.DrsSwitchoverTrigger",
            trigger_kwargs=self._trigger(started_here=True).serialize()[1],
            next_method="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    def _ended(self, event: dict[str, Any]) -> dict[str, Any]:
        if event["outcome"] == protocol.Outcome.FAILED:
            failed = running.DrsSwitchoverFailedError(**event["switchover"])
            self._log_failure(failed.job_id, failed.error_code, failed.error_msg)
            raise failed
        if event["outcome"] == protocol.Outcome.UNDECIDED:
            raise running.DrsSwitchoverUnknownError(str(self.job_id), event["reason"])
        return dict(event["result"])

    def _of_an_earlier_try(self, saved: dict[str, Any]) -> dict[str, Any]:
        """Return what was seen of the same switchover: a try that could not push its XCom has seen it end."""
        meant = self._meant()
        if not meant or any(saved.get(name) != value for name, value in meant.items()):
            return {}
        return {name: saved[name] for name in ("observed", "last_good_at", "last_seen", "started", "progress")}

    def _meant(self) -> dict[str, Any]:
        posted = self.switchover.get("posted_at") if isinstance(self.switchover, dict) else None
        return {"posted_at": posted} if posted else {}

    def _never_skipped(self) -> tuple[type[Exception], ...]:
        return (running.DrsSwitchoverUnknownError,)

    def _named_jobs(self) -> Any:
        return self.job_id or (protocol.mapping("switchover", self.switchover) or {}).get("job_id")

    def _subject(self) -> str:
        return f"the switchover of job {self.job_id}"

    def _freshness(self) -> protocol.Freshness | None:
        """Return which switchover is meant, from the operator's XCom."""
        return protocol.freshness_of(self.switchover) if self._bound else None
