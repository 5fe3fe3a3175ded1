"""How a connection ends where a machine behind it is gone: with a TCP reset."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


def reset(transport: asyncio.BaseTransport) -> None:
    """End the connection of a transport at once, and let the peer see a reset."""
    own = transport.get_extra_info("socket")
    if own is not None and own.fileno() >= 0:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
