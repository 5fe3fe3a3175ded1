"""What the statuses of a job mean. The only place that decides it."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """Statuses of a job ("Querying Task Status"); the service knows more than its documentation names."""

    CREATING = "CREATING"
    CREATE_FAILED = "CREATE_FAILED"
    CONFIGURATION = "CONFIGURATION"
    STARTJOBING = "STARTJOBING"
    WAITING_FOR_START = "WAITING_FOR_START"
    START_JOB_FAILED = "START_JOB_FAILED"
    PAUSING = "PAUSING"  # despite its name, the status of a job that is paused, by the vendor's own client
    FULL_TRANSFER_STARTED = "FULL_TRANSFER_STARTED"
    FULL_TRANSFER_FAILED = "FULL_TRANSFER_FAILED"
    FULL_TRANSFER_COMPLETE = "FULL_TRANSFER_COMPLETE"
    INCRE_TRANSFER_STARTED = "INCRE_TRANSFER_STARTED"
    INCRE_TRANSFER_FAILED = "INCRE_TRANSFER_FAILED"
    RELEASE_RESOURCE_STARTED = "RELEASE_RESOURCE_STARTED"
    RELEASE_RESOURCE_FAILED = "RELEASE_RESOURCE_FAILED"
    RELEASE_RESOURCE_COMPLETE = "RELEASE_RESOURCE_COMPLETE"
    CHANGE_JOB_STARTED = "CHANGE_JOB_STARTED"
    CHANGE_JOB_FAILED = "CHANGE_JOB_FAILED"
    CHILD_TRANSFER_STARTING = "CHILD_TRANSFER_STARTING"
    CHILD_TRANSFER_STARTED = "CHILD_TRANSFER_STARTED"
    CHILD_TRANSFER_COMPLETE = "CHILD_TRANSFER_COMPLETE"
    CHILD_TRANSFER_FAILED = "CHILD_TRANSFER_FAILED"
    RELEASE_CHILD_TRANSFER_STARTED = "RELEASE_CHILD_TRANSFER_STARTED"
    RELEASE_CHILD_TRANSFER_COMPLETE = "RELEASE_CHILD_TRANSFER_COMPLETE"
    # What follows is named by the vendor's own client only.
    REBUILD_NODE_STARTED = "REBUILD_NODE_STARTED"
    REBUILD_NODE_FAILED = "REBUILD_NODE_FAILED"
    NODE_UPGRADE_START = "NODE_UPGRADE_START"
    NODE_UPGRADE_COMPLETE = "NODE_UPGRADE_COMPLETE"
    NODE_UPGRADE_FAILED = "NODE_UPGRADE_FAILED"
    DELETED = "DELETED"


# The one status in which a job may be cut over.
HEALTHY = JobStatus.INCRE_TRANSFER_STARTED
# DRS resumes a job by itself after some failures: a gate gives them time (``failure_grace``).
FAILED_JOB_STATUSES = frozenset(
    {
        JobStatus.CREATE_FAILED,
        JobStatus.START_JOB_FAILED,
        JobStatus.FULL_TRANSFER_FAILED,
        JobStatus.INCRE_TRANSFER_FAILED,
        JobStatus.RELEASE_RESOURCE_FAILED,
        JobStatus.CHANGE_JOB_FAILED,
        JobStatus.CHILD_TRANSFER_FAILED,
        JobStatus.REBUILD_NODE_FAILED,
        JobStatus.NODE_UPGRADE_FAILED,
    }
)
STOPPED_JOB_STATUSES = frozenset(
    {
        JobStatus.RELEASE_RESOURCE_STARTED,
        JobStatus.RELEASE_RESOURCE_COMPLETE,
        JobStatus.RELEASE_CHILD_TRANSFER_STARTED,
        JobStatus.RELEASE_CHILD_TRANSFER_COMPLETE,
        JobStatus.DELETED,
    }
)

# The documentation writes these two ways.
_SPELLINGS = {"PAUSEING": JobStatus.PAUSING, "STARTJOB_FAILED": JobStatus.START_JOB_FAILED}


def job_status(text: str) -> str:
    """Return a job's status in the spelling of :class:`JobStatus`; one that is not documented stays as it is."""
    return str(_SPELLINGS.get(text, text))
