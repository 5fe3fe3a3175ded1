"""What DRS says about jobs: readers that make replies of the JSON of the batch calls.

The fields have two names and two types in the documentation (``error_msg`` and ``error_message``, ``id`` and
``job_id``, ``"0"`` and ``0``); all are read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from airflow_provider_drs.protocol.errors import DrsError, DrsInvalidResponseError, DrsRequestError
from airflow_provider_drs.protocol.http.response import JsonObject, compare_text, display_text, fault_class
from airflow_provider_drs.protocol.jobs.status import job_status

T = TypeVar("T", bound="JobState | JobProgress | JobResult | JobDetail")

_PORT = re.compile(r"[1-9][0-9]{0,4}")
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class JobState:
    """What ``batch-status`` says about one job.

    :param status: the status in the spelling of ``statuses.JobStatus``, or as sent where that does not know it; None
        where there is none.
    :param error_code: why the job failed, or why there is no status.
    :param error_msg: the same in words.
    """

    job_id: str
    status: str | None
    error_code: str | None = None
    error_msg: str | None = None


@dataclass(frozen=True)
class JobSummary:
    """What the job list says about one job.

    :param name: as a person gave it.
    :param status: as in :class:`JobState`.
    :param direction: ``up``, ``down`` or ``non-dbs``, as sent.
    :param children: how many jobs it has below it; the id of this one, the parent's, is what a switchover takes.
    """

    job_id: str
    name: str | None
    status: str | None
    engine: str | None = None
    direction: str | None = None
    children: int = 0


@dataclass(frozen=True)
class Endpoint:
    """One of the two databases of a job. Its user, password and certificate are not read.

    :param db_type: such as ``mysql``, as sent.
    :param address: its IP address; of a MongoDB, ``host:port`` of each node with commas between. None: not told.
    :param port: None: not told, or a part of the address.
    :param instance: name or id of the cloud's instance, None for a self-built database.
    """

    db_type: str | None
    address: str | None
    port: int | None = None
    instance: str | None = None


@dataclass(frozen=True)
class JobDetail:
    """What ``batch-detail`` says about the databases of one job, each None where it is not told."""

    job_id: str
    source: Endpoint | None = None
    target: Endpoint | None = None


@dataclass(frozen=True)
class JobProgress:
    """What ``batch-progress`` says about one job.

    :param lag: seconds the target is behind; None where that is not known: before incremental transfer ("-1"), and
        where the field is missing or no number of seconds.
    :param lag_text: the same as sent, None where it was not.
    :param transfer_status: the status as this call has it.
    :param progress: percent of the full transfer, as sent.
    """

    job_id: str
    lag: float | None
    lag_text: str | None = None
    transfer_status: str | None = None
    progress: str | None = None
    error_code: str | None = None
    error_msg: str | None = None


@dataclass(frozen=True)
class JobResult:
    """What became of one job in a call that changes jobs; a refusal comes inside a 2xx.

    :param ok: DRS accepts.
    """

    job_id: str
    ok: bool
    error_code: str | None = None
    error_msg: str | None = None

    def error(self, asked: str) -> DrsError:
        """Return the error that a refusal stands for; ``asked`` is what was refused, such as "starting job 'x'"."""
        cls = fault_class(self.error_code, 200) if self.error_code else DrsRequestError
        why = ": ".join(x for x in (self.error_code, self.error_msg) if x) or "DRS gives no reason"
        return cls(f"DRS refuses {asked}: {why}", error_code=self.error_code, error_msg=self.error_msg, http_status=200)


def job_states(body: JsonObject) -> dict[str, JobState]:
    """Read the response of ``batch-status``.

    :return: what is said, by job id; a job that is not in the response is not in here.
    :raises DrsInvalidResponseError: the response is not what DRS would write.
    """
    return _by_job(body, _state)


def job_progress(body: JsonObject) -> dict[str, JobProgress]:
    """Read the response of ``batch-progress``; as :func:`job_states`."""
    return _by_job(body, _progress)


def job_details(body: JsonObject) -> dict[str, JobDetail]:
    """Read the response of ``batch-detail``; as :func:`job_states`."""
    return _by_job(body, _detail)


def job_results(body: JsonObject) -> dict[str, JobResult]:
    """Read the response of a call that changes jobs; as :func:`job_states`."""
    return _by_job(body, _result)


def number_of_jobs(body: JsonObject) -> int:
    """Read the response of the job list: how many jobs there are."""
    total = body.get("total_record")
    if isinstance(total, bool) or not isinstance(total, int):
        raise DrsInvalidResponseError("DRS responded without 'total_record' to the query of the job list")
    return total


def listed_jobs(body: JsonObject) -> list[JobSummary]:
    """Read the response of the job list: a page of jobs, in its order.

    :raises DrsInvalidResponseError: the response is not what DRS would write.
    """
    jobs = body.get("jobs")
    if not isinstance(jobs, list):
        raise DrsInvalidResponseError("DRS responded without 'jobs' to the query of the job list")
    found = []
    for item in jobs:
        job_id = compare_text(item.get("id")) if isinstance(item, Mapping) else None
        if not job_id:
            raise DrsInvalidResponseError("DRS responded with a job that has no id to the query of the job list")
        children = item.get("children")
        found.append(
            JobSummary(
                job_id,
                display_text(item.get("name")),
                _state(job_id, item).status,
                display_text(item.get("engine_type")),
                display_text(item.get("job_direction")),
                len(children) if isinstance(children, list) else 0,
            )
        )
    return found


def lag_seconds(value: object) -> float | None:
    """Return a lag in seconds, None for all that is not plainly a number from 0 on: no lag may be read into it."""
    written = display_text(value)
    if written is None or not _SECONDS.fullmatch(written):
        return None
    number = float(written)
    return number if math.isfinite(number) else None


def errors_of(item: JsonObject) -> tuple[str | None, str | None]:
    """Return code and text of an item, in either spelling."""
    text = display_text(item.get("error_msg")) or display_text(item.get("error_message"))
    return display_text(item.get("error_code")) or None, text or None


def _state(job_id: str, item: JsonObject) -> JobState:
    status = compare_text(item.get("status")) or None
    return JobState(job_id, None if status is None else job_status(status), *errors_of(item))


def _progress(job_id: str, item: JsonObject) -> JobProgress:
    lag, status = item.get("incre_trans_delay"), compare_text(item.get("transfer_status")) or None
    return JobProgress(
        job_id,
        lag_seconds(lag),
        display_text(lag),
        None if status is None else job_status(status),
        display_text(item.get("progress")),
        *errors_of(item),
    )


def _detail(job_id: str, item: JsonObject) -> JobDetail:
    return JobDetail(job_id, _endpoint(item.get("source_endpoint")), _endpoint(item.get("target_endpoint")))


def _endpoint(item: object) -> Endpoint | None:
    if not isinstance(item, Mapping):
        return None
    port = display_text(item.get("db_port")) or ""
    instance = display_text(item.get("inst_name")) or display_text(item.get("inst_id"))
    return Endpoint(
        display_text(item.get("db_type")) or None,
        display_text(item.get("ip")) or None,
        int(port) if _PORT.fullmatch(port) else None,
        instance or None,
    )


def _result(job_id: str, item: JsonObject) -> JobResult:
    code, why = errors_of(item)
    status = item.get("status")
    if status not in ("success", "failed"):
        raise DrsInvalidResponseError(f"DRS responded about job {job_id!r} with the result {display_text(status)!r}")
    return JobResult(job_id, status == "success", code, why)


def _by_job(body: JsonObject, read: Callable[[str, JsonObject], T]) -> dict[str, T]:
    results = body.get("results") if isinstance(body, Mapping) else None
    if not isinstance(results, list):
        raise DrsInvalidResponseError("DRS responded without a list of results")
    found: dict[str, T] = {}
    for item in results:
        job_id = (
            (compare_text(item.get("id")) or compare_text(item.get("job_id"))) if isinstance(item, Mapping) else None
        )
        if not job_id:
            raise DrsInvalidResponseError("DRS responded with a result that names no job")
        said = read(job_id, item)
        if found.setdefault(job_id, said) != said:
            raise DrsInvalidResponseError(f"DRS responded in two ways about job {job_id!r}")
    return found
