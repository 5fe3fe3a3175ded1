"""The aiohttp side: requests become journal entries and calls, responses and faults become bytes on the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aiohttp import web

from airflow_provider_drs.simulator.drs.routes import Call, Route, route
from airflow_provider_drs.simulator.drs.service import Drs
from airflow_provider_drs.simulator.faults import Ending, FaultQueue
from airflow_provider_drs.simulator.iam import documents
from airflow_provider_drs.simulator.iam.service import Iam
from airflow_provider_drs.simulator.journal import Entry, Journal, masked, token_id
from airflow_provider_drs.simulator.requests import Request
from airflow_provider_drs.simulator.responses import Response, json_response
from airflow_provider_drs.simulator.serving import control
from airflow_provider_drs.simulator.serving.certificates import is_loopback
from airflow_provider_drs.simulator.serving.control import Control
from airflow_provider_drs.simulator.serving.page import is_for_a_browser
from airflow_provider_drs.simulator.serving.resets import reset


class HttpApp:
    """Responds to every request of a simulator.

    :param iam: None when tokens come from an outside IAM; the calls of IAM are then not there
    :param base_url: gives the address under which clients reach the simulator
    :param page: makes the page at ``/``; it is told which job was chosen
    """

    def __init__(
        self,
        *,
        drs: Drs,
        iam: Iam | None,
        faults: FaultQueue,
        journal: Journal,
        controls: Control,
        clock: Callable[[], float],
        base_url: Callable[[], str],
        page: Callable[[str | None], Response],
    ) -> None:
        self._drs = drs
        self._iam = iam
        self._faults = faults
        self._journal = journal
        self._controls = controls
        self._clock = clock
        self._base_url = base_url
        self._page = page

    def application(self) -> web.Application:
        """The application to serve."""
        app = web.Application()
        # One handler for everything: the paths are read in one place, and a wrong one is in the journal as well.
        app.router.add_route("*", "/{anything:.*}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        body = await request.read()
        if is_for_a_browser(request.method, path, request.headers):
            return _to_aiohttp(_refusal(request) or self._page(request.query.get("job")))
        if path.startswith(control.PREFIX):
            refusal = _refusal(request)
            return _to_aiohttp(refusal or self._controls.respond(request.method, path, request.query, body))

        found = route(request.method, path)
        number = self._journal.add_request(self._entry(request, path, found, body))
        fault = self._faults.take(found.call, found.is_drs)
        if fault is None:
            response = await self._respond(found, request, body)
            return self._send(response, number, request)
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.response is not None:
            response = fault.response
        elif fault.takes_effect or fault.refuses_with:
            response = await self._respond(found, request, body, fault.refuses_with)
        else:
            response = Response(200)
        if fault.ending is Ending.RESET:
            self._journal.add_status(number, None)
            return _reset(request)
        if fault.ending is Ending.CUT:
            self._journal.add_status(number, None)
            return await _cut(request, response)
        return self._send(response, number, request)

    def _send(self, response: Response, number: int, request: web.Request) -> web.Response:
        gone = request.transport is None or request.transport.is_closing()
        self._journal.add_status(number, None if gone else response.status)
        return _to_aiohttp(response)

    async def _respond(
        self, found: Route, request: web.Request, body: bytes, refuse_with: str | None = None
    ) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Request(found, headers, body, request.method, tuple(request.query.items()))
        if found.is_drs:
            return await self._drs.respond(asked, refuse_with)
        response = self._respond_as_iam(found, asked)
        return replace(response, headers={"Vary": "X-Auth-Token", **response.headers})

    def _respond_as_iam(self, found: Route, asked: Request) -> Response:
        if found.allow:
            return documents.wrong_method(found.allow, is_version=found.path in ("/", "/v3", "/v3/"))
        if found.call == Call.VERSIONS:
            return (documents.versions if found.path == "/" else documents.version)(self._base_url())
        if found.call == Call.OTHER:
            return documents.unknown_path()
        if self._iam is None:
            return documents.error(404, "Tokens come from another IAM.")
        return self._iam.respond(asked)

    def _entry(self, request: web.Request, path: str, found: Route, body: bytes) -> Entry:
        sent = _json(body)
        return Entry(
            at=self._clock(),
            call=found.call,
            method=request.method,
            path=path,
            query=masked(dict(request.query)),
            job_id=found.job_id,
            status=None,
            body=masked(sent) if isinstance(sent, dict) else None,
            token_id=token_id(request.headers.get("X-Auth-Token")),
            headers=masked({name.lower(): value for name, value in request.headers.items()}),
        )


def _refusal(request: web.Request) -> Response | None:
    """Refuse what is not a program or a browser of this machine, or what another site's page has a browser send."""
    if not is_loopback(request.remote):
        return json_response({"error": "the control API serves this machine only"}, 403)
    # A name that leads here by another's DNS would make that site's pages ours.
    if not is_loopback(request.url.host):
        return json_response({"error": f"the control API is not at {request.host}; take the address of loopback"}, 403)
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.host}":
        return json_response({"error": "the control API takes nothing from pages of other sites"}, 403)
    return None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _to_aiohttp(response: Response) -> web.Response:
    return web.Response(status=response.status, body=response.body, headers=dict(response.headers))


def _reset(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        reset(request.transport)
    return web.Response()


async def _cut(request: web.Request, response: Response) -> web.StreamResponse:
    sent = web.StreamResponse(status=response.status, headers=dict(response.headers))
    # Even an empty body gets a length, so that something is missing.
    sent.content_length = max(len(response.body), 2)
    await sent.prepare(request)
    await sent.write(response.body[: len(response.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return sent
