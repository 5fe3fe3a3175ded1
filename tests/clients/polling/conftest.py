from __future__ import annotations

from .streams import clock, drs

__all__ = ["clock", "drs"]
