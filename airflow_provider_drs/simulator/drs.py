"""What DRS answers to each call, given the jobs and a way to check tokens. No sockets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from . import calls
from .answers import LANGUAGES, Answer, drs_error, drs_error_text, json_answer
from .calls import Route
from .iam import TokenCheck, TokenCheckError
from .jobs import ABSENT, COMPLETE, EMPTY, START, Job, JobBook

_DB_USE_TYPES: Final = ("migration", "sync", "cloudDataGuard")


@dataclass(frozen=True)
class Request:
    """A request to DRS; header names are in lower case."""

    route: Route
    headers: Mapping[str, str]
    body: bytes


class _RefusedError(Exception):
    """Carries the answer of a call that is refused."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


class Drs:
    """The calls of DRS.

    :param language: of error texts for requests that do not say X-Language
    """

    def __init__(self, jobs: JobBook, tokens: TokenCheck, language: str = "en-us") -> None:
        if language not in LANGUAGES:
            raise ValueError(f"language is one of {', '.join(LANGUAGES)}, not {language!r}")
        self._jobs = jobs
        self._tokens = tokens
        self._language = language

    async def answer(self, request: Request) -> Answer:
        """The answer to a request under ``/v3/{project_id}/``."""
        language = request.headers.get("x-language", self._language)
        route = request.route
        if route.call == calls.OTHER:
            if not route.allow:
                return drs_error("APIG.0101", language)
            refusal = drs_error("APIG.0101", language, status=405)
            return Answer(405, refusal.body, {**refusal.headers, "Allow": ", ".join(route.allow)})
        try:
            await self._authorize(request, language)
            if route.call == calls.LIST_JOBS:
                return self._list(_json_body(request, language), language)
            job = self._jobs.get(route.job_id or "")
            if job is None:
                return drs_error("DRS.M05003", language)
            if route.call == calls.SWITCH_VIP:
                return self._switch(job, _json_body(request, language), language)
            return self._status(job, language)
        except _RefusedError as refused:
            return refused.answer

    async def _authorize(self, request: Request, language: str) -> None:
        token = request.headers.get("x-auth-token", "")
        try:
            project_id = await self._tokens.project_of(token) if token else None
        except TokenCheckError:
            raise _RefusedError(drs_error("DRS.M00004", language)) from None
        if project_id is None:
            raise _RefusedError(drs_error("DRS.M00100", language))
        if project_id != request.route.project_id:
            raise _RefusedError(drs_error("DRS.M00261", language))

    def _status(self, job: Job, language: str) -> Answer:
        status = self._jobs.next_status(job.job_id)
        if status == EMPTY:
            return drs_error("DRS.M00002", language)
        reply: dict[str, Any] = {"id": job.answers_as or job.job_id}
        if status != ABSENT:
            reply["status"] = status
        if status not in (START, COMPLETE, ABSENT, None):
            reply |= _present(error_code=job.error_code, error_msg=job.error_msg)
        return json_answer(reply)

    def _switch(self, job: Job, body: dict[str, Any], language: str) -> Answer:
        mode = body.get("mode")
        if mode is None or mode == "":
            raise _RefusedError(drs_error("DRS.M00201", language, detail="mode"))
        if mode not in ("source", "target"):
            raise _RefusedError(drs_error("DRS.M00202", language, detail="mode"))
        reply: dict[str, Any] = {"id": job.answers_as or job.job_id, "status": "success"}
        if not self._jobs.switch(job.job_id, mode):
            busy = job.on_switch != "refused"
            code, text = ("DRS.M01504", None) if busy else (job.error_code or "DRS.M01504", job.error_msg)
            reply |= {"status": "failed", "error_code": code}
            # A text that goes with a code of the job's own is the job's to give.
            reply |= _present(error_msg=text or (drs_error_text(code, language) if code == "DRS.M01504" else None))
        return json_answer(reply, 202)

    def _list(self, body: dict[str, Any], language: str) -> Answer:
        page, per_page, use = (_required(body, key, language) for key in ("cur_page", "per_page", "db_use_type"))
        for name, value, lowest in (("cur_page", page, 0), ("per_page", per_page, 1)):
            if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
                raise _RefusedError(drs_error("DRS.M00210", language, detail=name))
        if use not in _DB_USE_TYPES:
            raise _RefusedError(drs_error("DRS.M00202", language, detail="db_use_type"))
        name, status = (str(body.get(key) or "") for key in ("name", "status"))
        found = [
            shown
            for shown in map(_listed, self._jobs.all())
            if shown["db_use_type"] == use and name in shown["name"] and status in ("", shown["status"])
        ]
        # Page 0 is all of them.
        shown = found[(page - 1) * per_page : page * per_page] if page else found
        return json_answer({"total_record": len(found), "jobs": shown})


def _listed(job: Job) -> dict[str, Any]:
    return {
        "id": job.job_id,
        "name": job.name or f"DRS-{job.job_id[:8]}",
        "status": job.status,
        "description": "",
        "create_time": "1767225600000",
        "engine_type": job.engine_type,
        "net_type": job.net_type,
        "billing_tag": False,
        "job_direction": job.job_direction,
        "db_use_type": job.db_use_type,
        "task_type": job.task_type,
        "children": [],
    }


def _json_body(request: Request, language: str) -> dict[str, Any]:
    kind = request.headers.get("content-type", "")
    if kind and "json" not in kind.lower():
        raise _RefusedError(drs_error("DRS.M00200", language))
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise _RefusedError(drs_error("DRS.M00200", language))
    return body


def _required(body: dict[str, Any], key: str, language: str) -> Any:
    if body.get(key) in (None, ""):
        raise _RefusedError(drs_error("DRS.M00201", language, detail=key))
    return body[key]


def _present(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
