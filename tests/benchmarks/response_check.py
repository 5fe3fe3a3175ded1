"""What ``HttpEventTrigger`` is told to look for. Alone in its module, which that trigger loads anew for every poll."""

from __future__ import annotations

from typing import Any


async def is_complete(response: Any) -> bool:
    """Tell whether the switchover is complete."""
    return bool(response.json()["status"] == "SWITCH_VIP_COMPLETE")
