"""The calls that change jobs: start, pause, retry (which also resumes), and stop or delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from airflow_provider_drs.simulator.drs.bodies import RefusedError, job_objects, milliseconds, one_of
from airflow_provider_drs.simulator.drs.state import JobStore
from airflow_provider_drs.simulator.responses import Response, json_response, refusal

_PAUSE_MODES: Final = ("target", "all")
_DELETE_TYPES: Final = ("terminate", "force_terminate", "delete")


class JobControl:
    """The calls; what is refused to one job is said inside a 2xx, among the results of the others."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs

    def start(self, body: dict[str, Any], language: str) -> Response:
        """``batch-starting``, 202."""
        return self._each(body, language, 202, lambda job: ("start", milliseconds(job, "start_time")))

    def pause(self, body: dict[str, Any], language: str) -> Response:
        """``batch-pause-task``, 200."""

        def asked(job: dict[str, Any]) -> tuple[str, float]:
            one_of(job, "pause_mode", _PAUSE_MODES)
            return "pause", 0.0

        return self._each(body, language, 200, asked)

    def retry(self, body: dict[str, Any], language: str) -> Response:
        """``batch-retry-task``, 200."""

        def asked(job: dict[str, Any]) -> tuple[str, float]:
            if job.get("is_sync_re_edit") not in (None, False, True):
                raise RefusedError("DRS.M00202", "is_sync_re_edit")
            return "retry", 0.0

        return self._each(body, language, 200, asked)

    def delete(self, body: dict[str, Any], language: str) -> Response:
        """``batch-jobs``, 202: terminate, force_terminate or delete."""
        return self._each(body, language, 202, lambda job: (one_of(job, "delete_type", _DELETE_TYPES), 0.0))

    def _each(
        self,
        body: dict[str, Any],
        language: str,
        success: int,
        asked: Callable[[dict[str, Any]], tuple[str, float]],
    ) -> Response:
        # All of the body is read before anything is done: a call that is refused as a whole changes nothing.
        wanted = [(job["job_id"], *asked(job)) for job in job_objects(body)]
        results = []
        for job_id, control, not_before in wanted:
            known = self._jobs.get(job_id) is not None
            code = self._jobs.control(job_id, control, not_before) if known else self._jobs.gone(job_id)
            outcome = {"status": "success"} if code is None else {"status": "failed", **refusal(code, language)}
            results.append({"id": job_id, **outcome})
        return json_response({"count": len(results), "results": results}, success)
