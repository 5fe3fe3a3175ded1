"""Which call a request is: the one place that knows the paths of IAM and DRS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

#: In place of a call's name: every request under ``/v3/{project_id}/``, also one to a path that DRS does not have.
ANY_DRS_CALL: Final = "*"


class Call(StrEnum):
    """The names of the calls, as the journal and faults use them."""

    VERSIONS = "versions"
    TOKENS = "tokens"
    VALIDATE_TOKEN = "validate-token"
    REVOKE_TOKEN = "revoke-token"
    PROJECTS = "projects"
    DOMAINS = "domains"
    CATALOG = "catalog"
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
#: The calls of IAM.
IAM_CALLS: Final = frozenset(
    {Call.TOKENS, Call.VALIDATE_TOKEN, Call.REVOKE_TOKEN, Call.PROJECTS, Call.DOMAINS, Call.CATALOG}
)
# method -> call of each path.
_TOKENS: Final = {
    "POST": Call.TOKENS,
    "GET": Call.VALIDATE_TOKEN,
    "HEAD": Call.VALIDATE_TOKEN,
    "DELETE": Call.REVOKE_TOKEN,
}
_DRS_COLLECTION: Final = {"POST": Call.LIST_JOBS}
_DRS_BATCH: Final[dict[str, dict[str, Call]]] = {
    **{name: {"POST": name} for name in _POSTED},
    Call.BATCH_JOBS: {"DELETE": Call.BATCH_JOBS},
}
_DRS_JOB: Final = {"switch-vip": {"POST": Call.SWITCH_VIP}, "get-switch-vip-status": {"GET": Call.SWITCH_VIP_STATUS}}


@dataclass(frozen=True)
class Route:
    """What a request asks for.

    ``path`` is that of the request line, without the query. ``project_id``, ``job_id`` and ``user_id`` are the ids in
    it. ``allow`` holds the methods of a path that exists but not for this method, and is empty otherwise.
    """

    call: Call
    path: str
    is_drs: bool = False
    project_id: str | None = None
    job_id: str | None = None
    user_id: str | None = None
    allow: tuple[str, ...] = ()


def route(method: str, path: str) -> Route:
    """Read a request line; ``path`` is as it came over the wire, without its query.

    The path is split before it is unquoted, so that an id with ``%2F`` in it stays one id and ``..`` is not resolved.
    """
    match [unquote(part) for part in path.removeprefix("/").split("/")]:
        case [""] | ["v3"] | ["v3", ""]:
            return _choose(method, _reads(Call.VERSIONS), Route(Call.OTHER, path))
        case ["v3", "auth", "tokens"]:
            return _choose(method, _TOKENS, Route(Call.OTHER, path))
        case ["v3", "auth", "catalog"]:
            return _choose(method, _reads(Call.CATALOG), Route(Call.OTHER, path))
        case ["v3", "auth", "domains"]:
            return _choose(method, _reads(Call.DOMAINS), Route(Call.OTHER, path))
        case ["v3", "auth", "projects"] | ["v3", "projects"]:
            return _choose(method, _reads(Call.PROJECTS), Route(Call.OTHER, path))
        case ["v3", "projects", project_id]:
            return _choose(method, _reads(Call.PROJECTS), Route(Call.OTHER, path, project_id=project_id))
        case ["v3", "users", user_id, "projects"]:
            return _choose(method, _reads(Call.PROJECTS), Route(Call.OTHER, path, user_id=user_id))
        case ["v3", "auth" | "projects" | "users", *_]:
            return Route(Call.OTHER, path)
        case ["v3", project_id, "jobs"]:
            return _choose(method, _DRS_COLLECTION, Route(Call.OTHER, path, True, project_id))
        case ["v3", project_id, "jobs", action] if action in _DRS_BATCH:
            return _choose(method, _DRS_BATCH[action], Route(Call.OTHER, path, True, project_id))
        case ["v3", project_id, "jobs", job_id, action] if action in _DRS_JOB:
            return _choose(method, _DRS_JOB[action], Route(Call.OTHER, path, True, project_id, job_id))
        case ["v3", project_id, _, *_]:
            return Route(Call.OTHER, path, True, project_id)
        case _:
            return Route(Call.OTHER, path)


def _reads(call: Call) -> dict[str, Call]:
    return {"GET": call, "HEAD": call}


def _choose(method: str, calls: dict[str, Call], found: Route) -> Route:
    return replace(found, call=calls[method]) if method in calls else replace(found, allow=tuple(sorted(calls)))
