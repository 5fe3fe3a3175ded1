"""What both clients and IAM have in common below HTTP: certificates, proxies, sockets, and what a failure means."""

from __future__ import annotations

import os
import socket
import ssl
import zlib
from collections.abc import Iterator
from functools import lru_cache
from http.client import HTTPException, IncompleteRead
from pathlib import Path

import certifi
from requests.utils import get_environ_proxies, select_proxy

from airflow_provider_drs.get_provider_info import field_name
from airflow_provider_drs.protocol.errors import (
    DrsConfigError,
    DrsError,
    DrsInvalidResponseError,
    DrsTlsError,
    DrsUnreachableError,
    one_line,
)

# Bytes; no response of DRS or IAM is longer.
MAX_BODY = 4 * 1024 * 1024
# Bytes of one header; tokens of the public cloud come in headers and are kilobytes long.
MAX_HEADER = 64 * 1024
# As getaddrinfo has it: family, type, protocol, canonical name, address.
AddressInfo = tuple[int, int, int, str, tuple[object, ...]]

_NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"}


def trusted(verify: bool | str) -> bool | str:
    """Return what ``requests`` takes as ``verify``: False, or the file or folder of the CAs to trust.

    True means ``REQUESTS_CA_BUNDLE`` or ``CURL_CA_BUNDLE`` where one is set, else the CAs of certifi.

    :raises DrsConfigError: the CA file does not exist or holds no certificate.
    """
    if verify is False:
        return False
    if verify is True:
        return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    ssl_context(verify)
    return verify


@lru_cache(maxsize=16)
def ssl_context(verify: bool | str) -> ssl.SSLContext:
    """Return the context for ``verify``; one per process, because making one takes tens of milliseconds.

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


def decoded(body: bytes, encoding: str | None, sender: str) -> bytes:
    """Return a body without the compression that the server chose although the clients ask for none.

    :param encoding: the header ``Content-Encoding``.
    :raises DrsInvalidResponseError: it is compressed in another way, broken, or too long.
    """
    encoding = (encoding or "").strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise DrsInvalidResponseError(f"{sender} answered in the encoding {one_line(encoding, 40)!r}")
    unpack = zlib.decompressobj(32 + zlib.MAX_WBITS)  # gzip or zlib, as its header says
    try:
        plain = unpack.decompress(body, MAX_BODY + 1)
    except zlib.error:
        raise DrsInvalidResponseError(f"{sender} answered a body that is no {encoding}") from None
    if len(plain) > MAX_BODY:
        raise too_long(sender)
    if not unpack.eof:
        raise DrsUnreachableError(f"{sender} cut its answer short")
    return plain


def too_long(sender: str) -> DrsInvalidResponseError:
    """Return the error about a body longer than any response of DRS."""
    return DrsInvalidResponseError(f"{sender} answered more than {MAX_BODY} bytes")


def network_error(error: BaseException, sender: str, address: str, *, sent: bool) -> DrsError:
    """Return what ``error`` stands for: certificates need a person, everything else is transient.

    :param sender: "DRS" or "IAM", for the message.
    :param address: where the request was to go.
    :param sent: a byte of the request may have left this machine; False where none has, provably.
    """
    failures = list(_causes(error))
    for cause in () if sent else failures:
        # aiohttp derives errors from those of ssl without giving them their attributes; the original is behind them.
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_message"):
            reason = one_line(cause.verify_message or cause, 200)
            return DrsTlsError(f"the certificate of {sender} at {address} does not verify: {reason}", never_sent=True)
        if isinstance(cause, ssl.SSLError) and getattr(cause, "reason", None) in _NOT_TLS:
            return DrsTlsError(f"{sender} at {address} does not speak TLS: {cause.reason}", never_sent=True)
    kind, what = _what_happened(failures)
    return kind(f"{sender} at {address} {what}", never_sent=not sent)


def _what_happened(failures: list[BaseException]) -> tuple[type[DrsError], str]:
    for cause in failures:
        if isinstance(cause, socket.gaierror) or "NameResolution" in type(cause).__name__:
            return DrsUnreachableError, "cannot be reached: unknown host"
    for cause in failures:
        if isinstance(cause, ConnectionRefusedError):
            return DrsUnreachableError, "refused the connection"
        if isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__:
            return DrsUnreachableError, "did not answer in time"
    names = [type(cause).__name__ for cause in failures]
    if any(isinstance(cause, IncompleteRead) for cause in failures) or "ClientPayloadError" in names:
        return DrsUnreachableError, "cut its answer short"
    if any(isinstance(cause, (ConnectionError, ssl.SSLError)) for cause in failures) or (
        "ServerDisconnectedError" in names
    ):
        return DrsUnreachableError, "cut the connection"
    if any(isinstance(cause, HTTPException) for cause in failures) or "ClientResponseError" in names:
        return DrsInvalidResponseError, "answered something that is no HTTP"
    # What is left tells its kind only: texts of errors hold addresses of proxies with their passwords, and headers.
    reason = next((cause.strerror for cause in failures if isinstance(cause, OSError) and cause.strerror), None)
    return DrsUnreachableError, f"cannot be reached: {one_line(reason or names[0], 100)}"


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
