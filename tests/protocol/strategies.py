"""What the property tests draw from (HTTP responses and JSON as a broken server could send them) and how they run."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from airflow_provider_drs.protocol.errors import DrsError
from airflow_provider_drs.protocol.http.response import HttpResponse
from tests.constants import JOB

T = TypeVar("T")

# No deadline, and no complaint about slow drawing: how fast the machine is says nothing about the code.
thorough = settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# With lone surrogates and control characters: JSON can carry both as escapes.
any_text = st.text(st.characters(codec=None), max_size=40)
json_scalars = st.none() | st.booleans() | st.integers() | st.floats() | any_text
json_values = st.recursive(
    json_scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)

CODES = ["DRS.M00002", "DRS.M00004", "DRS.M00100", "DRS.M00103", "DRS.M00304", "DRS.M01503", "DRS.M05003", "401"]
STATUSES = ["SWITCH_VIP_START", "SWITCH_VIP_COMPLETE", "SWITCH_VIP_FAILED", "success", "failed", ""]
_INTERESTING: dict[str, list[Any]] = {
    "id": [JOB],
    "status": STATUSES,
    "error_code": CODES,
    "error_msg": ["no"],
    "error_message": ["no"],
    "error": [{"code": 401, "message": "no"}, {"error_code": "DRS.M01503"}],
    "code": CODES,
    "message": ["no"],
    "total_record": [0, 7],
}
drs_objects = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(usual) | json_values for name, usual in _INTERESTING.items()}
)

# Words a date is made of, in any order: most are no date, some are one outside what a clock can hold.
_WORDS = [
    *("Mon,", "Wed", "1", "31", "0", "Nov", "Feb", "2026", "99", "99999", "12:00", "12:00:00", "24:61:61", "1.2.3.4"),
    *("GMT", "+0000", "-0000", "+9999", "EST", "(", ":", ".", "-", "²"),
]
_dates = st.lists(st.sampled_from(_WORDS), max_size=6).map(" ".join)
headers = st.dictionaries(
    st.sampled_from(["Retry-After", "retry-after", "LOCATION", "Location", "Content-Type"]) | any_text,
    any_text | st.floats().map(str) | st.integers().map(str) | _dates | any_text.map("https://u:p@".__add__),
    max_size=4,
)
http_statuses = st.sampled_from([200, 202, 204, 302, 400, 401, 403, 404, 408, 422, 429, 500, 503]) | st.integers()


def http_responses(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[HttpResponse]:
    """Return http_responses of any status with any headers around ``bodies``."""
    return st.builds(HttpResponse, http_statuses, headers, bodies, st.floats(0, 4e9))


def as_json(values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """Return the values as bodies, now and then with the end or the beginning missing."""
    whole = values.map(lambda value: json.dumps(value).encode())
    cut = st.tuples(whole, st.integers(0, 30), st.integers(0, 30)).map(lambda x: x[0][x[1] : len(x[0]) - x[2]])
    return st.one_of(whole, whole, whole, cut)


def outcome(attempt: Callable[..., T], *args: Any, **kwargs: Any) -> T | DrsError:
    """Return what ``attempt`` returns or the error of ours it raises; any other exception fails the test."""
    try:
        return attempt(*args, **kwargs)
    except DrsError as error:
        return error
