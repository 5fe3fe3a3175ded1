"""The proxy that a variable of the environment names: read here alone, so that its password is in no other text."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from airflow_provider_drs.protocol.errors import DrsConfigError


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy.

    :param url: its address without user and password, such as ``http://proxy.example:3128``.
    :param variable: the variable that names it, for messages.
    :param authorization: the header ``Proxy-Authorization``, None where the variable holds no user.
    """

    url: str
    variable: str
    authorization: str | None = field(default=None, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What is sent to the proxy, and to nobody else."""
        return {"Proxy-Authorization": self.authorization} if self.authorization else {}

    def __str__(self) -> str:
        return f"the proxy {self.url} ({self.variable})"


def read_proxy(value: str, variable: str) -> Proxy:
    """Return the proxy that ``variable`` names.

    :raises DrsConfigError: it is no address of an HTTP proxy. The message does not show it: it may hold a password.
    """
    if value.strip().lower().startswith("socks"):
        raise DrsConfigError(
            f"{variable} names a SOCKS proxy, which is not supported: set it to an HTTP proxy, or list the host in "
            "NO_PROXY",
            never_sent=True,
        )
    proxy = _read(value.strip(), variable)
    if proxy is None:
        raise DrsConfigError(
            f"{variable} is no address of a proxy, such as http://proxy.example:3128; in a password, "
            "/ ? # @ [ ] are written %2F %3F %23 %40 %5B %5D",
            never_sent=True,
        )
    return proxy


def _read(value: str, variable: str) -> Proxy | None:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or parts.scheme not in ("http", "https") or parts.netloc.endswith(":"):
        return None
    if any(c.isspace() or not c.isprintable() or c in "\\<>\"'%" for c in host):
        return None
    if "@" in parts.path + parts.query + parts.fragment:  # a "/", "?" or "#" of the password has ended the host
        return None
    url = f"{parts.scheme}://" + (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    if parts.username is None:
        return Proxy(url, variable)
    log_in = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(url, variable, f"Basic {b64encode(log_in.encode()).decode()}")
