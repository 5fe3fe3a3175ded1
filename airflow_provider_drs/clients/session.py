"""A ``requests`` session that ends every request by its deadline, and knows whether a request was sent.

The time-out of ``requests`` bounds each read; a server that sends a byte now and then holds a request for ever. Here a
request has one deadline: the name look-up, each address, the TLS handshake, each write and each read get the time that
is left until then.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from concurrent.futures import Future
from contextvars import ContextVar
from http.client import HTTPException, HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from airflow_provider_drs.clients.transport import (
    MAX_BODY,
    AddressInfo,
    decoded,
    network_error,
    probed_socket,
    too_long,
)

# Bytes of one response with all that is around its body: headers, sizes of chunks, trailers.
MAX_RAW = 4 * MAX_BODY
MAX_INTERIM = 32  # responses of the kind 1xx before the one that counts
_PIECE = 16 * 1024


class Attempt:
    """One request: its deadline, what may still be read, and whether a byte of it may have left this machine."""

    __slots__ = ("deadline", "readable", "sent")

    def __init__(self, timeout: float) -> None:
        self.deadline = time.monotonic() + timeout
        self.readable = MAX_RAW
        self.sent = False

    def remaining(self) -> float:
        """Return the seconds until the deadline.

        :raises TimeoutError: it has passed.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline of the request has passed")
        return left


_attempt: ContextVar[Attempt] = ContextVar("attempt")


class BoundedSession(requests.Session):
    """A session whose ``timeout`` bounds a request from the name look-up to the last byte of the body.

    It goes through the proxy of the environment but adds nothing to a request, and keeps no cookies.

    :param sender: whose responses these are, "DRS" or "IAM", for messages.
    """

    def __init__(self, sender: str) -> None:
        super().__init__()
        self._sender = sender
        for scheme in ("https://", "http://"):
            self.mount(scheme, _BoundedAdapter())
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers["Accept-Encoding"] = "identity"
        # Without an authenticator of its own, requests would add what ~/.netrc holds for the host.
        self.auth = lambda request: request

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send, and read the whole body.

        :raises DrsError: no response, or none by the deadline; ``never_sent`` tells whether the request left.
        """
        attempt = Attempt(kwargs["timeout"])
        place = _attempt.set(attempt)
        try:
            response = super().send(request, **{**kwargs, "stream": True, "allow_redirects": False})
            try:
                response._content = self._body(response, attempt)
                response._content_consumed = True  # type: ignore[attr-defined]
            finally:
                response.close()
        except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
            failure = network_error(error, self._sender, _origin(request), sent=attempt.sent)
        else:
            response.encoding = "utf-8"  # guessing takes long
            return response
        finally:
            _attempt.reset(place)
        # Not chained: the causes hold the request and so token or password.
        raise failure from None

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: redirects are not followed, nor their addresses read."""

    def _body(self, response: requests.Response, attempt: Attempt) -> bytes:
        parts, size = list[bytes](), 0
        while part := response.raw.read1(65536, decode_content=False):
            parts.append(part)
            size += len(part)
            if size > MAX_BODY:
                raise too_long(self._sender)
            attempt.remaining()
        return decoded(b"".join(parts), response.headers.get("Content-Encoding"), self._sender)


def _origin(request: requests.PreparedRequest) -> str:
    """Return scheme, host and port of a request's address."""
    return "/".join(str(request.url).split("/")[:3])


class _BoundedReader(io.RawIOBase):
    """Reads a response; each read gets the time that is left."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        attempt = _attempt.get()
        self._sock.settimeout(attempt.remaining())
        count = self._raw.readinto(buffer)
        attempt.readable -= count or 0
        if attempt.readable < 0:
            raise HTTPException(f"more than {MAX_RAW} bytes")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    """A response read in time; 1xx are passed over, and headers that cannot be read are an error."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), sock))

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MAX_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200 or status == 101:
                return version, status, reason
            while self.fp.readline(_PIECE) not in (b"\r\n", b"\n", b""):
                pass
        raise HTTPException(f"more than {MAX_INTERIM} interim responses")

    def begin(self) -> None:
        super().begin()
        if self.headers.defects or self.headers.get_payload():
            raise HTTPException("malformed headers")  # urllib3 would log them, with whatever they echo


class _Bounded(HTTPConnection):
    """A connection that is made, written to and read from until the deadline of the current request."""

    response_class = _BoundedResponse

    def _new_conn(self) -> socket.socket:
        return _connected(self._dns_host, self.port, _attempt.get())

    def _tunnel(self) -> None:
        super()._tunnel()
        self.sock.settimeout(_attempt.get().remaining())  # for the handshake

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            self.connect()
        _attempt.get().sent = True
        super().request(*args, **kwargs)

    def send(self, data: Any) -> None:
        if self.sock is None or not isinstance(data, bytes):
            super().send(data)
            return
        for at in range(0, len(data), _PIECE):
            self.sock.settimeout(_attempt.get().remaining())
            super().send(data[at : at + _PIECE])


class _BoundedTls(_Bounded, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Bounded


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedTls


class _BoundedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _bind(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> PoolManager:
        return _bind(super().proxy_manager_for(proxy, **kwargs))


def _bind(manager: PoolManager) -> PoolManager:
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return manager


def _connected(host: str, port: int, attempt: Attempt) -> socket.socket:
    """Return a socket that is connected to the first address of ``host`` that accepts, each in its share of the time.

    :raises OSError: none accepts.
    """
    addresses = _looked_up(host.strip("[]"), port, attempt.remaining())
    failure: OSError = OSError("no address")
    for number, address in enumerate(addresses):
        made = probed_socket(address)
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.settimeout(attempt.remaining() / (len(addresses) - number))
            made.connect(address[4])
            made.settimeout(attempt.remaining())
        except OSError as error:
            made.close()
            failure = error
        else:
            return made
    raise failure


def _looked_up(host: str, port: int, timeout: float) -> list[AddressInfo]:
    """Return the addresses of ``host``. In a thread, because nothing else bounds the look-up.

    :raises OSError: there is none, or none in time.
    """
    found: Future[list[AddressInfo]] = Future()

    def look_up() -> None:
        try:
            found.set_result(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except Exception as error:
            found.set_exception(error)

    threading.Thread(target=look_up, name="drs-name-look-up", daemon=True).start()
    return found.result(timeout)
