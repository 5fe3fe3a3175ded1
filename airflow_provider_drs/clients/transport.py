"""What both clients and IAM have in common below HTTP: certificates, proxies, sockets, and what a failure means."""

from __future__ import annotations

import os
import re
import socket
import ssl
import stat
import zlib
from collections.abc import Iterator
from functools import cache
from http.client import HTTPException, IncompleteRead
from urllib.parse import urlsplit

import certifi
from requests.utils import get_environ_proxies

from airflow_provider_drs.get_provider_info import field_name
from airflow_provider_drs.protocol.errors import (
    DrsConfigError,
    DrsError,
    DrsInvalidResponseError,
    DrsTlsError,
    DrsUnreachableError,
    one_line,
)
from airflow_provider_drs.protocol.http.proxy import Proxy, read_proxy

# Bytes; no response of DRS or IAM is longer.
MAX_BODY = 4 * 1024 * 1024
# Bytes that one read gets, nearly. An event loop hears of a deadline between two reads only, and a server may send
# thousands of small pieces that each must be looked at.
RECEIVE_BUFFER = 32 * 1024
# Bytes of one header; tokens of the public cloud come in headers and are kilobytes long.
MAX_HEADER = 64 * 1024
# As getaddrinfo has it: family, type, protocol, canonical name, address.
AddressInfo = tuple[int, int, int, str, tuple[object, ...]]

# The field of the connection that holds the sender's address.
_ADDRESS = {"DRS": "host", "IAM": "auth_url"}
_OTHER_ENCODINGS = ("br", "compress", "dcb", "dcz", "zstd")
_NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"}


def ssl_context(verify: bool | str) -> ssl.SSLContext:
    """Return what both clients verify certificates with. It is kept: making one takes tens of milliseconds.

    A CA file that has changed is read again. While that fails, perhaps because it is just being written, the
    certificates that it held before stay trusted.

    :param verify: False: nothing is verified. True: ``REQUESTS_CA_BUNDLE`` or ``CURL_CA_BUNDLE`` where one is set, else
        the CAs of certifi. Text: a CA file, or a folder of them.
    :raises DrsConfigError: there is no such file, or it holds no certificate; the message tells what names it.
    """
    if verify is False:
        return _unverified()
    name, place = _named_file(verify)
    kept = _contexts.get(place)
    try:
        state = os.stat(place)
        version = (state.st_mtime_ns, state.st_size, state.st_ino)
        if kept is not None and kept[0] == version:
            return kept[1]
        folder = stat.S_ISDIR(state.st_mode)
        made = ssl.create_default_context(capath=place) if folder else ssl.create_default_context(cafile=place)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        if kept is not None:
            return kept[1]
        raise DrsConfigError(
            f"{name} names a CA file that cannot be used: {one_line(place, 200)!r} ({one_line(error, 120)})",
            never_sent=True,
        ) from None
    _contexts[place] = version, made
    return made


_contexts: dict[str, tuple[tuple[int, int, int], ssl.SSLContext]] = {}


@cache
def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _named_file(verify: bool | str) -> tuple[str, str]:
    """Return what names the CA file, and its path."""
    if isinstance(verify, str):
        return field_name("verify"), verify
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if place := os.environ.get(variable):
            return variable, place
    return "certifi", certifi.where()


def probed_socket(address: AddressInfo) -> socket.socket:
    """Return a socket for ``address`` whose peer is probed while nothing is sent, and that takes in little at once.

    A kept connection is idle from poll to poll; firewalls forget it meanwhile, and a request on it would hang.
    """
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)  # before it connects
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPALIVE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # names and presence vary by platform
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


def environment_proxy(address: str) -> Proxy | None:
    """Return the proxy that ``HTTPS_PROXY`` or ``ALL_PROXY`` names for ``address``, unless ``NO_PROXY`` excepts it.

    Plain http leads to this machine alone and has no proxy, which would be sent the token in the clear.

    :raises DrsConfigError: the variable holds no address of an HTTP proxy.
    """
    if not address.startswith("https:"):
        return None
    proxies = get_environ_proxies(address)
    for kind in ("https", "all"):
        if value := proxies.get(kind):
            lower = f"{kind}_proxy"
            return read_proxy(value, lower if os.environ.get(lower) else lower.upper())
    return None


def decoded(body: bytes, encoding: str | None, sender: str) -> bytes:
    """Return a body without the compression that the server chose although the clients ask for none.

    :param encoding: the header ``Content-Encoding``.
    :raises DrsInvalidResponseError: it is compressed in another way, broken, or too long.
    """
    encoding = (encoding or "").strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        # Of others only the kind: a server may echo a secret here.
        kind = f"the encoding {encoding!r}" if encoding in _OTHER_ENCODINGS else "an unknown encoding"
        raise DrsInvalidResponseError(f"{sender} responded in {kind}")
    unpack = zlib.decompressobj(32 + zlib.MAX_WBITS)  # gzip or zlib, as its header says
    try:
        plain = unpack.decompress(body, MAX_BODY + 1)
    except zlib.error:
        raise DrsInvalidResponseError(f"{sender} responded with a body that is no {encoding}") from None
    if len(plain) > MAX_BODY:
        raise too_long(sender)
    if not unpack.eof:
        raise DrsUnreachableError(f"{sender} cut its response short")
    return plain


