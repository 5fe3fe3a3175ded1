"""The operator that compares source and target of a task of DRS."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
    conf,
)

from airflow_provider_drs.hooks.drs import DrsHook
from airflow_provider_drs.links.drs import DrsConsoleLink
from airflow_provider_drs.operators.driving import drive
from airflow_provider_drs.operators.jobs import TRIGGERER_SLACK
from airflow_provider_drs.sensors.base import seconds

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_drs.clients.sync_client import DrsClient
    from airflow_provider_drs.protocol.polling import LogLine


class DrsCompareOperator(BaseOperator):
    """Compares source and target of a job: creates a comparison, waits for its end, and fails unless all is consistent.

    DRS documents comparisons for disaster recovery, switchovers for synchronization of self-built databases: on the job
    that is cut over a comparison can be refused, see ``on_unavailable``. ``docs/gates.md`` has the details.
    DRS API, "Creating a Comparison Task" and "Querying Comparison Results".

    The XCom return value is ``{job_id, compare, compare_id, compared, consistent, not_consistent, done_at, polls}``:
    ``compared`` is how many databases, tables or types of objects were, ``not_consistent`` names those that can be
    passed over and were. A task that fails for a difference leaves the same under the XCom key ``comparison``.

    :param job_id: the job (templated).
    :param compare: ``objects``, ``lines`` (numbers of rows) or ``contents`` (templated).
    :param tables: what to compare, tables by database, an empty list for all of a database; None: everything
        (templated). A comparison of objects takes none.
    :param on_unavailable: what to do where DRS refuses comparison for that kind of task: ``fail`` or ``skip``.
    :param on_uncomparable: what a table that DRS cannot compare counts as, such as one without a key: ``fail`` or
        ``pass``.
    :param conflict_policy: ``cancel`` a comparison that runs already, such as one of a try before this, or ``keep`` it:
        then this one waits, for ``transient_error_timeout`` at most.
    :param drs_conn_id: id of the connection (templated).
    :param project_id: project to work in, instead of the connection's (templated).
    :param deferrable: wait in the triggerer; default ``[operators] default_deferrable``.
    :param poll_interval: seconds or timedelta between polls; default 10.
    :param timeout: seconds or timedelta for the comparison; default 24 hours.
    :param transient_error_timeout: seconds or timedelta of trouble without one good answer after which to give up.

    :raises DrsComparisonError: not all is consistent; not retried.
    :raises DrsRequestError: DRS refuses the comparison.
    :raises DrsError: DRS or IAM cannot be asked, or the comparison failed or did not end in time.
    """

    template_fields: Sequence[str] = ("job_id", "compare", "tables", "project_id", "drs_conn_id")
    operator_extra_links = (DrsConsoleLink(),)
    ui_color = "#e2e9f0"

    def __init__(
        self,
        *,
        job_id: str,
        compare: str = "objects",
        tables: Mapping[str, Sequence[str]] | None = None,
        on_unavailable: str = "fail",
        on_uncomparable: str = "fail",
        conflict_policy: str = "cancel",
        drs_conn_id: str = DrsHook.default_conn_name,
        project_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: timedelta | float = 10,
        timeout: timedelta | float = timedelta(hours=24),
        transient_error_timeout: timedelta | float = timedelta(minutes=15),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value, known in (
            ("on_unavailable", on_unavailable, ("fail", "skip")),
            ("on_uncomparable", on_uncomparable, ("fail", "pass")),
            ("conflict_policy", conflict_policy, ("cancel", "keep")),
        ):
            if value not in known:
                raise ValueError(f"{name} must be {known[0]!r} or {known[1]!r}, not {value!r}")
        self.job_id = job_id
        self.compare = compare
        self.tables = tables
        self.on_unavailable = on_unavailable
        self.on_uncomparable = on_uncomparable
        self.conflict_policy = conflict_policy
        self.drs_conn_id = drs_conn_id
        self.project_id = project_id
        self.deferrable = deferrable
        self.poll_interval = seconds("poll_interval", poll_interval)
        self.timeout = seconds("timeout", timeout)
        self.transient_error_timeout = seconds("transient_error_timeout", transient_error_timeout)
        self.console_link: str | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Create the comparison, then wait for its end: here, or in the triggerer.

        :return: the XCom.
        """
        from airflow_provider_drs.protocol.compare.calls import create_compare_task
        from airflow_provider_drs.protocol.compare.wait import is_unavailable
        from airflow_provider_drs.protocol.errors import DrsError
        from airflow_provider_drs.protocol.http.request import describe_job
        from airflow_provider_drs.protocol.jobs.control import call_with_retry
        from airflow_provider_drs.protocol.polling import Pace, PollingWait, PollMemory
        from airflow_provider_drs.protocol.settings import error_context

        self.console_link = ""
        tables = None if self.tables is None else {db: list(names) for db, names in self.tables.items()}
        call = create_compare_task(self.job_id, self.compare, conflict_policy=self.conflict_policy, tables=tables)
        hook = DrsHook(self.drs_conn_id, self.project_id)
        if address := hook.settings.console_link(self.job_id):
            self.console_link = address
            DrsConsoleLink.publish(context, address)
        client = hook.get_conn()
        trouble = PollingWait(
            f"Job {self.job_id}",
            Pace(self.poll_interval),
            PollMemory(),
            transient_error_timeout=self.transient_error_timeout,
            error_context=error_context(self.drs_conn_id, describe_job(self.job_id)),
        )
        try:
            # One that was created by a request whose answer was lost compares in vain, and changes nothing.
            compare_id = drive(call_with_retry(call, trouble), client, self._say)
        except DrsError as error:
            if self.on_unavailable == "skip" and is_unavailable(error):
                raise AirflowSkipException(f"Skipping: no comparison of {self.compare} here. {error}") from error
            raise
        self.log.info("Job %s: comparison of %s created (%s)", self.job_id, self.compare, compare_id)
        deadline = time.time() + self.timeout
        if self.deferrable:
            self._defer(compare_id, deadline)
        return self._wait_here(client, compare_id, deadline, context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Judge the comparison.

        :param event: the event of :class:`~airflow_provider_drs.triggers.jobs.DrsCompareTrigger`.
        :return: the XCom.
        """
        from airflow_provider_drs.job_failures import DrsComparisonError
        from airflow_provider_drs.protocol.compare.wait import CAN_NOT_COMPARE
        from airflow_provider_drs.protocol.errors import DrsError
        from airflow_provider_drs.protocol.polling import ERROR

        if event["outcome"] == ERROR:
            raise DrsError.from_dict(event["error"])
        found = event["result"]["not_consistent"]
        passes = (CAN_NOT_COMPARE,) if self.on_uncomparable == "pass" else ()
        bad = [item for item in found if item["result"] not in passes]
        summary = {"job_id": self.job_id, "compare": self.compare, "consistent": not bad, **event["result"]}
        if not bad:
            return summary
        context["ti"].xcom_push(key="comparison", value=summary)
        raise DrsComparisonError(self.job_id, self.compare, bad)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after the trigger; one that broke leaves no result."""
        from airflow_provider_drs.exceptions import DrsError

        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowFailException:
            raise
        except AirflowException as error:
            raise DrsError(f"the trigger that waited for job {self.job_id} ended without a result: {error}") from None

    def _defer(self, compare_id: str, deadline: float) -> None:
        from airflow_provider_drs.triggers.jobs import DrsCompareTrigger

        self.defer(
            trigger=DrsCompareTrigger(
                job_id=self.job_id,
                compare=self.compare,
                compare_id=compare_id,
                drs_conn_id=self.drs_conn_id,
                project_id=self.project_id,
                poke_interval=self.poll_interval,
                transient_error_timeout=self.transient_error_timeout,
                deadline=deadline,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout + self.transient_error_timeout + TRIGGERER_SLACK),
        )

    def _wait_here(self, client: DrsClient, compare_id: str, deadline: float, context: Context) -> dict[str, Any]:
        from airflow_provider_drs.protocol.compare.wait import CompareWait
        from airflow_provider_drs.protocol.errors import DrsError
        from airflow_provider_drs.protocol.http.request import describe_job
        from airflow_provider_drs.protocol.polling import KeepPolling, Pace, PollResult
        from airflow_provider_drs.protocol.settings import error_context

        wait = CompareWait(
            self.job_id,
            self.compare,
            compare_id,
            Pace(self.poll_interval),
            transient_error_timeout=self.transient_error_timeout,
            error_context=error_context(self.drs_conn_id, describe_job(self.job_id)),
            deadline=deadline,
        )
        while True:
            verdict: PollResult
            try:
                verdict = wait.answered(client.call(wait.call()), time.time())
            except DrsError as error:
                verdict = wait.failed(error, time.time())
            for line in verdict.lines:
                self._say(line)
            if not isinstance(verdict, KeepPolling):
                return self.execute_complete(context, verdict.event())
            time.sleep(verdict.delay)

    def _say(self, line: LogLine) -> None:
        self.log.log(line.level, line.text)
