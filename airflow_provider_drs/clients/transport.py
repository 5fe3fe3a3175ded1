"""What both clients and IAM have in common below HTTP: certificates, proxies, sockets, and what a failure means."""

from __future__ import annotations

import os
import re
import socket
import ssl
import time
from collections.abc import Iterator
from functools import lru_cache
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import certifi
import requests
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import HTTPError

from airflow_provider_drs.get_provider_info import field_name
from airflow_provider_drs.protocol.errors import (
    DrsConfigError,
    DrsError,
    DrsInvalidResponseError,
    DrsTlsError,
    DrsUnreachableError,
    one_line,
)

_NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"}
MAX_BODY = 4 * 1024 * 1024
# As getaddrinfo has it: family, type, protocol, canonical name, address.
AddressInfo = tuple[int, int, int, str, tuple[object, ...]]


class BoundedSession(requests.Session):
    """A session whose time-out bounds a whole answer; that of requests bounds each read of it.

    :param who: "DRS" or "IAM", for messages.
    """

    def __init__(self, who: str) -> None:
        super().__init__()
        self._who = who

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send, and read the whole body unless ``stream`` is set."""
        timeout = kwargs.get("timeout")
        if kwargs.get("stream") or not isinstance(timeout, (int, float)):
            return super().send(request, **kwargs)
        deadline = time.monotonic() + timeout
        response = super().send(request, **{**kwargs, "stream": True})
        try:
            response._content = read_body(response, deadline, self._who, str(request.url))
            response._content_consumed = True  # type: ignore[attr-defined]
        except HTTPError as error:
            raise requests.ConnectionError(error, request=request) from error
        finally:
            response.close()
        return response


def read_body(response: requests.Response, deadline: float, who: str, address: str) -> bytes:
    """Return the whole body of an answer that is streamed.

    :param deadline: on the monotonic clock.
    :raises DrsUnreachableError: it is not there by then.
    :raises DrsInvalidResponseError: it is longer than any answer of DRS.
    """
    parts, size = list[bytes](), 0
    while part := response.raw.read1(65536, decode_content=True):
        parts.append(part)
        size += len(part)
        if size > MAX_BODY:
            raise DrsInvalidResponseError(f"{who} answered more than {MAX_BODY} bytes")
        if time.monotonic() > deadline:
            raise DrsUnreachableError(f"{who} at {address} did not answer in time")
    return b"".join(parts)


def http_session(who: str) -> requests.Session:
    """Return a session that goes through the proxy of the environment but adds nothing to a request."""
    session = BoundedSession(who)
    # Without an authenticator of its own, requests would add what ~/.netrc holds for the host.
    session.auth = lambda request: request
    return session


def trusted(verify: bool | str) -> bool | str:
    """Return what ``requests`` takes as ``verify``: False, or the file or folder of the CAs to trust.

    True means ``REQUESTS_CA_BUNDLE`` or ``CURL_CA_BUNDLE`` where one is set, else the CAs of certifi.

    :raises DrsConfigError: the CA file is not there or holds no certificate.
    """
    if verify is False:
        return False
    if verify is True:
        return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    ssl_context(verify)
    return verify


@lru_cache(maxsize=16)
def ssl_context(verify: bool | str) -> ssl.SSLContext:
    """Return the context for ``verify``; one per process, because making one costs tens of milliseconds.

    :raises DrsConfigError: as :func:`trusted`.
    """
    if verify is False:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    place = Path(str(trusted(True) if verify is True else verify))
    try:
        if place.is_dir():
            return ssl.create_default_context(capath=place)
        return ssl.create_default_context(cafile=place)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise DrsConfigError(
            f"{field_name('verify')} names a CA file that cannot be used: {one_line(str(place), 200)!r} "
            f"({one_line(error, 120)})"
        ) from None


def probed_socket(address: AddressInfo) -> socket.socket:
    """Return a socket for ``address`` whose peer is probed while nothing is sent.

    A kept connection is idle from poll to poll; firewalls forget it meanwhile, and a request on it would hang.
    """
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPALIVE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # names and presence vary by platform
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


def environment_proxy(address: str) -> str | None:
    """Return the proxy that ``requests`` takes for ``address``: the variables' ``HTTPS_PROXY``, ``NO_PROXY`` ..."""
    proxy = select_proxy(address, get_environ_proxies(address))
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def network_error(error: BaseException, who: str, address: str) -> DrsError:
    """Return what ``error`` stands for: certificates are for a person to set right, all else may pass.

    :param who: "DRS" or "IAM", for the message.
    :param address: where the request went.
    """
    causes = list(_causes(error))
    for cause in causes:
        # aiohttp derives errors from those of ssl without giving them their attributes; the original is behind them.
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_message"):
            reason = one_line(cause.verify_message or cause, 200)
            return DrsTlsError(f"the certificate of {who} at {address} does not verify: {reason}")
        if isinstance(cause, ssl.SSLError) and getattr(cause, "reason", None) in _NOT_TLS:
            return DrsTlsError(f"{who} at {address} does not speak TLS: {cause.reason}")
    return DrsUnreachableError(f"{who} at {address} {_what_happened(causes)}")


def _what_happened(causes: list[BaseException]) -> str:
    for cause in causes:
        if isinstance(cause, socket.gaierror) or "NameResolution" in type(cause).__name__:
            return "cannot be reached: unknown host"
    for cause in causes:
        if isinstance(cause, ConnectionRefusedError):
            return "refused the connection"
        if isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__:
            return "did not answer in time"
    names = [type(cause).__name__ for cause in causes]
    if any(isinstance(cause, IncompleteRead) for cause in causes) or "ClientPayloadError" in names:
        return "cut its answer short"
    if any(isinstance(cause, ConnectionError) for cause in causes) or "ServerDisconnectedError" in names:
        return "cut the connection"
    # Of what is left, errors of a proxy hold its address, and with it its password.
    told = re.sub(r"(?<=//)[^/\s@]*@", "***@", str(causes[0]))
    return f"cannot be reached: {one_line(told, 200) or names[0]}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error`` and what is behind it; each library hides the cause in a place of its own."""
    queue, seen = [error], set[int]()
    while queue and len(seen) < 32:
        current = queue.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        hidden = [getattr(current, name, None) for name in ("reason", "os_error", "certificate_error", "original")]
        behind = [current.__cause__, current.__context__, *hidden, *current.args]
        queue.extend(x for x in behind if isinstance(x, BaseException))
