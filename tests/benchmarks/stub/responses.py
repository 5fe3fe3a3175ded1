"""What the stub responds: IAM, DRS, and what the other contenders poll."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from itertools import count
from typing import Any

from tests.benchmarks.stub.state import PROJECT_ID, State

Later = Callable[[], bytes]

_REASONS = {200: "OK", 201: "Created", 202: "Accepted", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}
_REASONS |= {429: "Too Many Requests", 500: "Internal Server Error"}
_TOKEN = re.compile(rb"\r\nx-auth-token: *([^\r]*)", re.IGNORECASE)
_USER = {"id": "5f0e", "name": "bench", "domain": {"id": "d0", "name": "BENCH"}, "password_expires_at": None}
_serial = count(1)


class Responses:
    """Decides at once what is counted, and when the response is due what it says."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._date = (0, "")

    def response(self, method: bytes, path: bytes, head: bytes, body: bytes) -> Later:
        """Return what makes the response to a request."""
        if path.endswith(b"/get-switch-vip-status"):
            return self._status(path, head)
        if path.startswith(b"/until-done/"):
            return self._until_done(path)
        if path.startswith(b"/api/v2/accounts/"):
            return self._dbt(path)
        if path == b"/v3/auth/tokens" and method == b"POST":
            return self._log_in()
        if path.endswith(b"/jobs/batch-status"):
            return self._batch("batch_status", 200, head, body)
        if path.endswith(b"/jobs/batch-progress"):
            return self._batch("batch_progress", 202, head, body)
        self._state.asked("unknown")
        return lambda: self._http(404, {"error_code": "APIGW.0101", "error_msg": "The API does not exist"})

    def _status(self, path: bytes, head: bytes) -> Later:
        state = self._state
        state.asked("status")
        if state.fault:
            return self._fault
        if not self._knows(head):
            return self._refused
        job_id = path.rsplit(b"/", 2)[1].decode()
        job = state.polled(job_id)

        def later() -> bytes:
            done = time.time() >= job.finish_at
            return self._http(200, {"id": job_id, "status": "SWITCH_VIP_COMPLETE" if done else "SWITCH_VIP_START"})

        return later

    def _until_done(self, path: bytes) -> Later:
        """HttpSensorTrigger fires on any 2xx and goes on polling on a 404 only."""
        self._state.asked("http")
        if self._state.fault:
            return self._fault
        job_id = path.rsplit(b"/", 1)[1].decode()
        job = self._state.polled(job_id)

        def later() -> bytes:
            if time.time() >= job.finish_at:
                return self._http(200, {"id": job_id, "status": "SWITCH_VIP_COMPLETE"})
            return self._http(404, {"error_code": "NOT_YET", "error_msg": "in progress"})

        return later

    def _dbt(self, path: bytes) -> Later:
        """A run of dbt Cloud: less than a real response holds, in its trigger's favour."""
        self._state.asked("dbt")
        if self._state.fault:
            return self._fault
        run_id = path.rsplit(b"/", 2)[1].decode()
        job = self._state.polled(run_id)

        def later() -> bytes:
            status = 10 if time.time() >= job.finish_at else 3  # success, running
            return self._http(200, {"status": {"code": 200}, "data": {"id": int(run_id), "status": status}})

        return later

    def _batch(self, kind: str, http_status: int, head: bytes, body: bytes) -> Later:
        self._state.asked(kind)
        if not self._knows(head):
            return self._refused
        job_ids = json.loads(body)["jobs"]
        for job_id in job_ids:
            self._state.polled(f"{kind}/{job_id}")
        if kind == "batch_status":
            results = [{"id": job_id, "status": "FULL_TRANSFER_STARTED"} for job_id in job_ids]
        else:
            results = [{"job_id": job_id, "progress": "40", "incre_trans_delay": "-1"} for job_id in job_ids]
        return lambda: self._http(http_status, {"count": len(results), "results": results})

    def _log_in(self) -> Later:
        self._state.asked("log_in")
        token, issued_at, expires_at = self._state.new_token()
        document = {
            "methods": ["password"],
            "user": _USER,
            "issued_at": _iso(issued_at),
            "expires_at": _iso(expires_at),
            "project": {"id": PROJECT_ID, "name": "bench", "domain": _USER["domain"]},
            "roles": [{"id": "0", "name": "drs_adm"}],
            "catalog": [],
        }
        return lambda: self._http(201, {"token": document}, f"X-Subject-Token: {token}\r\n")

    def _knows(self, head: bytes) -> bool:
        found = _TOKEN.search(head)
        return found is not None and self._state.token_is_good(found[1].decode("latin-1"))

    def _refused(self) -> bytes:
        return self._http(403, {"error_code": "DRS.M00100", "error_msg": "Invalid token."})

    def _fault(self) -> bytes:
        # No code of DRS: what a gateway in between says. No Retry-After either, so that the client's own sense counts.
        return self._http(self._state.fault or 500, {"message": "no"})

    def _http(self, status: int, document: Any, more: str = "") -> bytes:
        body = json.dumps(document)
        now = int(time.time())
        if self._date[0] != now:
            self._date = (now, formatdate(now, usegmt=True))
        return (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
            f"Date: {self._date[1]}\r\n"
            "Content-Type: application/json;charset=UTF-8\r\n"
            f"Content-Length: {len(body)}\r\n"
            "Connection: keep-alive\r\n"
            "Server: api-gateway\r\n"
            f"X-Request-Id: {next(_serial):032x}\r\n"
            "Strict-Transport-Security: max-age=31536000; includeSubdomains;\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "X-Download-Options: noopen\r\n"
            "X-Frame-Options: SAMEORIGIN\r\n"
            "X-XSS-Protection: 1; mode=block;\r\n"
            f"{more}\r\n{body}"
        ).encode("ascii")


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
