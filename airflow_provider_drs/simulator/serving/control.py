"""The control API under ``/_sim/``: jobs, faults, the journal and revocation, for programs other than Python."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from airflow_provider_drs.simulator.drs.state import JobStore
from airflow_provider_drs.simulator.faults import FaultQueue, PlannedFault
from airflow_provider_drs.simulator.jobs import Job
from airflow_provider_drs.simulator.journal import Journal
from airflow_provider_drs.simulator.responses import Response, json_response

PREFIX: Final = "/_sim/"
_METHODS: Final = {
    "jobs": ("GET", "POST"),
    "faults": ("DELETE", "POST"),
    "journal": ("GET",),
    "revoke": ("POST",),
}


class Control:
    """The calls of the control API; it has no token and is meant for loopback peers only.

    :param revoke: refuses every token issued so far; raises RuntimeError where that cannot be done
    """

    def __init__(self, jobs: JobStore, faults: FaultQueue, journal: Journal, revoke: Callable[[], None]) -> None:
        self._jobs = jobs
        self._faults = faults
        self._journal = journal
        self._revoke = revoke

    def respond(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> Response:
        """Respond to one request; what is wrong with a request is said in ``{"error": ...}`` with HTTP 400."""
        name = path.removeprefix(PREFIX)
        if name not in _METHODS:
            return json_response({"error": f"there are {', '.join(PREFIX + known for known in _METHODS)}"}, 404)
        if method not in _METHODS[name]:
            allowed = ", ".join(_METHODS[name])
            return json_response({"error": f"{path} takes {allowed}"}, 405, {"Allow": allowed})
        try:
            match method, name:
                case "GET", "jobs":
                    return json_response({"jobs": [self._job(job) for job in self._jobs.all()]})
                case "POST", "jobs":
                    jobs = [Job.from_dict(values) for values in _objects(body)]
                    for job in jobs:
                        self._jobs.add(job)
                    return json_response({"jobs": [job.job_id for job in jobs]}, 201)
                case "POST", "faults":
                    planned = [PlannedFault.from_dict(values) for values in _objects(body)]
                    for fault in planned:
                        self._faults.add(fault)
                    return json_response({"faults": len(planned)}, 201)
                case "DELETE", _:
                    self._faults.clear()
                case "GET", _:
                    entries = self._journal.entries(query.get("call"))
                    return json_response({"entries": [entry.as_dict() for entry in entries]})
                case _:
                    self._revoke()
        except (ValueError, RuntimeError) as error:
            return json_response({"error": str(error)}, 400)
        return Response(204)

    def _job(self, job: Job) -> dict[str, Any]:
        return {
            **job.as_dict(),
            "switched": self._jobs.switched(job.job_id),
            "controlled": self._jobs.controlled(job.job_id),
        }


def _objects(body: bytes) -> list[dict[str, Any]]:
    """One JSON object or a list of them; raises ValueError."""
    values = json.loads(body)
    values = values if isinstance(values, list) else [values]
    if not all(isinstance(value, dict) for value in values):
        raise ValueError("the body is an object or a list of objects")
    return values