def too_long(sender: str) -> DrsInvalidResponseError:
    """Return the error about a body longer than any response of DRS."""
    return DrsInvalidResponseError(f"{sender} responded with more than {MAX_BODY} bytes")


def network_error(
    error: BaseException, sender: str, address: str, *, sent: bool, proxy: Proxy | None = None
) -> DrsError:
    """Return what ``error`` stands for: a certificate or a refusing proxy needs a person, all else is transient.

    :param sender: "DRS" or "IAM", for the message.
    :param address: where the request was to go.
    :param sent: a byte of the request may have left this machine; False where none has, provably.
    :param proxy: the proxy on the way.
    """
    failures = list(_causes(error))
    who = f"{sender} at {address}"
    if sent:
        kind, what = _what_happened(failures)
        return kind(f"{who} {what}")
    if proxy is not None:
        if status := next(filter(None, map(_refusal, failures)), None):
            return _proxy_refuses(proxy, status, who)
        who = str(proxy) if any(_at_proxy(cause, proxy) for cause in failures) else f"{who}, through {proxy},"
    for cause in failures:
        # aiohttp derives errors from those of ssl without giving them their attributes; the original is behind them.
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_message"):
            reason = one_line(cause.verify_message or cause, 200)
            text = f"the certificate of {who} does not verify: {reason}"
            return DrsTlsError(text, error_msg=reason, never_sent=True)
        if isinstance(cause, ssl.SSLError) and getattr(cause, "reason", None) in _NOT_TLS:
            return DrsTlsError(f"{who} does not speak TLS: {cause.reason}", never_sent=True)
    kind, what = _what_happened(failures)
    check = (
        "" if proxy is not None else f"; check {field_name(_ADDRESS[sender])}, {field_name('region')} and the network"
    )
    return kind(f"{who} {what}{check}", never_sent=True)


def _refusal(cause: BaseException) -> int | None:
    """Return the HTTP status with which a proxy refused to make a connection."""
    if type(cause).__name__ == "ClientHttpProxyError":
        return int(getattr(cause, "status", 0)) or None
    match = re.match(r"Tunnel connection failed: (\d{3})", str(cause)) if isinstance(cause, OSError) else None
    return int(match[1]) if match else None


def _proxy_refuses(proxy: Proxy, status: int, target: str) -> DrsError:
    if status == 407:
        wants = "refuses user and password" if proxy.authorization else "wants a user and a password"
        return DrsConfigError(
            f"{proxy} {wants} (HTTP 407): set them in {proxy.variable}", http_status=status, never_sent=True
        )
    # A status of the kind 4xx is what the proxy is told to do; of another kind, it is in trouble.
    decided = 400 <= status < 500 and status not in (408, 425, 429)
    kind = DrsConfigError if decided else DrsUnreachableError
    return kind(f"{proxy} makes no connection to {target} (HTTP {status})", http_status=status, never_sent=True)


def _at_proxy(cause: BaseException, proxy: Proxy) -> bool:
    """Tell whether the proxy itself could not be reached, or its certificate not be verified."""
    if type(cause).__name__ in ("ProxyError", "ClientProxyConnectionError"):
        return True
    if type(cause).__name__ not in ("ClientConnectorCertificateError", "ClientConnectorSSLError"):
        return False
    parts = urlsplit(proxy.url)
    place = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    return (getattr(cause, "host", None), getattr(cause, "port", None)) == place


def _what_happened(failures: list[BaseException]) -> tuple[type[DrsError], str]:
    for cause in failures:
        if isinstance(cause, socket.gaierror) or "NameResolution" in type(cause).__name__:
            return DrsUnreachableError, "cannot be reached: unknown host"
    for cause in failures:
        if isinstance(cause, ConnectionRefusedError):
            return DrsUnreachableError, "refused the connection"
        if isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__:
            return DrsUnreachableError, "did not respond in time"
    names = [type(cause).__name__ for cause in failures]
    if any(isinstance(cause, IncompleteRead) for cause in failures) or "ClientPayloadError" in names:
        return DrsUnreachableError, "cut its response short"
    if any(isinstance(cause, (ConnectionError, ssl.SSLError)) for cause in failures) or (
        "ServerDisconnectedError" in names
    ):
        return DrsUnreachableError, "cut the connection"
    if any(isinstance(cause, HTTPException) for cause in failures) or "ClientResponseError" in names:
        return DrsInvalidResponseError, "responded with something that is no HTTP"
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
