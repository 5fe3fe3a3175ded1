"""The calls that read many jobs at once: their status, their progress with the lag, and their details."""

from __future__ import annotations

from typing import Any, Final

from airflow_provider_drs.simulator.drs.bodies import RefusedError, job_ids, on_page
from airflow_provider_drs.simulator.drs.state import JobStore
from airflow_provider_drs.simulator.jobs import Job
from airflow_provider_drs.simulator.responses import Response, json_response, present, refusal
from airflow_provider_drs.simulator.statuses import JobStatus, ScriptItem

#: When every job was created: in the list of jobs as text, in their details as milliseconds since the epoch.
CREATED_TEXT: Final = "2026-01-01 00:00:00"
_CREATED_MILLISECONDS: Final = "1767225600000"


def shown_name(job: Job) -> str:
    """What the job is called."""
    return job.name or f"DRS-{job.job_id[:8]}"


class BatchReads:
    """``batch-status``, ``batch-progress`` and ``batch-detail``; a job it does not know has an error among the rest."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs

    def status(self, body: dict[str, Any], language: str) -> Response:
        """``batch-status``, 200: a page of ``{"id", "status", "error_code"?, "error_message"?}``."""
        results = []
        for job_id in on_page(body, job_ids(body)):
            job = self._jobs.get(job_id)
            if job is None:
                results.append({"id": job_id, **refusal(self._jobs.gone(job_id), language, "error_message")})
                continue
            status = self._jobs.next_status(job_id)
            if status == ScriptItem.MISSING:
                continue
            result: dict[str, Any] = {"id": job_id, "status": status, **_failure(job, status, "error_message")}
            if status == ScriptItem.ABSENT:
                del result["status"]
            results.append(result)
        return json_response({"count": len(results), "results": results})

    def progress(self, body: dict[str, Any], language: str) -> Response:
        """``batch-progress``, 202: for every job asked for, its lag among others. It has no pages."""
        if body.get("page_req") is not None:
            raise RefusedError("DRS.M00202", "page_req")
        results = []
        for job_id in job_ids(body):
            job = self._jobs.get(job_id)
            if job is None:
                results.append({"job_id": job_id, **refusal(self._jobs.gone(job_id), language)})
                continue
            status, lag = self._jobs.status(job_id), self._jobs.next_lag(job_id)
            shown: dict[str, Any] = {
                "job_id": job_id,
                "progress": "100" if status == JobStatus.REPLICATING else "0",
                "incre_trans_delay": lag,
                "task_mode": job.task_type,
                "transfer_status": status,
                "process_time": "0",
                "remaining_time": "0",
                **_failure(job, status, "error_msg"),
            }
            if lag == ScriptItem.ABSENT:
                del shown["incre_trans_delay"]
            results.append(shown)
        return json_response({"count": len(results), "results": results}, 202)

    def detail(self, body: dict[str, Any], language: str) -> Response:
        """``batch-detail``, 200: a page of jobs, more of each than the list of jobs shows."""
        results = []
        for job_id in on_page(body, job_ids(body)):
            job = self._jobs.get(job_id)
            if job is None:
                results.append({"id": job_id, **refusal(self._jobs.gone(job_id), language, "error_message")})
            else:
                results.append(_detailed(job, self._jobs.status(job_id)))
        return json_response({"count": len(results), "results": results})


def _failure(job: Job, status: str | None, text_field: str) -> dict[str, str]:
    if status is None or not status.endswith("_FAILED"):
        return {}
    return present(**{"error_code": job.task_error_code, text_field: job.task_error_msg})


def _detailed(job: Job, status: str) -> dict[str, Any]:
    endpoint = {"db_type": job.engine_type, "ip": "192.0.2.10", "db_port": 3306, "db_user": "drs"}
    return {
        "id": job.job_id,
        "parent_id": "",
        "master_job_id": "",
        "name": shown_name(job),
        "status": status,
        "description": "",
        "create_time": _CREATED_MILLISECONDS,
        "task_type": job.task_type,
        "db_use_type": job.db_use_type,
        "job_direction": job.job_direction,
        "net_type": job.net_type,
        "source_endpoint": endpoint,
        "target_endpoint": {**endpoint, "ip": "192.0.2.20"},
        "inst_info": {"engine_type": job.engine_type, "status": "active", "ip": "192.0.2.30"},
        "is_multi_az": False,
        "node_role": "master",
        **_failure(job, status, "error_message"),
    }
