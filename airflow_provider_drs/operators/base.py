"""What all operators of this provider share: connect, wait here or in the triggerer, resume."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, BaseOperator, conf

from airflow_provider_drs import protocol
from airflow_provider_drs.hooks.drs import DrsHook
from airflow_provider_drs.links.drs import DrsConsoleLink
from airflow_provider_drs.task import TaskRuntime, publish_link, seconds

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_drs.triggers.base import DrsTrigger

# The trigger ends by itself at its deadline; a triggerer that is not there is noticed this much later.
TRIGGERER_SLACK = 300.0


class DrsOperator(BaseOperator):
    """Base of the operators; a kind of operator says what to ask, which trigger waits, and how its end is read.

    :param job_id: the job (templated).
    :param drs_conn_id: id of the connection (templated).
    :param project_id: project to work in, instead of the connection's (templated).
    :param deferrable: wait in the triggerer; default ``[operators] default_deferrable``.
    :param poll_interval: seconds or timedelta between polls; default 5.
    :param timeout: seconds or timedelta for the wait; default 1 hour.
    :param transient_error_timeout: seconds or timedelta of trouble without one good response after which to give up;
        default 15 minutes.
    """

    template_fields: Sequence[str] = ("job_id", "project_id", "drs_conn_id")
    operator_extra_links = (DrsConsoleLink(),)

    def __init__(
        self,
        *,
        job_id: str,
        drs_conn_id: str = DrsHook.default_conn_name,
        project_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: timedelta | float = 5,
        timeout: timedelta | float = timedelta(hours=1),
        transient_error_timeout: timedelta | float = timedelta(minutes=15),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        self.drs_conn_id = drs_conn_id
        self.project_id = project_id
        self.deferrable = deferrable
        self.poll_interval = seconds("poll_interval", poll_interval)
        self.timeout = seconds("timeout", timeout)
        self.transient_error_timeout = seconds("transient_error_timeout", transient_error_timeout)
        self.console_link: str | None = None

    @abstractmethod
    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """End the task as the wait ended; return the XCom."""

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after the trigger; one that broke or timed out leaves no result."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowFailException:
            raise
        except AirflowException as error:
            self._on_broken_trigger(context)
            raise protocol.DrsError(
                f"the trigger that waited for job {self.job_id} ended without a result: {error}"
            ) from None

    def _on_broken_trigger(self, context: Context) -> None:
        """Do what is to be done before a task fails whose trigger left no result."""

    def _runtime(self) -> TaskRuntime:
        return TaskRuntime(DrsHook(self.drs_conn_id, self.project_id), self.log)

    def _connect(self, context: Context, runtime: TaskRuntime) -> None:
        publish_link(self, runtime.hook, self.job_id, context)

    @property
    def _error_context(self) -> str:
        return protocol.error_context(self.drs_conn_id, protocol.describe_job(self.job_id))

    def _trigger_kwargs(self) -> dict[str, Any]:
        """Return what every trigger takes."""
        return {
            "drs_conn_id": self.drs_conn_id,
            "project_id": self.project_id,
            "poke_interval": self.poll_interval,
            "transient_error_timeout": self.transient_error_timeout,
        }

    def _wait(self, trigger: DrsTrigger, runtime: TaskRuntime, context: Context) -> Any:
        """Wait as the trigger describes it: in the triggerer, or here.

        :return: the XCom.
        """
        if self.deferrable:
            self._defer(trigger)
        result = protocol.wait_until_over(trigger.new_wait(), runtime)
        assert result is not None  # noqa: S101 - without a limit it ends with an end
        return self.execute_complete(context, trigger.event_of(result))

    def _defer(self, trigger: DrsTrigger) -> None:
        timeout = self.timeout + self.transient_error_timeout + TRIGGERER_SLACK
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=timeout))
