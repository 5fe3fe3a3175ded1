"""Where the documentation of DRS contradicts itself, the other reading: a change to every response of DRS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from airflow_provider_drs.simulator.responses import Response

#: 200 where 202 is documented, and the reverse.
SUCCESS_CODE: Final = "success_code"
#: ``error_message`` where ``error_msg`` is documented, and the reverse.
ERROR_FIELD: Final = "error_field"
#: ``PAUSEING`` for PAUSING.
PAUSEING: Final = "PAUSEING"
#: ``STARTJOB_FAILED`` for START_JOB_FAILED.
STARTJOB_FAILED: Final = "STARTJOB_FAILED"

CONTRADICTIONS: Final = (SUCCESS_CODE, ERROR_FIELD, PAUSEING, STARTJOB_FAILED)

_OTHER_CODE: Final = {200: 202, 202: 200}
_OTHER_FIELD: Final = {"error_msg": "error_message", "error_message": "error_msg"}
_OTHER_STATUS: Final = {PAUSEING: "PAUSING", STARTJOB_FAILED: "START_JOB_FAILED"}
_STATUS_FIELDS: Final = frozenset({"status", "transfer_status"})


def contradictor(chosen: Iterable[str]) -> Callable[[Response], Response]:
    """What turns a response into one that reads the documentation the other way.

    :param chosen: some of `CONTRADICTIONS`; raises ValueError for any other
    """
    names = frozenset(chosen)
    if not names <= set(CONTRADICTIONS):
        unknown = ", ".join(sorted(names - set(CONTRADICTIONS)))
        raise ValueError(f"no contradiction is called {unknown}; there are {', '.join(CONTRADICTIONS)}")
    fields = _OTHER_FIELD if ERROR_FIELD in names else {}
    statuses = {documented: name for name, documented in _OTHER_STATUS.items() if name in names}

    def contradict(response: Response) -> Response:
        if not names:
            return response
        body = response.body
        if (fields or statuses) and body:
            body = json.dumps(_changed(json.loads(body), fields, statuses), ensure_ascii=False).encode()
        code = _OTHER_CODE.get(response.status, response.status) if SUCCESS_CODE in names else response.status
        return replace(response, status=code, body=body)

    return contradict


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
