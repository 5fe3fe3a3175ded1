from __future__ import annotations

from .fixtures import connect, elsewhere, plain_environment, simulator

__all__ = ["connect", "elsewhere", "plain_environment", "simulator"]
