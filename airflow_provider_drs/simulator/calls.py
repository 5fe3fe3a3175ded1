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
OTHER: Final = "other"

#: The names used in the journal and for faults.
CALL_NAMES: Final = (TOKENS, VALIDATE_TOKEN, SWITCH_VIP, SWITCH_VIP_STATUS, LIST_JOBS, OTHER)
#: In place of a call's name: every request under ``/v3/{project_id}/``, also one to a path that DRS does not have.
ANY_DRS_CALL: Final = "*"

# method -> call of each path; a path is known by what stands in place of the ids.
_IAM_TOKENS: Final = {"POST": TOKENS, "GET": VALIDATE_TOKEN}
_DRS_COLLECTION: Final = {"POST": LIST_JOBS}
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
        case ["jobs", job_id, action] if action in _DRS_JOB:
            return _choose(method, _DRS_JOB[action], project_id, job_id)
        case _:
            return Route(OTHER, is_drs=True, project_id=project_id)


def _choose(method: str, calls: dict[str, str], project_id: str | None = None, job_id: str | None = None) -> Route:
    is_drs = project_id is not None
    if method in calls:
        return Route(calls[method], is_drs, project_id, job_id)
    return Route(OTHER, is_drs, project_id, job_id, allow=tuple(sorted(calls)))
