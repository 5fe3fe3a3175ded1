"""A certificate authority and a server certificate, new for each simulator."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from pathlib import Path
from typing import Final

_ALWAYS: Final = ("localhost", "127.0.0.1", "::1")


class MissingTrustmeError(RuntimeError):
    """TLS was asked for without the library that makes certificates."""


def make_certificates(host: str, directory: Path) -> tuple[str, ssl.SSLContext]:
    """Write ``ca.pem`` and ``server.pem`` (key and chain) into ``directory``.

    The certificate is good for ``host``, the loopback addresses, and this machine's name when ``host`` means every
    address. Returns the CA's path and the context to serve with. Raises MissingTrustmeError, or OSError where the
    directory cannot be written to.
    """
    try:
        import trustme  # without TLS it is not needed
    except ImportError:
        raise MissingTrustmeError(
            "The simulator needs trustme to serve TLS: pip install trustme, or use no TLS."
        ) from None
    names = list(_ALWAYS)
    names += [name for name in (socket.gethostname() if is_wildcard(host) else host,) if name not in names]
    authority = trustme.CA()
    certificate = authority.issue_cert(*names)
    authority.cert_pem.write_to_path(directory / "ca.pem")
    server_pem = directory / "server.pem"
    server_pem.touch(mode=0o600)
    certificate.private_key_and_cert_chain_pem.write_to_path(server_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_pem)
    return str(directory / "ca.pem"), context


def is_wildcard(host: str) -> bool:
    """Whether binding to ``host`` means every address of this machine."""
    try:
        return host == "" or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def is_loopback(host: str | None) -> bool:
    """Whether ``host`` is this machine and nothing else."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return host == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
