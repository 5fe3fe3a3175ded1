"""What a gate ends with when DRS tells of a task that will not become as it should."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException


class DrsJobFailedError(AirflowFailException):
    """A task has failed or was stopped. Not retried: waiting again cannot change it.

    :param jobs: ``{job_id, status, error_code, error_msg}`` of each such task.
    """

    def __init__(self, jobs: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(f"{'; '.join(map(_told, jobs))}. Look at the task in the DRS console")
        self.jobs = [dict(job) for job in jobs]
        self.job_ids = [str(job["job_id"]) for job in jobs]

    def __reduce__(self) -> tuple[type[DrsJobFailedError], tuple[list[dict[str, Any]]]]:
        return type(self), (self.jobs,)


class DrsComparisonError(AirflowFailException):
    """A comparison found differences between source and target, or could not compare all of it. Not retried.

    :param job_id: the job.
    :param compare: what was compared: objects, lines or contents.
    :param differences: ``{"name", "result"}`` of each object that is not consistent.
    """

    def __init__(self, job_id: str, compare: str, differences: Sequence[Mapping[str, Any]]) -> None:
        named = ", ".join(f"{x['name']} ({x['result']})" for x in differences[:20])
        more = f" and {len(differences) - 20} more" if len(differences) > 20 else ""
        super().__init__(
            f"Source and target of job {job_id} are not consistent (comparison of {compare}): {named}{more}. "
            "Look at the comparison in the DRS console before cutting over"
        )
        self.job_id = job_id
        self.compare = compare
        self.differences = [dict(x) for x in differences]

    def __reduce__(self) -> tuple[type[DrsComparisonError], tuple[str, str, list[dict[str, Any]]]]:
        return type(self), (self.job_id, self.compare, self.differences)


def _told(job: Mapping[str, Any]) -> str:
    reason = ": ".join(str(x) for x in (job.get("error_code"), job.get("error_msg")) if x)
    return f"Job {job['job_id']} is {job['status']}" + (f" ({reason.rstrip('.。')})" if reason else "")
