"""Which call a request is: the one place that knows the paths of IAM and DRS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

TOKENS: Final = "tokens"
VALIDATE_TOKEN: Final = "validate-token"
SWITCH_VIP: Final = "switch-vip"
SWITCH_VIP_STATUS: Final = "get-switch-vip-status"
LIST_JOBS: Final = "list-jobs"
BATCH_STATUS: Final = "batch-status"
BATCH_PROGRESS: Final = "batch-progress"
BATCH_DETAIL: Final = "batch-detail"
CREATE_COMPARE_TASK: Final = "create-compare-task"
QUERY_COMPARE_RESULT: Final = "query-compare-result"
BATCH_STARTING: Final = "batch-starting"
BATCH_PAUSE_TASK: Final = "batch-pause-task"
BATCH_RETRY_TASK: Final = "batch-retry-task"
BATCH_JOBS: Final = "batch-jobs"
OTHER: Final = "other"

#: In place of a call's name: every request under ``/v3/{project_id}/``, also one to a path that DRS does not have.
ANY_DRS_CALL: Final = "*"

# What stands after /jobs/ in the path of these calls is their name.
_POSTED: Final = (
    *(BATCH_STATUS, BATCH_PROGRESS, BATCH_DETAIL, CREATE_COMPARE_TASK, QUERY_COMPARE_RESULT),
    *(BATCH_STARTING, BATCH_PAUSE_TASK, BATCH_RETRY_TASK),
)
#: The names used in the journal and for faults.
CALL_NAMES: Final = (TOKENS, VALIDATE_TOKEN, SWITCH_VIP, SWITCH_VIP_STATUS, LIST_JOBS, *_POSTED, BATCH_JOBS, OTHER)

# method -> call of each path; a path is known by what stands in place of the ids.
_IAM_TOKENS: Final = {"POST": TOKENS, "GET": VALIDATE_TOKEN}
_DRS_COLLECTION: Final = {"POST": LIST_JOBS}
_DRS_BATCH: Final = {**{name: {"POST": name} for name in _POSTED}, BATCH_JOBS: {"DELETE": BATCH_JOBS}}
_DRS_JOB: Final = {"switch-vip": {"POST": SWITCH_VIP}, "get-switch-vip-status": {"GET": SWITCH_VIP_STATUS}}


@dataclass(frozen=True)
class Route:
    """What a request asks for.

    ``allow`` holds the methods of a path that exists but not for this method, and is empty otherwise.
    """

    call: str
    is_drs: bool = False
    project_id: str | None = None
    job_id: str | None = None
    version_document: bool = False
    allow: tuple[str, ...] = ()


def route(method: str, path: str) -> Route:
    """Read a request line; ``path`` is as it came over the wire, without its query.

    The path is split before it is unquoted, so that an id with ``%2F`` in it stays one id and ``..`` is not resolved.
    """
    parts = [unquote(part) for part in path.removeprefix("/").split("/")]
    if parts in (["v3"], ["v3", ""]):
        return Route(OTHER, version_document=method == "GET", allow=() if method == "GET" else ("GET",))
    if parts == ["v3", "auth", "tokens"]:
        return _choose(method, _IAM_TOKENS)
    if len(parts) < 3 or parts[0] != "v3" or parts[1] == "auth":
        return Route(OTHER)
    project_id = parts[1]
    match parts[2:]:
        case ["jobs"]:
            return _choose(method, _DRS_COLLECTION, project_id)
        case ["jobs", action] if action in _DRS_BATCH:
            return _choose(method, _DRS_BATCH[action], project_id)
        case ["jobs", job_id, action] if action in _DRS_JOB:
            return _choose(method, _DRS_JOB[action], project_id, job_id)
        case _:
            return Route(OTHER, is_drs=True, project_id=project_id)


def _choose(method: str, calls: dict[str, str], project_id: str | None = None, job_id: str | None = None) -> Route:
    is_drs = project_id is not None
    if method in calls:
        return Route(calls[method], is_drs, project_id, job_id)
    return Route(OTHER, is_drs, project_id, job_id, allow=tuple(sorted(calls)))
