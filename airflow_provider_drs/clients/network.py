"""What a failure below HTTP means: one reading for requests, urllib3, keystoneauth1 and aiohttp alike."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from http.client import IncompleteRead

import requests
from requests.utils import get_environ_proxies, select_proxy

from airflow_provider_drs.protocol.errors import DrsError, DrsTlsError, DrsUnreachableError, readable

_NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"}


def http_session() -> requests.Session:
    """Return a session that goes through the proxy of the environment but adds nothing to a request."""
    session = requests.Session()
    # Without an authenticator of its own, requests would add what ~/.netrc holds for the host.
    session.auth = lambda request: request
    return session


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
            reason = readable(cause.verify_message or cause, 200)
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
    return f"cannot be reached: {readable(causes[0], 200) or names[0]}"


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
