"""What operators and sensors share: the connection, sending, sleeping, the console link, the end after a trigger."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
    conf,
)

from airflow_provider_drs import protocol
from airflow_provider_drs.links.drs import DrsConsoleLink
from airflow_provider_drs.running import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_drs.hooks.drs import DrsHook

R = TypeVar("R")

#: The default of an argument for which None is a value.
NOT_GIVEN: Final[Any] = type("NotGiven", (), {"__repr__": lambda self: "NOT_GIVEN"})()
DEFAULT_DEFERRAL_HOLD = 10.0
# A trigger with a deadline ends by itself; a triggerer that is not there is noticed this many seconds later.
TRIGGERER_SLACK = 300.0
# The method by which an operator begins again that had left trouble to the triggerer.
BEGINS_AGAIN = "execute_again"
MIN_INTERVAL = 0.01


class TaskRuntime:
    """The ``protocol.Runtime`` of a task: real clocks, the hook's client, the task's log.

    :param hook: sends the calls.
    :param log: the task's log.
    """

    def __init__(self, hook: DrsHook, log: Any) -> None:
        self.hook = hook
        self._log = log

    def send(self, call: protocol.Call[R]) -> R:
        """Make one call and return its reply; before a refused log-in counts, the connection is read anew, once."""
        try:
            return self.hook.get_conn().call(call)
        except protocol.DrsAuthenticationError as error:
            if not (error.never_sent or call.changes_nothing) or not self.hook.read_anew():
                raise
        return self.hook.get_conn().call(call)

    def now(self) -> float:
        """Return the time, seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds on a clock that only goes forward."""
        return time.monotonic()

    def server_time(self) -> float | None:
        """Return the service's own time by its last response."""
        return getattr(self.hook.get_conn(), "last_server_time", None)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def log(self, line: protocol.LogLine) -> None:
        """Write a line to the task's log."""
        self._log.log(line.level, line.text)


class DrsTask(BaseOperator):
    """Base of all operators and sensors.

    :param drs_conn_id: id of the connection (templated).
    :param project_id: project to work in, instead of the connection's (templated).
    :param deferrable: wait in the triggerer; default ``[operators] default_deferrable``.
    :param transient_error_timeout: seconds or timedelta of trouble at DRS or IAM, without one good response, after
        which to give up; default 15 minutes.
    """

    operator_extra_links = (DrsConsoleLink(),)
    # What Airflow shows of an instance of a mapped task in place of its number.
    label = "{{ task.job_id or '' }}"

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Return what ``expand`` makes a mapped task of; its label is the job, or ``map_index_template``."""
        return super().partial(**{"map_index_template": cls.label, **kwargs})

    def __init__(
        self,
        *,
        drs_conn_id: str = DEFAULT_CONN_ID,
        project_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        transient_error_timeout: timedelta | float = timedelta(minutes=15),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_flags(deferrable=deferrable)
        self.drs_conn_id = drs_conn_id
        self.project_id = project_id
        self.deferrable = deferrable
        self.transient_error_timeout = seconds("transient_error_timeout", transient_error_timeout)
        self.console_link: str | None = None

    @abstractmethod
    def _subject(self) -> str:
        """Return how messages name what is waited for."""

    @contextmanager
    def _naming_connection(self) -> Iterator[None]:
        """Let what is wrong with an argument name the connection too, so that a message tells where to look."""
        try:
            yield
        except protocol.DrsArgumentError as error:
            raise error.with_context(protocol.error_context(self.drs_conn_id)) from None

    def _publish_link(self, hook: DrsHook, job_id: str | None, context: Context) -> None:
        """Publish the address of the job's page in the console, where it is known, for the button of this task.

        :param job_id: the job, None where the task has not just one.
        """
        self.console_link = (hook.settings.console_link(job_id) if job_id else None) or ""
        if self.console_link:
            try:
                context["ti"].xcom_push(key=DrsConsoleLink.key, value=self.console_link)
            except Exception as error:  # whatever Airflow raises while its API server is away: only a button is lost
                self.log.warning("Airflow does not take the link to the console (XCom): %s", type(error).__name__)

    def _tell_deferral(self, every: float, left: float, now: float, growing: str = "") -> None:
        """Log how often it is asked, until when, and for what: a panel of the log cuts off what comes last.

        :param every: seconds between two polls.
        :param left: seconds until the timeout.
        :param now: the time, seconds since the epoch.
        """
        until = protocol.utc(now + left)[:19].replace("T", " ")
        self.log.info(
            "Deferring: polled every %g seconds%s until %s UTC (%s): %s",
            *(every, growing, until, protocol.duration(left), self._subject()),
        )

    def _log_failure(self, job_id: str, error_code: str | None, error_msg: str | None) -> None:
        """Tell in a line of its own what DRS said: an error's title is cut off in a panel of the log."""
        said = ": ".join(x for x in (error_code, error_msg) if x) or "DRS gives no reason"
        self.log.error("The switchover failed: %s [Job %r]", said, job_id)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after the trigger, and end as a wait here would: Airflow's own rules for this vary by version.

        What begins again ends as ``execute`` does.
        """
        resume = super().resume_execution
        if next_method == BEGINS_AGAIN:
            return resume(next_method, next_kwargs, context)
        return self._end_as_here(lambda: resume(next_method, next_kwargs, context), context)

    def _end_as_here(self, end: Callable[[], Any], context: Context) -> Any:
        """Return what ``end`` returns; what it raises ends the task as a wait here would."""
        ended: BaseException
        try:
            return end()
        except AirflowSkipException as skip:
            ended = skip.__cause__ or skip
        except (AirflowException, protocol.DrsError) as error:
            ended = error
        if not isinstance(ended, (protocol.DrsError, AirflowFailException)):
            ended = self._broken_trigger(ended, context)
        self._end_resumed(ended)

    def _broken_trigger(self, error: BaseException, context: Context) -> Exception:
        """Return the error for a trigger that broke or timed out, and so left no result."""
        return protocol.DrsError(f"the trigger that waited for {self._subject()} ended without a result: {error}")

    def _end_resumed(self, ended: BaseException) -> NoReturn:
        """Raise what ended the wait."""
        raise ended


def deferral_hold(timeout: float) -> float:
    """Return for how many seconds after a deferral its end is held; never for longer than half its time-out.

    Airflow 3.0 to 3.3 fails a task that is resumed before the scheduler has read that the worker which deferred it
    has ended.

    :param timeout: of the wait, in seconds.
    """
    return min(conf.getfloat("drs", "deferral_hold", fallback=DEFAULT_DEFERRAL_HOLD), timeout / 2)


def seconds(name: str, value: timedelta | float) -> float:
    """Return a duration, written in the DAG file, in seconds.

    :raises ValueError: it is no timedelta and no number from 0 to ten years.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, timedelta)):
        raise ValueError(f"{name} must be a timedelta or a non-negative number of seconds, not {value!r}")
    return checked_now(protocol.seconds, name, value)


