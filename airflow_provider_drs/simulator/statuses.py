"""The statuses that the simulator knows by name, and what a script may hold besides statuses."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class SwitchoverStatus(StrEnum):
    """The documented statuses of ``get-switch-vip-status``."""

    START = "SWITCH_VIP_START"
    COMPLETE = "SWITCH_VIP_COMPLETE"
    FAILED = "SWITCH_VIP_FAILED"


class JobStatus(StrEnum):
    """The statuses of a job that decide what may be done with it."""

    CREATING = "CREATING"
    CREATE_FAILED = "CREATE_FAILED"
    CONFIGURATION = "CONFIGURATION"
    WAITING_FOR_START = "WAITING_FOR_START"
    STARTING = "STARTJOBING"
    START_FAILED = "START_JOB_FAILED"
    FULL_STARTED = "FULL_TRANSFER_STARTED"
    FULL_FAILED = "FULL_TRANSFER_FAILED"
    FULL_COMPLETE = "FULL_TRANSFER_COMPLETE"
    REPLICATING = "INCRE_TRANSFER_STARTED"
    REPLICATION_FAILED = "INCRE_TRANSFER_FAILED"
    PAUSED = "PAUSING"  # despite its name, the status of a job that is paused
    STOPPING = "RELEASE_RESOURCE_STARTED"
    STOPPED = "RELEASE_RESOURCE_COMPLETE"
    CHILD_STOPPING = "RELEASE_CHILD_TRANSFER_STARTED"
    CHILD_STOPPED = "RELEASE_CHILD_TRANSFER_COMPLETE"


class ScriptItem(StrEnum):
    """What an item of a script may say in place of a status or a lag."""

    ABSENT = "ABSENT"  # the field is left out
    EMPTY = "EMPTY"  # in a ``status_script``: error DRS.M00002
    MISSING = "MISSING"  # in a ``task_status_script``: the job is left out of the response


#: ``no_switchover`` -> the item of a script that says the same.
BEFORE_ANY_SWITCHOVER: Final[dict[str, str | None]] = {
    "empty": ScriptItem.EMPTY,
    "null": None,
    "absent": ScriptItem.ABSENT,
}
