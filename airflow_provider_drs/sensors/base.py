"""What all sensors of this provider do alike: check, wait in one of three modes, end in the same way."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_provider_drs import lineage, protocol, running
from airflow_provider_drs.task import DrsTask, TaskRuntime, check_flags, deferral_hold, interval, seconds

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_drs.triggers.base import DrsTrigger

MEMORY_KEY = "drs_wait"
DEFAULT_TIMEOUT = timedelta(hours=24)


class DrsSensor(DrsTask, BaseSensorOperator):
    """Base of the sensors; each says what to check, which trigger describes the wait, and how its end is read.

    :param poke_interval: seconds or timedelta between polls; default 5, in reschedule mode 60.
    :param timeout: seconds or timedelta after which to stop waiting, with ``AirflowSensorTimeout``; default 24 hours.

    The other parameters are those of :class:`~airflow_provider_drs.task.DrsTask` and of every sensor. In reschedule
    mode ``timeout`` alone bounds trouble, in place of ``transient_error_timeout``.
    """

    ui_color = "#e2f0ea"
    # Seconds that Airflow waits longer than a trigger that ends by itself at its deadline.
    _triggerer_slack = 0.0

    def __init__(
        self,
        *,
        poke_interval: timedelta | float | None = None,
        timeout: timedelta | float | None = DEFAULT_TIMEOUT,
        **kwargs: Any,
    ) -> None:
        # Airflow's own default for None is seven days.
        timeout = DEFAULT_TIMEOUT if timeout is None else timeout
        given = interval("poke_interval", 5.0 if poke_interval is None else poke_interval)
        super().__init__(poke_interval=given, timeout=seconds("timeout", timeout), **kwargs)
        airflows = ("soft_fail", "silent_fail", "never_fail", "exponential_backoff")
        check_flags(**{name: getattr(self, name) for name in airflows})
        if poke_interval is None and self.reschedule and not self.deferrable:
            self.poke_interval = 60.0
        self._wait: Any = None
        self._kept_runtime: TaskRuntime | None = None
        self._delay = self.poke_interval
        self._remembers = True
        self._has_ended, self._result = False, None

    @abstractmethod
    def _check(self, context: Context) -> str | None:
        """Check what was rendered, before any request; return the job that the console link leads to, if it is one."""

    @abstractmethod
    def _trigger(self) -> DrsTrigger:
        """Return the trigger that describes this wait."""

    @abstractmethod
    def _ended(self, event: dict[str, Any]) -> Any:
        """Return the XCom for a good end; raise for a bad one that is no error."""

    def _over(self) -> Any:
        """Return the XCom of a wait that is over before its first poll, None for one that is not."""

    def _never_skipped(self) -> tuple[type[Exception], ...]:
        """Return the ends that ``soft_fail`` does not turn into a skipped task."""
        return ()

    def execute(self, context: Context) -> Any:
        """Check what was rendered, then wait: here, or in the triggerer.

        :return: the XCom.
        """
        self._wait, self._kept_runtime, self.console_link = None, None, ""
        with self._naming_connection():
            job_id = self._check(context)
        self._publish_link(self._runtime.hook, job_id, context)
        if (over := self._over()) is not None:
            self.log.info("Nothing to wait for: %s was over before", self._subject())
            return over
        if not self.deferrable:
            try:
                return running.unguarded(BaseSensorOperator.execute)(self, context)
            except AirflowSensorTimeout:
                raise self._late() from None
            except AirflowSkipException as skip:
                if isinstance(skip.__cause__, self._never_skipped()) and not self.never_fail:
                    raise skip.__cause__ from None
                if skip.__cause__ is None:  # Airflow skips a time-out so
                    raise AirflowSkipException(f"Skipping: {self._late()}") from None
                raise
        return self._defer_unless_over(context)

    def _defer_unless_over(self, context: Context) -> Any:
        """Poll once here, so that a wait which is over does not defer; else hand over what was seen."""
        trigger, runtime = self._trigger(), self._runtime
        began = runtime.now()
        wait = trigger.new_wait(self._seed(context))
        result = protocol.wait_until_over(wait, runtime, max_polls=1)
        if isinstance(result, protocol.GiveUp) and self.silent_fail:
            self.log.error("%s (silent_fail: the wait goes on)", result.error)
        elif not isinstance(result, protocol.KeepPolling):
            event = trigger.event_of(result)
            running.metrics().ended(event)
            return self._end_as_here(lambda: self.execute_complete(context, event), context)
        left = max(self.timeout - (runtime.now() - began), 0.0)
        trigger.handover = {
            "memory": wait.memory.to_dict(),
            "poll_at": runtime.now() + result.delay,
            "hold_until": runtime.now() + deferral_hold(left),
        }
        self._tell_deferral(self.poke_interval, left, runtime.now(), " at first" if self.exponential_backoff else "")
        self.defer(
            trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=left + self._triggerer_slack)
        )
        return None

    def _seed(self, context: Context) -> str:
        ti = context["ti"]
        return f"{ti.dag_id}#{ti.run_id}#{ti.task_id}#{ti.map_index}"

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Ask DRS once.

        :return: the XCom when what is waited for has come, False while it has not.
        """
        if self._wait is None:
            memory = self._recall(context) if self.reschedule else None
            self._wait = self._trigger().new_wait(self._seed(context), memory)
        result = self._poll(context)
        if isinstance(result, (protocol.KeepPolling, protocol.GiveUp)):
            self._delay = result.delay
            if isinstance(result, protocol.KeepPolling):
                return False
        event = result.event()
        running.metrics().ended(event)
        return PokeReturnValue(is_done=True, xcom_value=self.execute_complete(context, event))

    def _poll(self, context: Context) -> protocol.PollResult:
        """Poll once; in reschedule mode as often as the next poll is worth waiting for in this process."""
        until = self._runtime.monotonic() + min(self.timeout, self.transient_error_timeout)

        def is_enough(result: protocol.PollResult) -> bool:
            if not self.reschedule or not isinstance(result, (protocol.KeepPolling, protocol.GiveUp)):
                return True
            kept = self._remember(context, self._wait.memory)
            settles_next = isinstance(result, protocol.KeepPolling) and result.stay
            # What is not kept would be lost with this process.
            return self._runtime.monotonic() >= until or (kept and not settles_next)

        return protocol.wait_until_over(self._wait, self._runtime, after_poll=is_enough)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """End the task as the wait ended.

        :param event: the trigger's event, as the trigger describes it.
        :return: the XCom.
        """
        if event["outcome"] == protocol.Outcome.ERROR:
            error = protocol.DrsError.from_dict(event["error"])
            raise self._late(error.error_msg) if isinstance(error, protocol.DrsTimeoutError) else error
        self._has_ended = True
        self._result = self._ended(event)
        return self._result

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage:
        """Return what OpenLineage is told: the databases of the jobs, and what the wait has seen."""
        try:
            jobs = protocol.checked_job_ids(self._named_jobs())
        except protocol.DrsArgumentError:
            jobs = []
        return lineage.of_wait(jobs, self._result, self._has_ended, self._runtime.hook, self.log)

    get_openlineage_facets_on_failure = get_openlineage_facets_on_complete

    def _named_jobs(self) -> Any:
        """Return the jobs as they were given, one or many."""
        return getattr(self, "job_ids", None) or getattr(self, "job_id", None)

    def _broken_trigger(self, error: BaseException, context: Context) -> Exception:
        if isinstance(error, AirflowSensorTimeout) and error.__cause__ is None:  # execute_complete's own
            return error
        if isinstance(error, AirflowSensorTimeout) or running.is_deferral_timeout(error):
            return self._late()
        return super()._broken_trigger(error, context)

    def _end_resumed(self, ended: BaseException) -> NoReturn:
        skips = isinstance(ended, AirflowException) and self.soft_fail and not isinstance(ended, self._never_skipped())
        if skips or self.never_fail:
            raise AirflowSkipException(f"Skipping: {ended}") from ended
        raise ended

    def _late(self, at_last: str | None = None) -> AirflowSensorTimeout:
        """Return the error of a time-out, alike in all modes.

        :param at_last: what was still missing; None: as this process has seen it.
        """
        seen = self._at_last() if at_last is None else at_last
        text = f"The wait for {self._subject()} did not end within the timeout of {self.timeout:g} seconds"
        hint = "Look at the job in the DRS console; a longer timeout waits longer"
        return AirflowSensorTimeout(f"{text}. {hint}" + (f". At last: {seen}" if seen else ""))

    def _at_last(self) -> str:
        """Return what was still missing at the last poll of this process; "" where that is not known."""
        return ""

    @property
    def _runtime(self) -> TaskRuntime:
        if self._kept_runtime is None:
            self._kept_runtime = TaskRuntime(running.DrsHook(self.drs_conn_id, self.project_id), self.log)
        return self._kept_runtime

    def _trigger_kwargs(self) -> dict[str, Any]:
        """Return what every trigger takes."""
        pokes_in_many_processes = self.reschedule and not self.deferrable
        return {
            "drs_conn_id": self.drs_conn_id,
            "project_id": self.project_id,
            "poke_interval": self.poke_interval,
            "exponential_backoff": self.exponential_backoff,
            "max_wait": seconds("max_wait", self.max_wait) if self.max_wait else None,
            "transient_error_timeout": None if pokes_in_many_processes else self.transient_error_timeout,
            "silent_fail": self.silent_fail,
        }

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        """Return the seconds to the next poke, decided where the trigger's are, and never past the timeout."""
        return min(self._delay, max(self.timeout - run_duration(), 0.0) + 0.001)

    def _recall(self, context: Context) -> dict[str, Any]:
        """Return what earlier pokes of this try saw. Before Airflow 3.3 only their number and time are known."""
        store = context.get("task_state_store")
        saved = self._read_memory(store) if store is not None else None
        if isinstance(saved, dict) and saved.get("try_number") == context["ti"].try_number:
            return saved
        earlier = self._of_an_earlier_try(saved) if isinstance(saved, dict) else {}
        polls, first = running.earlier_pokes(context)
        return {**earlier, "polls": polls, "first_polled_at": first}

    def _of_an_earlier_try(self, saved: dict[str, Any]) -> dict[str, Any]:
        """Return what is still true of what an earlier try of this task saw."""
        return {}

    def _meant(self) -> dict[str, Any]:
        """Return what tells for which wait something was kept."""
        return {}

    def _read_memory(self, store: Any) -> Any:
        until = self._runtime.monotonic() + min(self.timeout, self.transient_error_timeout)
        while True:
            try:
                return store.get(MEMORY_KEY)
            except Exception as error:  # whatever Airflow raises while its API server is away
                text = f"Airflow does not tell what earlier pokes saw: {type(error).__name__}"
                if self._runtime.monotonic() >= until:
                    raise protocol.DrsError(text) from error
                self.log.warning("%s; trying again", text)
            self._runtime.sleep(min(self.poke_interval, 10.0))

    def _remember(self, context: Context, memory: protocol.PollMemory) -> bool:
        """Keep what was seen for the next poke; tell whether that went well, or there is nowhere to keep it."""
        store = context.get("task_state_store")
        if store is None:
            return True
        try:
            store.set(MEMORY_KEY, {"try_number": context["ti"].try_number, **self._meant(), **memory.to_dict()})
        except Exception as error:
            if self._remembers:
                self.log.warning("Airflow does not take what this poke saw: %s; polling on here", type(error).__name__)
            self._remembers = False
        else:
            self._remembers = True
        return self._remembers