def checked_now(read: Callable[[str, Any], R], name: str, value: Any) -> R:
    """Return what ``read`` makes of an argument that stands in the DAG file.

    :raises ValueError: it is wrong.
    """
    try:
        return read(name, value)
    except protocol.DrsArgumentError as error:
        raise ValueError(error.message) from None


def check_unless_templated(read: Callable[[str, Any], Any], name: str, value: Any) -> None:
    """Check an argument that a template may give, if it stands in the DAG file as it is.

    :raises ValueError: it is wrong.
    """
    templated = "{{" in value or "{%" in value if isinstance(value, str) else hasattr(value, "iter_references")
    if not templated:
        checked_now(read, name, value)


def check_flags(**flags: Any) -> None:
    """Check flags that no template may give: text such as "false" would count as true.

    :raises ValueError: one is neither True nor False.
    """
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, without quotes, not {value!r}")


def interval(name: str, value: timedelta | float) -> float:
    """Return the seconds between polls, at least 10 ms.

    :raises ValueError: it is no timedelta and no number over 0.
    """
    found = seconds(name, value)
    if not found:
        raise ValueError(f"{name} must be more than 0 seconds, not {value!r}")
    return max(found, MIN_INTERVAL)


class Limits:
    """The limits of a task that a template may give. No limit is None in the DAG file itself, and nothing else.

    What a template, another task or ``expand`` gives is read when the task runs, and None is then an error.

    :param task: the operator or sensor, whose limits are attributes of the same names.
    :param given: the limits as they were given to ``__init__``; :data:`NOT_GIVEN` for a default of no limit.
    :raises ValueError: one that stands in the DAG file is wrong.
    """

    def __init__(self, task: BaseOperator, **given: Any) -> None:
        # In the DAG, a mapped task is what ``partial`` was given; its instances are made of that and of ``expand``.
        whole = task.dag.task_dict.get(task.task_id) if task.has_dag() else None
        written = getattr(whole, "partial_kwargs", given)
        self._unlimited = {
            name for name, value in given.items() if value is NOT_GIVEN or (value is None and name in written)
        }
        for name, value in given.items():
            if isinstance(value, (int, float, timedelta)):
                checked_now(protocol.seconds, name, value)

    def seconds(self, name: str, value: Any) -> float | None:
        """Return a limit in seconds, as it is when the task runs; None for no limit.

        :raises DrsArgumentError: it is none.
        """
        return None if value is None and name in self._unlimited else protocol.seconds(name, value)
