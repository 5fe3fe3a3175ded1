"""What the tests share: ids, statuses and the names of calls, each as DRS writes it."""

from __future__ import annotations

from typing import Final

JOB: Final = "260e27fd-4976-44dc-9948-e1265e4jb201"
OTHER_JOB: Final = "7c1d5a60-2f41-4a0e-8f0c-5d9c2b1jb202"
CHILD_JOB: Final = "5dc1c1b3-d4b5-47ad-b0d4-d2a5c2cjb201"

# 2026-11-23T12:00:00Z, in seconds since the epoch.
T0: Final = 1_795_435_200.0

# A token that no IAM of the tests has issued.
OWN_TOKEN: Final = "a-token-issued-elsewhere"

# Statuses of a switchover.
START: Final = "SWITCH_VIP_START"
COMPLETE: Final = "SWITCH_VIP_COMPLETE"
FAILED: Final = "SWITCH_VIP_FAILED"

# Statuses of a job.
RUNNING: Final = "INCRE_TRANSFER_STARTED"
FULL_TRANSFER: Final = "FULL_TRANSFER_STARTED"
RELEASED: Final = "RELEASE_RESOURCE_COMPLETE"

# Calls, as the simulator's journal and its faults name them.
TOKENS: Final = "tokens"
GET_STATUS: Final = "get-switch-vip-status"
SWITCH: Final = "switch-vip"
BATCH_STATUS: Final = "batch-status"
BATCH_PROGRESS: Final = "batch-progress"
CREATE_COMPARISON: Final = "create-compare-task"
QUERY_COMPARISON: Final = "query-compare-result"

# How a task waits. Operators know no reschedule mode.
SENSOR_MODES: Final = ("poke", "reschedule", "deferrable")
OPERATOR_MODES: Final = ("poke", "deferrable")


def numbered_job(number: int) -> str:
    """Return the id of one of many jobs."""
    return f"260e27fd-4976-44dc-9948-e1265ejb{number:04}"
