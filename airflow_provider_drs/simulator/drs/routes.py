"""Which call a request is: the one place that knows the paths of IAM and DRS."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

#: In place of a call's name: every request under ``/v3/{project_id}/``, also one to a path that DRS does not have.
ANY_DRS_CALL: Final = "*"


class Call(StrEnum):
    """The names of the calls, as the journal and faults use them."""

    TOKENS = "tokens"
    VALIDATE_TOKEN = "validate-token"
    SWITCH_VIP = "switch-vip"
    SWITCH_VIP_STATUS = "get-switch-vip-status"
    LIST_JOBS = "list-jobs"
    BATCH_STATUS = "batch-status"
    BATCH_PROGRESS = "batch-progress"
    BATCH_DETAIL = "batch-detail"
    CREATE_COMPARE_TASK = "create-compare-task"
    QUERY_COMPARE_RESULT = "query-compare-result"
    BATCH_STARTING = "batch-starting"
    BATCH_PAUSE_TASK = "batch-pause-task"
    BATCH_RETRY_TASK = "batch-retry-task"
    BATCH_JOBS = "batch-jobs"
    OTHER = "other"


# In the path of these calls, what follows /jobs/ is their name.
_POSTED: Final = (
    *(Call.BATCH_STATUS, Call.BATCH_PROGRESS, Call.BATCH_DETAIL, Call.CREATE_COMPARE_TASK, Call.QUERY_COMPARE_RESULT),
    *(Call.BATCH_STARTING, Call.BATCH_PAUSE_TASK, Call.BATCH_RETRY_TASK),
)
# method -> call of each path; a path is known by what stands in place of the ids.
_IAM_TOKENS: Final = {"POST": Call.TOKENS, "GET": Call.VALIDATE_TOKEN}
_DRS_COLLECTION: Final = {"POST": Call.LIST_JOBS}
_DRS_BATCH: Final[dict[str, dict[str, Call]]] = {
    **{name: {"POST": name} for name in _POSTED},
    Call.BATCH_JOBS: {"DELETE": Call.BATCH_JOBS},
}
_DRS_JOB: Final = {"switch-vip": {"POST": Call.SWITCH_VIP}, "get-switch-vip-status": {"GET": Call.SWITCH_VIP_STATUS}}


@dataclass(frozen=True)
class Route:
    """What a request asks for.

    ``allow`` holds the methods of a path that exists but not for this method, and is empty otherwise.
    """

    call: Call
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
        return Route(Call.OTHER, version_document=method == "GET", allow=() if method == "GET" else ("GET",))
    if parts == ["v3", "auth", "tokens"]:
        return _choose(method, _IAM_TOKENS)
    if len(parts) < 3 or parts[0] != "v3" or parts[1] == "auth":
        return Route(Call.OTHER)
    project_id = parts[1]
    match parts[2:]:
        case ["jobs"]:
            return _choose(method, _DRS_COLLECTION, project_id)
        case ["jobs", action] if action in _DRS_BATCH:
            return _choose(method, _DRS_BATCH[action], project_id)
        case ["jobs", job_id, action] if action in _DRS_JOB:
            return _choose(method, _DRS_JOB[action], project_id, job_id)
        case _:
            return Route(Call.OTHER, is_drs=True, project_id=project_id)


def _choose(method: str, calls: dict[str, Call], project_id: str | None = None, job_id: str | None = None) -> Route:
    is_drs = project_id is not None
    if method in calls:
        return Route(calls[method], is_drs, project_id, job_id)
    return Route(Call.OTHER, is_drs, project_id, job_id, allow=tuple(sorted(calls)))
