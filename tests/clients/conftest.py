from __future__ import annotations

from .fixtures import connect, elsewhere, plain_environment, simulator
from .streams import clock, drs

__all__ = ["clock", "connect", "drs", "elsewhere", "plain_environment", "simulator"]
