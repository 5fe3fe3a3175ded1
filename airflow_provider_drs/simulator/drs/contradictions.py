"""Where the documentation of DRS contradicts itself, the other reading: a change to every response of DRS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from airflow_provider_drs.simulator.responses import Response


class Contradiction(StrEnum):
    """The names of the contradictions."""

    SUCCESS_CODE = "success_code"  # 200 where 202 is documented, and the reverse
    ERROR_FIELD = "error_field"  # error_message where error_msg is documented, and the reverse
    REFUSED_BATCH = "refused_batch"  # HTTP 400 for a batch of which DRS refuses every job, and the same results
    PAUSEING = "PAUSEING"  # for PAUSING
    STARTJOB_FAILED = "STARTJOB_FAILED"  # for START_JOB_FAILED


_OTHER_CODE: Final = {200: 202, 202: 200}
_OTHER_FIELD: Final = {"error_msg": "error_message", "error_message": "error_msg"}
_OTHER_STATUS: Final = {Contradiction.PAUSEING: "PAUSING", Contradiction.STARTJOB_FAILED: "START_JOB_FAILED"}
_STATUS_FIELDS: Final = frozenset({"status", "transfer_status"})


def contradictor(chosen: Iterable[str]) -> Callable[[Response], Response]:
    """What turns a response into one that reads the documentation the other way.

    :param chosen: values of `Contradiction`; raises ValueError for any other
    """
    names = frozenset(chosen)
    if not names <= set(Contradiction):
        unknown = ", ".join(sorted(names - set(Contradiction)))
        raise ValueError(f"no contradiction is called {unknown}; there are {', '.join(Contradiction)}")
    fields = _OTHER_FIELD if Contradiction.ERROR_FIELD in names else {}
    statuses: dict[str, str] = {documented: name for name, documented in _OTHER_STATUS.items() if name in names}

    def contradict(response: Response) -> Response:
        if not names:
            return response
        body = response.body
        if (fields or statuses) and body:
            body = json.dumps(_changed(json.loads(body), fields, statuses), ensure_ascii=False).encode()
        status = response.status
        if Contradiction.SUCCESS_CODE in names:
            status = _OTHER_CODE.get(status, status)
        if Contradiction.REFUSED_BATCH in names and _is_refused_batch(response.body):
            status = 400
        return replace(response, status=status, body=body)

    return contradict


def _is_refused_batch(body: bytes) -> bool:
    results = json.loads(body).get("results", []) if body else []
    return bool(results) and all(
        "error_code" in result and result.get("status", "failed") == "failed" for result in results
    )


def _changed(value: Any, fields: dict[str, str], statuses: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_changed(item, fields, statuses) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        fields.get(name, name): statuses.get(inner, inner)
        if name in _STATUS_FIELDS and isinstance(inner, str)
        else _changed(inner, fields, statuses)
        for name, inner in value.items()
    }
