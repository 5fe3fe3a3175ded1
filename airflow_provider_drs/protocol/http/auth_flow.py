"""In which order token, request and response follow each other, written once for the sync and the async client.

The generator yields what it needs and is sent the outcome; the client that drives it waits and sends::

    flow = exchange(call, endpoint, language)
    step = next(flow)
    while True:
        step = flow.send(<a Token for GetToken, an HttpResponse for Send>)  # or flow.throw(<the DrsError instead>)
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from airflow_provider_drs.protocol.codes import NO_RESULT, TOKEN_REFUSED
from airflow_provider_drs.protocol.errors import (
    DrsAuthenticationError,
    DrsError,
    DrsPermissionError,
    DrsTokenRefusedError,
)
from airflow_provider_drs.protocol.http.key_refusal import key_refused
from airflow_provider_drs.protocol.http.request import Call, HttpRequest, Token
from airflow_provider_drs.protocol.http.response import HttpResponse, parse, says_only_forbidden

R = TypeVar("R")


@dataclass(frozen=True)
class GetToken:
    """Needed: a token; not ``refused``, which the service did not accept.

    ``because`` is the refusal of an access key, for which there is no other.
    """

    refused: Token | None = None
    because: DrsAuthenticationError | None = None


@dataclass(frozen=True)
class Send:
    """Needed: the response to this request."""

    request: HttpRequest


Outcome = Token | HttpResponse
Flow = Generator[GetToken | Send, Outcome, R]


def exchange(call: Call[R], endpoint: str, language: str) -> Flow[R]:
    """Make one call; a refused token is replaced once, a second refusal is raised.

    A request that changes something is repeated only if DRS itself refused the token, with its own code: a gateway may
    have responded in its place after DRS took the request.

    :raises DrsError: the error that the response stands for, or what the client threw in instead of an outcome.
    """
    try:
        token = yield from _get_token()
    except DrsError as error:
        error.never_sent = True
        raise
    request = call.request(endpoint, token, language)
    response = yield from _send(request)
    try:
        return _reply(call, token, response)
    except DrsTokenRefusedError as error:
        if token.key is not None:
            if says_only_forbidden(error.error_code, error.http_status or 0):
                raise _final(error) from None
            yield from _get_token(token, key_refused(error, response.ahead))  # which raises it, and remembers
        if call.at_most_once and error.error_code == TOKEN_REFUSED:
            # For whoever asks again, behind a read of the status. That DRS has refused is certain without it.
            with suppress(DrsError):
                yield from _get_token(refused=token)
        if call.at_most_once or (not request.safe and error.error_code != TOKEN_REFUSED):
            raise _final(error) from None
    try:
        token = yield from _get_token(refused=token)
        response = yield from _send(call.request(endpoint, token, language))
    except DrsError as error:
        error.never_sent = False  # the first request was sent
        raise
    try:
        return _reply(call, token, response)
    except DrsTokenRefusedError as error:
        raise _final(error) from None


def _final(error: DrsTokenRefusedError) -> DrsError:
    """Return the error to end with: a 403 that no new token changes, or may change, is about permissions."""
    if not says_only_forbidden(error.error_code, error.http_status or 0):
        return error
    return DrsPermissionError(
        error.message, error_code=error.error_code, error_msg=error.error_msg, http_status=error.http_status
    )


def _get_token(refused: Token | None = None, because: DrsAuthenticationError | None = None) -> Flow[Token]:
    token = yield GetToken(refused, because)
    assert isinstance(token, Token)  # noqa: S101 - for the type checker
    return token


def _send(request: HttpRequest) -> Flow[HttpResponse]:
    response = yield Send(request)
    assert isinstance(response, HttpResponse)  # noqa: S101 - for the type checker
    return response


def _reply(call: Call[R], token: Token, response: HttpResponse) -> R:
    try:
        return parse(call.parse, response.redacted(*token.secrets))
    except DrsError as error:
        if error.error_code == NO_RESULT and call.when_empty is not None:
            return call.when_empty
        raise
