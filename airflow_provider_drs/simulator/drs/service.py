"""How DRS responds to each call, given the jobs and a way to check tokens. No sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from airflow_provider_drs.simulator.drs.batch import CREATED_TEXT, BatchReads, shown_name
from airflow_provider_drs.simulator.drs.bodies import (
    RefusedError,
    job_ids,
    job_objects,
    json_body,
    number,
    one_of,
    required,
)
from airflow_provider_drs.simulator.drs.comparison import Comparisons
from airflow_provider_drs.simulator.drs.contradictions import contradictor
from airflow_provider_drs.simulator.drs.job_control import JobControl
from airflow_provider_drs.simulator.drs.routes import Call
from airflow_provider_drs.simulator.drs.state import JobStore
from airflow_provider_drs.simulator.drs.switchovers import SwitchResult
from airflow_provider_drs.simulator.iam.signatures import SignatureError, Signatures
from airflow_provider_drs.simulator.iam.token_check import TokenCheck, TokenCheckError
from airflow_provider_drs.simulator.jobs import Job
from airflow_provider_drs.simulator.requests import Request
from airflow_provider_drs.simulator.responses import LANGUAGES, Response, drs_error, json_response, present, refusal
from airflow_provider_drs.simulator.statuses import ScriptItem, SwitchoverStatus

_MAX_PER_PAGE: Final = 100
_LIST_FILTERS: Final = ("db_use_type", "engine_type", "net_type", "status")
_DB_USE_TYPES: Final = ("migration", "sync", "cloudDataGuard")


class Drs:
    """The calls of DRS.

    :param signatures: with it, a request may be signed in place of a token
    :param language: of error texts for requests that do not say X-Language
    :param contradictions: see `contradictions.Contradiction`
    """

    def __init__(
        self,
        jobs: JobStore,
        tokens: TokenCheck,
        language: str = "en-us",
        contradictions: Iterable[str] = (),
        signatures: Signatures | None = None,
    ) -> None:
        if language not in LANGUAGES:
            raise ValueError(f"language is one of {', '.join(LANGUAGES)}, not {language!r}")
        self._jobs = jobs
        self._tokens = tokens
        self._signatures = signatures
        self._language = language
        self._contradict = contradictor(contradictions)
        reads, control, comparisons = BatchReads(jobs), JobControl(jobs), Comparisons(jobs)
        #: The calls that name no job in their path.
        self._collection: dict[Call, Callable[[dict[str, Any], str], Response]] = {
            Call.LIST_JOBS: self._list,
            Call.BATCH_STATUS: reads.status,
            Call.BATCH_PROGRESS: reads.progress,
            Call.BATCH_DETAIL: reads.detail,
            Call.CREATE_COMPARE_TASK: comparisons.create,
            Call.QUERY_COMPARE_RESULT: comparisons.result,
            Call.BATCH_STARTING: control.start,
            Call.BATCH_PAUSE_TASK: control.pause,
            Call.BATCH_RETRY_TASK: control.retry,
            Call.BATCH_JOBS: control.delete,
        }

    async def respond(self, request: Request, refuse_with: str | None = None) -> Response:
        """Respond to a request under ``/v3/{project_id}/``.

        :param refuse_with: an error code with which the call is refused inside a 202, for each job it names
        """
        language = request.headers.get("x-language", self._language)
        try:
            return self._contradict(await self._respond(request, language, refuse_with))
        except RefusedError as refused:
            return self._contradict(drs_error(refused.code, language, detail=refused.detail, text=refused.text))

    async def _respond(self, request: Request, language: str, refuse_with: str | None) -> Response:
        route = request.route
        if route.call == Call.OTHER:
            if not route.allow:
                return drs_error("APIG.0101", language)
            wrong = drs_error("APIG.0101", language, status=405)
            return Response(405, wrong.body, {**wrong.headers, "Allow": ", ".join(route.allow)})
        await self._authorize(request)
        if refuse_with is not None:
            return _refused_inside(request, refuse_with, language)
        if route.call in self._collection:
            call, body = self._collection[route.call], _body(request)
            # A lag may be measured, which takes its time.
            return (
                await asyncio.to_thread(call, body, language)
                if route.call == Call.BATCH_PROGRESS
                else call(body, language)
            )
        job = self._jobs.get(route.job_id or "")
        if job is None:
            raise RefusedError(self._jobs.gone(route.job_id or ""))
        return self._switch(job, _body(request), language) if route.call == Call.SWITCH_VIP else self._status(job)

    async def _authorize(self, request: Request) -> None:
        project_id = await self._project_of(request)
        if project_id is None:
            raise RefusedError("DRS.M00100")
        if {project_id, request.headers.get("x-project-id", project_id)} != {request.route.project_id}:
            raise RefusedError("DRS.M00261")

    async def _project_of(self, request: Request) -> str | None:
        token = request.headers.get("x-auth-token", "")
        if not token and self._signatures is not None and "authorization" in request.headers:
            try:
                return self._signatures.check(request)
            except SignatureError as error:
                raise RefusedError("APIG.0301", str(error)) from None
        try:
            return await self._tokens.project_of(token) if token else None
        except TokenCheckError:
            raise RefusedError("DRS.M00004") from None

    def _status(self, job: Job) -> Response:
        status = self._jobs.next_switchover_status(job.job_id)
        if status == ScriptItem.EMPTY:
            raise RefusedError("DRS.M00002")
        reply: dict[str, Any] = {"id": job.answers_as or job.job_id}
        if status != ScriptItem.ABSENT:
            reply["status"] = status
        if status not in (SwitchoverStatus.START, SwitchoverStatus.COMPLETE, ScriptItem.ABSENT, None):
            reply |= present(error_code=job.error_code, error_msg=job.error_msg)
        return json_response(reply)

    def _switch(self, job: Job, body: dict[str, Any], language: str) -> Response:
        mode = one_of(body, "mode", ("source", "target"))
        reply: dict[str, Any] = {"id": job.answers_as or job.job_id}
        match self._jobs.switch(job.job_id, mode):
            case SwitchResult.WRONG_STATUS:
                raise RefusedError("DRS.M00304")
            case SwitchResult.BUSY:
                reply |= {"status": "failed", **refusal("DRS.M01504", language)}
            case SwitchResult.REFUSED if job.error_code is not None:
                # A text that goes with a code of the job's own is the job's to give.
                reply |= {"status": "failed", **present(error_code=job.error_code, error_msg=job.error_msg)}
            case SwitchResult.REFUSED:
                reply |= {"status": "failed", **refusal("DRS.M01504", language, text=job.error_msg)}
            case SwitchResult.ACCEPTED:
                reply["status"] = "success"
        return json_response(reply, 202)

    def _list(self, body: dict[str, Any], language: str) -> Response:
        for key in ("cur_page", "per_page", "db_use_type"):
            required(body, key)
        page, per_page = number(body, "cur_page", 0), number(body, "per_page", 0, _MAX_PER_PAGE)
        if per_page == 0 and page > 1:
            raise RefusedError("DRS.M00210", "cur_page")
        one_of(body, "db_use_type", _DB_USE_TYPES)
        wanted = {"engine_type": "mysql", **{key: body[key] for key in _LIST_FILTERS if body.get(key) is not None}}
        wanted = {key: value for key, value in wanted.items() if value != ""}
        name = str(body.get("name") or "")
        listed = [_listed(job, self._jobs.status(job.job_id)) for job in self._jobs.all()]
        found = [
            shown
            for shown in listed
            if wanted.items() <= shown.items() and (name in shown["name"] or name == shown["id"])
        ]
        # Page 0, or 0 on a page, is all of them.
        shown = found[(page - 1) * per_page : page * per_page] if page and per_page else found
        return json_response({"total_record": len(found), "jobs": shown})


def _body(request: Request) -> dict[str, Any]:
    return json_body(request.headers.get("content-type", ""), request.json())


def _refused_inside(request: Request, code: str, language: str) -> Response:
    outcome = {"status": "failed", **refusal(code, language)}
    if request.route.job_id is not None:
        return json_response({"id": request.route.job_id, **outcome}, 202)
    body = _body(request)
    if "jobs" not in body:
        return json_response(refusal(code, language), 202)
    if request.route.call in (Call.BATCH_STATUS, Call.BATCH_PROGRESS, Call.BATCH_DETAIL):
        ids = job_ids(body)
    else:
        ids = [job["job_id"] for job in job_objects(body)]
    name = "job_id" if request.route.call == Call.BATCH_PROGRESS else "id"
    return json_response({"count": len(ids), "results": [{name: job_id, **outcome} for job_id in ids]}, 202)


def _listed(job: Job, status: str) -> dict[str, Any]:
    return {
        "id": job.job_id,
        "name": shown_name(job),
        "status": status,
        "description": "",
        "create_time": CREATED_TEXT,
        "engine_type": job.engine_type,
        "net_type": job.net_type,
        "billing_tag": False,
        "job_direction": job.job_direction,
        "db_use_type": job.db_use_type,
        "task_type": job.task_type,
        "children": [],
        "node_newFramework": False,
    }
