"""Requests signed with an access key and a secret key (SDK-HMAC-SHA256), as the gateway in front of DRS checks them."""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, unquote

from airflow_provider_drs.simulator.requests import Request

ALGORITHM: Final = "SDK-HMAC-SHA256"
_AUTHORIZATION: Final = re.compile(rf"{ALGORITHM} Access=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]+)")
_DATE: Final = "%Y%m%dT%H%M%SZ"
_MAX_SKEW: Final = 900.0
_MAX_WRONG: Final = 5
_LOCK_SECONDS: Final = 300.0


class SignatureError(Exception):
    """A request is not signed as it must be; the text is what the gateway says."""


@dataclass(frozen=True)
class AccessKey:
    """A key of the user for one project; a temporary one has a ``security_token``, which goes with each request."""

    access_key: str
    secret_key: str
    project_id: str
    security_token: str | None = None


class Signatures:
    """Checks signatures made with one key; safe to use from several threads.

    Five wrong signatures in a row lock the key for five minutes.
    """

    def __init__(self, key: AccessKey, clock: Callable[[], float]) -> None:
        self._key = key
        self._clock = clock
        self._wrong = 0
        self._locked_until = 0.0
        self._lock = threading.Lock()

    def check(self, request: Request) -> str:
        """The id of the key's project; raises SignatureError unless the request is signed with the key, and lately."""
        found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
        if found is None:
            raise SignatureError("the Authorization header is malformed")
        access_key, names, signature = found.groups()
        if access_key != self._key.access_key:
            raise SignatureError(f"Get secretKey failed,ak:{access_key},err:ak not exist")
        if self._key.security_token is not None and not hmac.compare_digest(
            request.headers.get("x-security-token", "").encode(), self._key.security_token.encode()
        ):
            raise SignatureError("the security token is missing or wrong")
        with self._lock:
            if self._clock() < self._locked_until:
                raise SignatureError("AK access failed to reach the limit,forbidden")
            self._check_date(request.headers.get("x-sdk-date", ""))
            if not hmac.compare_digest(sign(request, names.split(";"), self._key.secret_key), signature):
                self._wrong += 1
                if self._wrong >= _MAX_WRONG:
                    self._wrong, self._locked_until = 0, self._clock() + _LOCK_SECONDS
                raise SignatureError("verify aksk signature fail")
            self._wrong = 0
        return self._key.project_id

    def _check_date(self, text: str) -> None:
        try:
            at = datetime.strptime(text, _DATE).replace(tzinfo=UTC).timestamp()
        except ValueError:
            raise SignatureError("X-Sdk-Date is missing or malformed") from None
        if abs(self._clock() - at) > _MAX_SKEW:
            raise SignatureError("the request timestamp is expired")


def sign(request: Request, names: list[str], secret_key: str) -> str:
    """The signature of a request over the headers of these names, in hexadecimal digits."""
    uri = quote(unquote(request.route.path), safe="~/").rstrip("/") + "/"
    query = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(request.query))
    headers = "".join(f"{name}:{request.headers.get(name, '').strip()}\n" for name in names)
    payload = request.headers.get("x-sdk-content-sha256") or hashlib.sha256(request.body).hexdigest()
    canonical = "\n".join((request.method, uri, query, headers, ";".join(names), payload))
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join((ALGORITHM, request.headers.get("x-sdk-date", ""), digest))
    return hmac.new(secret_key.encode(), text.encode(), "sha256").hexdigest()
