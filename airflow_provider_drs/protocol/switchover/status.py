"""What the statuses of a switchover mean. The only place that decides it."""

from __future__ import annotations

from enum import Enum, StrEnum


class SwitchoverState(Enum):
    """What a status tells a wait."""

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


_MEANINGS: dict[str, SwitchoverState] = {
    SwitchoverStatus.START: SwitchoverState.RUNNING,
    SwitchoverStatus.COMPLETE: SwitchoverState.DONE,
    SwitchoverStatus.FAILED: SwitchoverState.FAILED,
}


def switchover_state(status: str | None) -> SwitchoverState:
    """Tell what ``status`` means to a wait.

    The documentation does not say what DRS sends before the first switchover, so no status and an empty one both mean
    that none has begun. Any other undocumented status is unknown: never a success, never a reason to keep waiting.
    """
    if status is None or status == "":
        return SwitchoverState.NOT_BEGUN
    return _MEANINGS.get(status, SwitchoverState.UNKNOWN)


def unambiguous_status(status: str | None, error_code: str | None) -> str | None:
    """Return the status as sent, or one that is not known where the response contradicts itself.

    COMPLETE beside an error code is such a contradiction. What comes of it is an unknown status to everybody, taken
    neither for an end nor for a baseline, and messages show both halves of it.
    """
    contradicts = bool(error_code) and switchover_state(status) is SwitchoverState.DONE
    return f"{status} beside the error {error_code}" if contradicts else status
