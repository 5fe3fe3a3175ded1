"""What is asked of DRS about jobs, many at a time, and what is done to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_provider_drs.protocol.arguments import choice, given, items
from airflow_provider_drs.protocol.errors import DrsArgumentError, one_line
from airflow_provider_drs.protocol.http.request import Call, checked_job_id, describe_job
from airflow_provider_drs.protocol.jobs import replies as job_replies
from airflow_provider_drs.protocol.jobs.replies import JobDetail, JobProgress, JobResult, JobState, JobSummary

MAX_JOBS = 100
PAUSE_MODES = ("target", "all")
# What a job is for, as DRS writes it.
USES = ("migration", "sync", "cloudDataGuard")


def batch_status(job_ids: Sequence[str]) -> Call[dict[str, JobState]]:
    """Ask for the status of up to 100 jobs; the reply is by job id.

    DRS API, "Querying Task Statuses": ``POST /v3/{project_id}/jobs/batch-status``. A page holds five jobs unless the
    body says how many.

    :raises DrsArgumentError: an id cannot be one, or there are none or too many.
    """
    jobs = _checked(job_ids)
    body = {"jobs": jobs, "page_req": {"cur_page": 1, "per_page": len(jobs)}}
    return Call("batch-status", describe_jobs(jobs), "POST", "/batch-status", job_replies.job_states, body, safe=True)


def batch_progress(job_ids: Sequence[str]) -> Call[dict[str, JobProgress]]:
    """Ask for progress and lag of up to 100 jobs; the reply is by job id.

    DRS API, "Querying the Task Progress": ``POST /v3/{project_id}/jobs/batch-progress``.

    :raises DrsArgumentError: as :func:`batch_status`.
    """
    jobs = _checked(job_ids)
    # No page_req: it is documented for batch-status and batch-detail only.
    body = {"jobs": jobs}
    return Call(
        "batch-progress", describe_jobs(jobs), "POST", "/batch-progress", job_replies.job_progress, body, safe=True
    )


def batch_detail(job_ids: Sequence[str]) -> Call[dict[str, JobDetail]]:
    """Ask for the details of up to 100 jobs, of which the two databases are read; the reply is by job id.

    DRS API, "Querying Task Details in Batches": ``POST /v3/{project_id}/jobs/batch-detail``, in pages as
    :func:`batch_status`.

    :raises DrsArgumentError: as :func:`batch_status`.
    """
    jobs = _checked(job_ids)
    body = {"jobs": jobs, "page_req": {"cur_page": 1, "per_page": len(jobs)}}
    return Call("batch-detail", describe_jobs(jobs), "POST", "/batch-detail", job_replies.job_details, body, safe=True)


def start_jobs(job_ids: Sequence[str]) -> Call[dict[str, JobResult]]:
    """Start jobs. DRS API, "Starting Tasks in Batches": ``POST .../jobs/batch-starting``."""
    return _control("batch-starting", job_ids, {})


def pause_jobs(job_ids: Sequence[str], mode: str = "target") -> Call[dict[str, JobResult]]:
    """Pause jobs. DRS API, "Pausing Tasks in Batches": ``POST .../jobs/batch-pause-task``.

    :param mode: ``target``: stop writing to the target, go on reading the log; ``all``: stop both.
    :raises DrsArgumentError: as :func:`batch_status`, or for another mode.
    """
    if mode not in PAUSE_MODES:
        raise DrsArgumentError(f"pause_mode must be 'target' or 'all', not {one_line(repr(mode), 80)}")
    return _control("batch-pause-task", job_ids, {"pause_mode": mode})


def resume_jobs(job_ids: Sequence[str], is_sync_re_edit: bool | None = None) -> Call[dict[str, JobResult]]:
    """Resume paused jobs, retry failed ones.

    DRS API, "Resuming Tasks in Batches": ``POST .../jobs/batch-retry-task``.

    :param is_sync_re_edit: the objects of a synchronization were edited before; None: do not say. One page wants True
        for every resume, another for this case only, and the examples send none.
    """
    each = {} if is_sync_re_edit is None else {"is_sync_re_edit": is_sync_re_edit}
    return _control("batch-retry-task", job_ids, each)


def stop_jobs(job_ids: Sequence[str], force: bool = False) -> Call[dict[str, JobResult]]:
    """End jobs for good; they cannot be started again.

    DRS API, "Stopping or Deleting Tasks in Batches": ``DELETE .../jobs/batch-jobs``.

    :param force: do not wait for the job's own end.
    """
    return _control("batch-jobs", job_ids, {"delete_type": "force_terminate" if force else "terminate"}, "DELETE")


def list_one_job() -> Call[int]:
    """Ask for one line of the job list: the cheapest call that needs a token, a project and a permission.

    DRS API, "Querying the Task List": ``POST /v3/{project_id}/jobs``. The reply is the number of jobs.
    """
    body = {"cur_page": 1, "per_page": 1, "db_use_type": "sync"}
    return Call("list jobs", "job list", "POST", "", job_replies.number_of_jobs, body, safe=True)


def list_jobs(use: str, page: int, engine: str | None = None) -> Call[list[JobSummary]]:
    """Ask for one page of the job list, up to 100 jobs.

    DRS API, "Querying the Task List": ``POST /v3/{project_id}/jobs``.

    :param use: one of :data:`USES`.
    :param page: from 1 on.
    :param engine: such as ``mysql`` or ``postgresql``; None: DRS's default, at Open Telekom Cloud ``mysql``.
    :raises DrsArgumentError: no such use.
    """
    body: dict[str, object] = {"cur_page": page, "per_page": MAX_JOBS, "db_use_type": choice("use", use, USES)}
    if engine:
        body["engine_type"] = engine
    return Call("list jobs", "job list", "POST", "", job_replies.listed_jobs, body, safe=True)


def describe_jobs(job_ids: Sequence[str]) -> str:
    """Return how messages name jobs: three by id, of more their number too."""
    if len(job_ids) == 1:
        return describe_job(job_ids[0])
    named = ", ".join(repr(job_id) for job_id in job_ids[:3])
    return f"jobs {named}" + (f" and {len(job_ids) - 3} more" if len(job_ids) > 3 else "")


def checked_job_ids(job_ids: object) -> list[str]:
    """Return the ids without repetitions, in order; any number of them.

    :param job_ids: a list in any form, see :func:`~airflow_provider_drs.protocol.arguments.items`.
    :raises DrsArgumentError: one cannot be an id, or there are none.
    """
    listed = items("job_ids", given("job_ids", job_ids))
    if not listed:
        raise DrsArgumentError("job_ids is empty")
    return list(dict.fromkeys(checked_job_id(job_id) for job_id in listed))


def in_batches(job_ids: Sequence[str]) -> list[list[str]]:
    """Return the ids in parts that one call takes."""
    return [list(job_ids[at : at + MAX_JOBS]) for at in range(0, len(job_ids), MAX_JOBS)]


def _checked(job_ids: Sequence[str]) -> list[str]:
    jobs = checked_job_ids(job_ids)
    if len(jobs) > MAX_JOBS:
        raise DrsArgumentError(f"one call takes at most {MAX_JOBS} jobs, not {len(jobs)}")
    return jobs


def _control(
    name: str, job_ids: Sequence[str], each: Mapping[str, str | bool], method: str = "POST"
) -> Call[dict[str, JobResult]]:
    jobs = _checked(job_ids)
    body = {"jobs": [{"job_id": job_id, **each} for job_id in jobs]}
    return Call(name, describe_jobs(jobs), method, f"/{name}", job_replies.job_results, body)
