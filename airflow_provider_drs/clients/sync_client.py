"""The blocking client, on requests, for hooks and poke mode: each client keeps one connection open."""

from __future__ import annotations

import os
import threading
import time
from typing import TypeVar

from airflow_provider_drs.clients.observer import UNOBSERVED, Observer
from airflow_provider_drs.clients.session import BoundedSession
from airflow_provider_drs.clients.tokens import TokenSource
from airflow_provider_drs.protocol.errors import DrsError
from airflow_provider_drs.protocol.http.auth_flow import GetToken, Outcome, exchange
from airflow_provider_drs.protocol.http.request import Call, HttpRequest
from airflow_provider_drs.protocol.http.response import HttpResponse
from airflow_provider_drs.protocol.settings import Settings, error_context

_R = TypeVar("_R")

MAX_CLIENTS = 16


class DrsClient:
    """Makes calls of the DRS API and blocks until the response is there.

    :param settings: the connection.
    :param tokens: the source of the connection's tokens.
    :param observer: gets a report of every call.
    """

    def __init__(self, settings: Settings, tokens: TokenSource, observer: Observer = UNOBSERVED) -> None:
        self.settings = settings
        self._observer = observer
        self._tokens = tokens
        self._session = BoundedSession("DRS", settings.verify)
        #: The ``Date`` of the last response in seconds since the epoch: the clock of DRS, None where it sent none.
        self.last_server_time: float | None = None

    def call(self, call: Call[_R]) -> _R:
        """Make ``call`` and return its reply.

        :raises DrsError: what the response stands for (see :func:`~airflow_provider_drs.protocol.http.response.read`),
            a network failure, or no token; it names the connection and the job.
        """
        began = time.monotonic()
        flow = exchange(call, self.settings.endpoint, self.settings.language)
        try:
            step = next(flow)
            while True:
                try:
                    if isinstance(step, GetToken):
                        outcome: Outcome = self._tokens.get(step.refused, step.because)
                    else:
                        outcome = self._send(step.request)
                except DrsError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(outcome)
        except StopIteration as reply:
            self._observer.called(call.name, time.monotonic() - began, None, self.settings.conn_id)
            return reply.value  # type: ignore[no-any-return]
        except DrsError as error:
            self._observer.called(call.name, time.monotonic() - began, error, self.settings.conn_id)
            subject = "" if error.is_of_connection else call.subject
            raise error.with_context(error_context(self.settings.conn_id, subject)) from None

    @property
    def project_id(self) -> str:
        """The id of the project that the token is for.

        :raises DrsError: there is no token.
        """
        return self._tokens.get().project_id

    def close(self) -> None:
        """Close the kept connection."""
        self._session.close()

    def _send(self, request: HttpRequest) -> HttpResponse:
        try:
            response = self._session.request(
                request.method,
                request.url,
                headers=dict(request.headers_at(time.time())),
                data=request.body,
                timeout=self.settings.timeout,
            )
        except DrsError as error:
            failure = error.with_context("")
        else:
            received = HttpResponse(response.status_code, response.headers, response.content, received_at=time.time())
            self.last_server_time = received.server_time
            return received
        # A copy, and not chained: the frames behind it hold the request and so the token.
        raise failure from None


_kept: dict[tuple[Settings, TokenSource], DrsClient] = {}
_keeping = threading.Lock()


def kept_client(settings: Settings, tokens: TokenSource, observer: Observer = UNOBSERVED) -> DrsClient:
    """Return this process's client for ``settings``, with its connection kept from call to call."""
    with _keeping:
        client = _kept.get((settings, tokens))
        if client is None:
            while len(_kept) >= MAX_CLIENTS:
                _kept.pop(next(iter(_kept))).close()
            client = _kept[settings, tokens] = DrsClient(settings, tokens, observer)
        return client


def close_kept_clients() -> None:
    """Close all connections this process keeps; the next call opens new ones."""
    with _keeping:
        while _kept:
            _kept.popitem()[1].close()


# A forked child must not write to its parent's connections.
os.register_at_fork(after_in_child=_kept.clear)
