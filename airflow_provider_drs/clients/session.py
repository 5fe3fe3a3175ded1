"""A ``requests`` session that ends every request by its deadline, and knows whether a request was sent.

The timeout of ``requests`` bounds each read; a server that sends a byte now and then holds a request for ever. Here a
request has one deadline: the name look-up, each address, the TLS handshake, each write and each read get the time that
is left until then.
"""

from __future__ import annotations

import io
import socket
import ssl
import threading
import time
from concurrent.futures import Future
from contextvars import ContextVar
from http.client import HTTPException, HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from airflow_provider_drs.clients.transport import (
    MAX_BODY,
    AddressInfo,
    decoded,
    environment_proxy,
    network_error,
    probed_socket,
    ssl_context,
    too_long,
)
from airflow_provider_drs.protocol.http.proxy import Proxy

# Bytes of one response with all that is around its body: headers, sizes of chunks, trailers.
MAX_RAW = 4 * MAX_BODY
MAX_INTERIM = 32  # responses of the kind 1xx before the one that counts
_PIECE = 16 * 1024


class Attempt:
    """One request: its way, its deadline, what may still be read, and whether a byte of it may have left."""

    __slots__ = ("deadline", "proxy", "readable", "sent")

    def __init__(self, timeout: float, proxy: Proxy | None) -> None:
        self.proxy = proxy
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
    :param verify: as :func:`~airflow_provider_drs.clients.transport.ssl_context` takes it.
    """

    def __init__(self, sender: str, verify: bool | str) -> None:
        super().__init__()
        self._sender = sender
        #: Of the last response: what keystoneauth1 does not hand on.
        self.last_headers: dict[str, str | None] = {}
        self.trust_env = False  # requests would add what ~/.netrc holds for the host
        for scheme in ("https://", "http://"):
            self.mount(scheme, _BoundedAdapter(verify))
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers["Accept-Encoding"] = "identity"

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send, and read the whole body.

        :raises DrsError: no response, or none by the deadline; ``never_sent`` tells whether the request left.
        :raises DrsConfigError: the environment names no proxy or CA file that can be used.
        """
        attempt = Attempt(kwargs["timeout"], environment_proxy(str(request.url)))
        place = _attempt.set(attempt)
        try:
            response = super().send(request, **{**kwargs, "stream": True, "allow_redirects": False, "proxies": {}})
            try:
                response._content = self._body(response, attempt)
                response._content_consumed = True  # type: ignore[attr-defined]
            finally:
                response.close()
        except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
            failure = network_error(error, self._sender, _origin(request), sent=attempt.sent, proxy=attempt.proxy)
        else:
            response.encoding = "utf-8"  # guessing takes long
            self.last_headers = {k: response.headers.get(k) for k in ("Date", "Openstack-Auth-Receipt")}
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
    def _connect_tls_proxy(self, hostname: str, sock: socket.socket) -> Any:
        return _BoundedSocket(super()._connect_tls_proxy(hostname, sock))


class _BoundedSocket:
    """The connection with a proxy that speaks TLS; urllib3 uses it several times for one read of what is inside."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._sock = sock

    def recv(self, size: int) -> bytes:
        self._sock.settimeout(_attempt.get().remaining())
        return self._sock.recv(size)

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(_attempt.get().remaining())
        self._sock.sendall(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Bounded


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedTls


class _BoundedAdapter(HTTPAdapter):
    """Makes connections of the kinds above, with the TLS that the asynchronous client uses too."""

    def __init__(self, verify: bool | str) -> None:
        self._verify = verify
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _bind(self.poolmanager)

    def get_connection_with_tls_context(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> Any:
        context = ssl_context(self._verify)
        manager = self._manager(_attempt.get().proxy, context)
        return manager.connection_from_url(str(request.url), pool_kwargs={"ssl_context": context})

    def _manager(self, proxy: Proxy | None, context: ssl.SSLContext) -> PoolManager:
        if proxy is None:
            return cast(PoolManager, self.poolmanager)
        if (proxy, context) not in self.proxy_manager:
            self.proxy_manager.clear()
            made = ProxyManager(proxy.url, proxy_headers=proxy.headers, proxy_ssl_context=context)
            self.proxy_manager[proxy, context] = _bind(made)
        return cast(PoolManager, self.proxy_manager[proxy, context])

    def cert_verify(self, *_: Any) -> None:
        """Do nothing: the context does it all."""


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
