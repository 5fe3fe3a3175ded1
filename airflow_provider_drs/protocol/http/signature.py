"""Requests signed with an access key in place of a token: SDK-HMAC-SHA256, as the vendor's SDK signs them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote, urlsplit

_ALGORITHM = "SDK-HMAC-SHA256"
_PORTS = {"https": ":443", "http": ":80"}


@dataclass(frozen=True)
class AccessKey:
    """An access key with its secret key, and the security token of a temporary one; secrets are not in ``repr``."""

    access_key: str
    secret_key: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)

    def signed(self, method: str, url: str, headers: Mapping[str, str], body: bytes, at: float) -> dict[str, str]:
        """Return the headers of a request with those that sign it.

        :param url: the whole address; its path and query are signed as they are sent.
        :param at: seconds since the epoch.
        """
        parts = urlsplit(url)
        signed = {
            **headers,
            "Host": parts.netloc.removesuffix(_PORTS.get(parts.scheme, "")),
            "X-Sdk-Date": datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ"),
        }
        if self.security_token:
            signed["X-Security-Token"] = self.security_token
        by_name = {name.lower(): value.strip() for name, value in signed.items()}
        names = ";".join(sorted(by_name))
        path = quote(unquote(parts.path), safe="~/")
        pairs = sorted(parse_qsl(parts.query, keep_blank_values=True))
        canonical = "\n".join(
            (
                method.upper(),
                path if path.endswith("/") else f"{path}/",
                "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs),
                "".join(f"{name}:{by_name[name]}\n" for name in sorted(by_name)),
                names,
                hashlib.sha256(body).hexdigest(),
            )
        )
        text = "\n".join((_ALGORITHM, signed["X-Sdk-Date"], hashlib.sha256(canonical.encode()).hexdigest()))
        signature = hmac.new(self.secret_key.encode(), text.encode(), "sha256").hexdigest()
        return {
            **signed,
            "Authorization": f"{_ALGORITHM} Access={self.access_key}, SignedHeaders={names}, Signature={signature}",
        }
