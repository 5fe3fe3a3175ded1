"""What the statuses of DRS mean. The only place that decides it."""

from __future__ import annotations

from enum import Enum, StrEnum


class Meaning(Enum):
    """What a status tells a waiter."""

    NOT_BEGUN = "no switchover yet"
    RUNNING = "in progress"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "not documented"


class SwitchoverStatus(StrEnum):
    """Statuses of a switchover of virtual IP addresses ("Querying the Switchover Result", table 3)."""

    START = "SWITCH_VIP_START"
    COMPLETE = "SWITCH_VIP_COMPLETE"
    FAILED = "SWITCH_VIP_FAILED"


_MEANINGS: dict[str, Meaning] = {
    SwitchoverStatus.START: Meaning.RUNNING,
    SwitchoverStatus.COMPLETE: Meaning.DONE,
    SwitchoverStatus.FAILED: Meaning.FAILED,
}


def meaning(status: str | None) -> Meaning:
    """Tell what ``status`` means to a waiter.

    The documentation does not say what is answered before the first switchover, so no status and an empty one both
    mean that none has begun. Whatever else is not documented is unknown: never success, never a reason to wait on.
    """
    if status is None or status == "":
        return Meaning.NOT_BEGUN
    return _MEANINGS.get(status, Meaning.UNKNOWN)
