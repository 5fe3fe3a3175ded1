"""Reading the bodies of DRS calls: a mistake in one is refused with the documented code."""

from __future__ import annotations

from typing import Any, Final

_MOST_JOBS: Final = 100
_PER_PAGE: Final = 5
_MOST_PER_PAGE: Final = 100


class RefusedError(Exception):
    """A call is refused.

    :param code: of DRS
    :param detail: the parameter the error text speaks of
    :param text: in place of the text that goes with the code
    """

    def __init__(self, code: str, detail: str = "", text: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.text = text


def json_body(content_type: str, value: object) -> dict[str, Any]:
    """The JSON object that was sent; a missing Content-Type is taken for JSON."""
    if content_type and "json" not in content_type.lower():
        raise RefusedError("DRS.M00200")
    if not isinstance(value, dict):
        raise RefusedError("DRS.M00200")
    return value


def required(body: dict[str, Any], key: str) -> Any:
    """What stands under ``key``, which must not be empty."""
    if body.get(key) in (None, "", [], {}):
        raise RefusedError("DRS.M00201", key)
    return body[key]


def one_of(body: dict[str, Any], key: str, values: tuple[str, ...]) -> str:
    """What stands under ``key``, which must be one of ``values``."""
    value = required(body, key)
    if value not in values:
        raise RefusedError("DRS.M00202", key)
    return str(value)


def number(body: dict[str, Any], key: str, lowest: int, highest: int | None = None, default: int | None = None) -> int:
    """The number of or on a page; required when it has no ``default``."""
    value = required(body, key) if default is None else body.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise RefusedError("DRS.M00210", key)
    if highest is not None and value > highest:
        raise RefusedError("DRS.M00210", key)
    return value


def job_ids(body: dict[str, Any]) -> list[str]:
    """The ids under ``jobs``, at most 100."""
    return [str(job_id) for job_id in _jobs(body, str)]


def job_objects(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects under ``jobs``, at most 100, each with a ``job_id``."""
    jobs: list[dict[str, Any]] = _jobs(body, dict)
    for job in jobs:
        text(job, "job_id")
    return jobs


def text(body: dict[str, Any], key: str) -> str:
    """The string that stands under ``key``."""
    value = required(body, key)
    if not isinstance(value, str):
        raise RefusedError("DRS.M00202", key)
    return value


def milliseconds(body: dict[str, Any], key: str) -> float:
    """A moment in milliseconds since the epoch, as a number or as digits, in seconds; 0.0 when it is not there."""
    value = body.get(key) or 0
    if isinstance(value, bool) or not str(value).isdecimal():
        raise RefusedError("DRS.M00202", key)
    return int(value) / 1000


def on_page(body: dict[str, Any], items: list[str]) -> list[str]:
    """The items that ``page_req`` asks for: the first FIVE when it is not there, all with a ``per_page`` of 0."""
    asked = body.get("page_req") or {}
    if not isinstance(asked, dict):
        raise RefusedError("DRS.M00202", "page_req")
    page = number(asked, "cur_page", 1, default=1)
    per_page = number(asked, "per_page", 0, _MOST_PER_PAGE, default=_PER_PAGE)
    return items[(page - 1) * per_page : page * per_page] if per_page else items


def _jobs(body: dict[str, Any], kind: type) -> list[Any]:
    jobs = required(body, "jobs")
    if not isinstance(jobs, list) or len(jobs) > _MOST_JOBS or not all(isinstance(job, kind) for job in jobs):
        raise RefusedError("DRS.M00202", "jobs")
    return jobs
