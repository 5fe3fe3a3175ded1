"""The operator that compares source and target of a job of DRS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_drs import protocol, triggers
from airflow_provider_drs.exceptions import DrsComparisonError
from airflow_provider_drs.operators.base import DrsOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class DrsCompareOperator(DrsOperator):
    """Compares source and target of a job: creates a comparison, waits for its end, and fails unless all is consistent.

    DRS documents comparisons for disaster recovery, switchovers for synchronization of self-built databases: on the job
    that is cut over a comparison can be refused, see ``on_unavailable``. ``docs/gates.md`` has the details.
    DRS API, "Creating a Comparison Task" and "Querying Comparison Results".

    The XCom return value is ``{job_id, compare, compare_id, compared, consistent, not_consistent, done_at, polls}``:
    ``compared`` is how many databases, tables or types of objects were, ``not_consistent`` names those that can be
    passed over and were. A task that fails for a difference leaves the same under the XCom key ``comparison``.

    :param compare: ``objects``, ``lines`` (numbers of rows) or ``contents`` (templated).
    :param tables: what to compare, tables by database, an empty list for all of a database (templated; text is read as
        JSON or as Python writes it). ``lines`` and ``contents`` need it; a comparison of objects takes none.
    :param compare_mode: ``quick_comparison`` compares ``lines`` or ``contents`` of all there is, without ``tables``;
        for accounts that DRS has listed for it.
    :param on_unavailable: what to do where DRS refuses comparison for that kind of job: ``fail`` or ``skip``.
    :param on_uncomparable: what a table that DRS cannot compare counts as, such as one without a key: ``fail`` or
        ``pass``.
    :param conflict_policy: ``cancel`` a comparison that runs already, such as one of a try before this, or ``keep`` it:
        then this one waits, for ``transient_error_timeout`` at most.
    :param poll_interval: seconds or timedelta between polls; default 10.
    :param timeout: seconds or timedelta for the comparison (templated); default 24 hours.

    The other parameters are those of :class:`~airflow_provider_drs.operators.base.DrsOperator`.

    :raises DrsComparisonError: not all is consistent; not retried.
    :raises DrsRequestError: DRS refuses the comparison.
    :raises DrsError: DRS or IAM cannot be asked, or the comparison failed or did not end in time.
    """

    template_fields: Sequence[str] = (*DrsOperator.template_fields, "compare", "tables")
    ui_color = "#e2e9f0"

    def __init__(
        self,
        *,
        compare: str = "objects",
        tables: Mapping[str, Sequence[str]] | str | None = None,
        compare_mode: str | None = None,
        on_unavailable: str = "fail",
        on_uncomparable: str = "fail",
        conflict_policy: str = "cancel",
        poll_interval: timedelta | float = 10,
        timeout: timedelta | float | str = timedelta(hours=24),
        **kwargs: Any,
    ) -> None:
        super().__init__(poll_interval=poll_interval, timeout=timeout, **kwargs)
        for name, value, known in (
            ("on_unavailable", on_unavailable, ("fail", "skip")),
            ("on_uncomparable", on_uncomparable, ("fail", "pass")),
            ("conflict_policy", conflict_policy, ("cancel", "keep")),
            ("compare_mode", compare_mode, ("quick_comparison", None)),
        ):
            if value not in known:
                raise ValueError(f"{name} must be {known[0]!r} or {known[1]!r}, not {value!r}")
        self.compare = compare
        self.tables = tables
        self.compare_mode = compare_mode
        self.on_unavailable = on_unavailable
        self.on_uncomparable = on_uncomparable
        self.conflict_policy = conflict_policy

    def _begin(self, context: Context) -> dict[str, Any]:
        self._check_woken()
        with self._naming_connection():
            call = protocol.create_compare_task(
                self.job_id,
                self.compare,
                conflict_policy=self.conflict_policy,
                tables=protocol.checked_tables(self.tables),
                compare_mode=self.compare_mode,
            )
            timeout = self._timeout
        runtime = self._runtime()
        self._connect(context, runtime)
        patience = protocol.Patience(
            f"Job {self.job_id}",
            self.transient_error_timeout,
            interval=self.poll_interval,
            error_context=self._error_context,
            leave_after=self._leave_after,
        )
        try:
            # One that was created by a request whose response was lost compares in vain, and changes nothing.
            compare_id = protocol.call_with_retry(call, runtime, patience)
        except protocol.DrsError as error:
            if self.on_unavailable == "skip" and protocol.is_unavailable(error):
                raise AirflowSkipException(f"Skipping: no comparison of {self.compare} here. {error}") from error
            raise
        self.log.info("Job %s: comparison of %s created (%s)", self.job_id, self.compare, compare_id)
        trigger = triggers.DrsCompareTrigger(
            job_id=self.job_id,
            compare=self.compare,
            compare_id=compare_id,
            deadline=runtime.now() + timeout,
            **self._trigger_kwargs(),
        )
        return dict(self._wait(trigger, runtime, context))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Judge the comparison.

        :param event: the event of :class:`~airflow_provider_drs.triggers.jobs.DrsCompareTrigger`.
        :return: the XCom.
        """
        if event["outcome"] == protocol.Outcome.ERROR:
            raise protocol.DrsError.from_dict(event["error"])
        found = event["result"]["not_consistent"]
        passes = (protocol.CAN_NOT_COMPARE,) if self.on_uncomparable == "pass" else ()
        bad = [item for item in found if item["result"] not in passes]
        summary = {"job_id": self.job_id, "compare": self.compare, "consistent": not bad, **event["result"]}
        if not bad:
            return summary
        context["ti"].xcom_push(key="comparison", value=summary)
        raise DrsComparisonError(self.job_id, self.compare, bad)
