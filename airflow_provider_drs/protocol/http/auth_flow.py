"""In which order token, request and answer follow each other, written once for the sync and the async client.

The generator yields what it wants done and is sent the outcome; whoever drives it does the waiting and the sending::

    steps = exchange(call, endpoint, language)
    step = next(steps)
    while True:
        step = steps.send(<a Token for GetToken, an HttpResponse for Send>)
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from airflow_provider_drs.protocol.errors import DrsError, DrsTokenRefusedError
from airflow_provider_drs.protocol.http import response as answers
from airflow_provider_drs.protocol.http.request import Call, HttpRequest, Token
from airflow_provider_drs.protocol.http.response import HttpResponse

R = TypeVar("R")


@dataclass(frozen=True)
class GetToken:
    """Wanted: a token; not ``refused``, which the service did not take."""

    refused: Token | None = None


@dataclass(frozen=True)
class Send:
    """Wanted: the answer to this request."""

    request: HttpRequest


def exchange(call: Call[R], endpoint: str, language: str) -> Generator[GetToken | Send, Any, R]:
    """Make one call; a refused token is replaced once, a second refusal is the caller's.

    A refused token means that nothing was done, so the same request may go out again whatever its method.

    :raises DrsError: whatever the answer stands for.
    """
    token: Token = yield GetToken()
    try:
        return _reply(call, token, (yield Send(call.request(endpoint, token, language))))
    except DrsTokenRefusedError:
        token = yield GetToken(refused=token)
    return _reply(call, token, (yield Send(call.request(endpoint, token, language))))


def _reply(call: Call[R], token: Token, answer: HttpResponse) -> R:
    try:
        return answers.reply(call.parse, answer.redacted(token.value))
    except DrsError as error:
        if error.error_code == answers.NO_RESULT and call.when_empty is not None:
            return call.when_empty
        raise
