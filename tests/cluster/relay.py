"""What stands before Airflow's API server: it knows the writes of tasks, and can be away for one run or for all.

A real server behind it takes each request or does not: nothing in the tasks is replaced.
"""

from __future__ import annotations

import asyncio
import base64
import concurrent.futures
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from tests.airflow.api_faults import name_of

HOST = "127.0.0.1"
# For what takes milliseconds, so that a bug here hangs nothing.
THREAD_SECONDS = 30
XCOM = re.compile(r"/execution/xcoms/[^/]+/(?P<run>[^/]+)/(?P<task>[^/]+)/(?P<key>[^/]+)")
STORE = re.compile(r"/execution/store/ti/[^/]+/[^/]+")
HOP_BY_HOP = ("connection", "transfer-encoding", "content-length", "keep-alive", "host")


@dataclass
class Moment:
    """When the API server goes away for a run.

    :param task: whose write it is.
    :param write: which one, as `name_of` calls it.
    :param fault: one of `FAULTS`.
    :param lasts: seconds for which no request of the run is served.
    """

    task: str
    write: str
    fault: str
    lasts: float
    hits: int = 0
    away_until: float = 0.0
    #: All writes of the run so far, to tell what came in place of one that did not.
    writes: list[str] = field(default_factory=list)


class ApiRelay:
    """An HTTP relay on a free port of loopback; a context manager.

    :param who: returns run id and task id of a task instance's id; it may block.
    """

    def __init__(self, who: Callable[[str], tuple[str, str] | None]) -> None:
        self._who = who
        self._known: dict[str, tuple[str, str]] = {}
        self._moments: dict[str, Moment] = {}
        self.port = 0
        #: Where it leads.
        self.upstream = ""
        #: While true, no request is served.
        self.is_cut = False

    def plan(self, run_id: str, moment: Moment) -> None:
        """Let the API server be away for a run at a moment, once."""
        self._moments[run_id] = moment

    @property
    def url(self) -> str:
        """Where tasks reach it."""
        return f"http://{HOST}:{self.port}"

    def __enter__(self) -> ApiRelay:
        ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), name="api-relay", daemon=True)
        self._thread.start()
        ready.result(THREAD_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(THREAD_SECONDS)

    async def _serve(self, ready: concurrent.futures.Future[None]) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", self._pass_on)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        # A connection that is kept could be closed by the server while the next request is on its way to it.
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0), auto_decompress=False
        ) as self._client:
            try:
                await runner.setup()
                site = web.TCPSite(runner, HOST, self.port)
                await site.start()
                self.port = runner.addresses[0][1]
            except Exception as error:
                ready.set_exception(error)
                return
            ready.set_result(None)
            await self._stopping.wait()
            await runner.cleanup()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        moment, hit = await self._meet(request, body)
        if self.is_cut or (moment is not None and time.monotonic() < moment.away_until):
            return _reset(request)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        try:
            async with self._client.request(
                request.method, f"{self.upstream}{request.rel_url}", data=body, headers=headers, allow_redirects=False
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, OSError):
            return _reset(request)
        if hit and moment is not None:
            moment.away_until = time.monotonic() + moment.lasts
            if moment.fault == "response lost":
                return _reset(request)
        passed = {name: value for name, value in response.headers.items() if name.lower() not in HOP_BY_HOP}
        return web.Response(body=content, status=response.status, headers=passed)

    async def _meet(self, request: web.Request, body: bytes) -> tuple[Moment | None, bool]:
        """Return the moment of the run that a request belongs to, and whether this is it; begin it if so."""
        run, task = await self._run_of(request)
        moment = self._moments.get(run)
        if moment is None:
            return None, False
        write = write_of(request.method, request.path, body)
        if write:
            moment.writes.append(f"{task} {write}")
        hit = bool(write) and not moment.hits and (task, write) == (moment.task, moment.write)
        if hit:
            moment.hits += 1
            if moment.fault == "away before":
                moment.away_until = time.monotonic() + moment.lasts
        return moment, hit

    async def _run_of(self, request: web.Request) -> tuple[str, str]:
        """Return run and task of a request: its token names the task instance."""
        instance = _subject(request.headers.get("Authorization", ""))
        if not instance or not self._moments:
            return "", ""
        if instance not in self._known:
            found = await asyncio.to_thread(self._who, instance)
            if found is None:
                return "", ""
            self._known[instance] = found
        return self._known[instance]


def write_of(method: str, path: str, body: bytes) -> str:
    """Return the name of what a request writes, as `name_of` has it; "" for one that is no task's own write."""
    if method == "POST" and (found := XCOM.fullmatch(path)):
        return name_of(found["key"], _json(body))
    if method == "PUT" and STORE.fullmatch(path):
        saved = _json(body)
        return name_of("saved", saved.get("value") if isinstance(saved, dict) else None)
    return ""


def _json(body: bytes) -> Any:
    try:
        found = json.loads(body)
        return json.loads(found) if isinstance(found, str) else found
    except ValueError:
        return None


def _subject(authorization: str) -> str:
    """Return whom a bearer token was issued for; who serves the request checks it."""
    parts = authorization.removeprefix("Bearer ").split(".")
    if len(parts) != 3:
        return ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return ""
    return str(claims.get("sub", ""))


def _reset(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)
