"""What came back: :func:`read` turns any HTTP response into a JSON object or a typed error."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NoReturn, TypeVar, cast
from urllib.parse import urlsplit, urlunsplit

from airflow_provider_drs.get_provider_info import field_name
from airflow_provider_drs.protocol import errors
from airflow_provider_drs.protocol.codes import Meaning, meaning
from airflow_provider_drs.protocol.errors import one_line
from airflow_provider_drs.protocol.http.redaction import may_contain, redact, redact_bytes

MAX_RETRY_AFTER = 3600.0
_MAX_CACHED_BODY = 512  # bytes; a response about one job is shorter

JsonObject = Mapping[str, object]
R = TypeVar("R")

_ERROR_CLASSES: dict[Meaning, type[errors.DrsError]] = {
    Meaning.THROTTLED: errors.DrsThrottledError,
    Meaning.BUSY: errors.DrsBusyError,
    Meaning.SERVICE_FAILED: errors.DrsServerError,
    Meaning.SAYS_NOTHING: errors.DrsServerError,
    Meaning.TOKEN_REFUSED: errors.DrsTokenRefusedError,
    Meaning.NO_PERMISSION: errors.DrsPermissionError,
    Meaning.WRONG_REQUEST: errors.DrsRequestError,
    Meaning.JOB_GONE: errors.DrsJobNotFoundError,
    Meaning.WRONG_STATE: errors.DrsWrongStateError,
    Meaning.WRONG_KIND: errors.DrsRequestError,
    Meaning.NO_SUCH_CALL: errors.DrsNoSuchCallError,
}
# What says the service is not always UTF-8: an error text may come in Chinese or with umlauts.
_ENCODINGS = ("utf-8", "gb18030", "latin-1")


@dataclass(frozen=True)
class HttpResponse:
    """A response as it came in.

    :param status: the HTTP status.
    :param headers: its headers; names in any case.
    :param body: the whole body, decompressed.
    :param received_at: seconds since the epoch; needed to read a ``Retry-After`` that is a date.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: float = 0.0

    def header(self, name: str) -> str | None:
        """Return the first header of that name, given in lower case; None where there is none."""
        return next((str(v) for k, v in self.headers.items() if str(k).lower() == name), None)

    @property
    def server_time(self) -> float | None:
        """The server's clock, from the header ``Date``: seconds since the epoch; None where there is none."""
        return http_date(self.header("date") or "")

    @property
    def ahead(self) -> float | None:
        """Seconds that the clock of this machine is ahead of the server's; None where that is not known."""
        return None if self.server_time is None or not self.received_at else self.received_at - self.server_time

    def redacted(self, *secrets: str) -> HttpResponse:
        """Return the response with the secrets masked, should the server echo them: its text ends in logs."""
        values = [str(value) for value in self.headers.values()]
        if not any(may_contain(secret, self.body, values) for secret in secrets):
            return self
        headers = {str(k): redact(str(v), secrets) for k, v in self.headers.items()}
        return replace(self, body=redact_bytes(self.body, secrets), headers=headers)


def read(response: HttpResponse, sender: str = "DRS") -> JsonObject:
    """Return the JSON object of a good response; raise a ``DrsError`` for every other one.

    :param sender: who sent it ("DRS" or "IAM"), for messages.

    The service's code decides before the HTTP status: an expired token is documented as 403 with DRS.M00100, a missing
    permission as 401 with DRS.M00103, and a refusal can come inside a 2xx.
    """
    what = f"{sender} responded with HTTP {response.status}"
    if 300 <= response.status < 400:
        _raise(errors.DrsRedirectError, response, f"{what}, a redirect to {_target(response)}, which is not followed")
    body = _json_object(response.body)
    code, text = _error_fields(body)
    if not 200 <= response.status < 300:
        if not code:
            code, text = _error_of_results(body, response.status) or (code, text)
        _raise(fault_class(code, response.status), response, what, code, text or _beginning(response.body))
    if body is None:
        why = _beginning(response.body)
        _raise(errors.DrsInvalidResponseError, response, f"{what} without a JSON object", None, why)
    if code and (not body.get("status") or body.get("status") == "failed"):
        _raise(fault_class(code, response.status), response, f"{what} with a refusal", code, text)
    return body


def parse(parser: Callable[[JsonObject], R], response: HttpResponse) -> R:
    """Return what ``parser`` makes of a good response; raise as :func:`read`.

    Most polls bring the same response as the last one, so short ones are parsed once. The result depends on the status
    and the body alone.
    """
    if len(response.body) <= _MAX_CACHED_BODY:
        try:
            return cast(R, _parse_once(parser, response.status, response.body))
        except errors.DrsError:
            pass  # raised below, with what the headers say
    return parser(read(response))


@lru_cache(maxsize=8192)
def _parse_once(parser: Callable[[JsonObject], object], status: int, body: bytes) -> object:
    return parser(read(HttpResponse(status, {}, body)))


def iam_error(response: HttpResponse, refused: str = "IAM refuses the log-in") -> errors.DrsError:
    """Return the error that a response of IAM without a token stands for.

    IAM is Keystone: 401 for a wrong password and for an unknown user, domain or project alike, 400 for a malformed
    request. Transient errors are recognised as in responses of DRS.

    :param refused: how to tell of a refusal, such as with the fields to check.
    """
    try:
        read(response, "IAM")
    except (errors.DrsTransientError, errors.DrsRedirectError) as error:
        return error
    except (errors.DrsJobNotFoundError, errors.DrsNoSuchCallError) as error:
        text = f"{error.message}; {field_name('auth_url')} does not lead to an IAM that speaks Keystone v3"
        return errors.DrsConfigError(text, http_status=error.http_status)
    except errors.DrsError as error:
        message = f"{refused} (HTTP {error.http_status}: {error.error_msg or 'without a reason'})"
        return errors.DrsAuthenticationError(message, http_status=error.http_status, error_msg=error.error_msg)
    return errors.DrsInvalidResponseError("IAM responded without a token", http_status=response.status)


def fault_class(code: str | None, status: int) -> type[errors.DrsError]:
    """Return the class of error that a code of the service, or failing that an HTTP status, stands for."""
    known = meaning(code, status)
    if known:
        return _ERROR_CLASSES[known]
    if status == 401 and not (code or "").startswith("DRS."):
        return errors.DrsTokenRefusedError
    if says_only_forbidden(code, status):
        return errors.DrsTokenRefusedError
    if status in (401, 403):
        return errors.DrsPermissionError
    if status == 404:
        return errors.DrsJobNotFoundError
    if status in (408, 425):
        return errors.DrsServerError
    if status == 429:
        return errors.DrsThrottledError
    if 500 <= status < 600:
        return errors.DrsServerError
    if 200 <= status < 500:
        return errors.DrsRequestError
    return errors.DrsInvalidResponseError


def says_only_forbidden(code: str | None, status: int) -> bool:
    """Tell whether a response is a 403 without any code of its own: a bad token, or no permission.

    A gateway says "X-Auth-Token is invalid in the request" so, and only a new token shows which of the two it is.
    """
    return status == 403 and (not code or code.isdigit())


def retry_after(response: HttpResponse) -> float | None:
    """Return the seconds of a ``Retry-After`` header (a number or a date), at most one hour, None without one."""
    value = (response.header("retry-after") or "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        at = http_date(value)
        if at is None:
            return None
        seconds = at - response.received_at
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


@lru_cache(maxsize=64)
def http_date(text: str) -> float | None:
    """Return an HTTP date as seconds since the epoch, None for what is no date; without a zone it is UTC."""
    try:
        at = parsedate_to_datetime(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def display_text(value: object) -> str | None:
    """Return a value as one line for a message, None for None."""
    if value is None:
        return None
    return one_line(value if isinstance(value, str) else json.dumps(value, default=str))


def compare_text(value: object) -> str | None:
    """Return a value for comparisons: text that is not one printable line is quoted, never made a known value."""
    text = display_text(value)
    return text if text == value or not isinstance(value, str) else one_line(repr(value))


def _raise(
    cls: type[errors.DrsError], response: HttpResponse, what: str, code: str | None = None, text: str | None = None
) -> NoReturn:
    raise cls(
        ": ".join(x for x in (what, code, text) if x),
        error_code=code,
        error_msg=text,
        http_status=response.status,
        retry_after=retry_after(response),
    )


def _json_object(body: bytes) -> dict[str, object] | None:
    try:
        value = json.loads(body, object_pairs_hook=_object)
    except UnicodeDecodeError:
        value = _in_another_encoding(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _in_another_encoding(body: bytes) -> object:
    """Return the JSON of a body that is not UTF-8, its text as well as it can be read; None for what is no JSON.

    Only the last byte of a character that is not read well can be taken for a sign of JSON, the backslash: then another
    encoding fits.
    """
    for encoding in _ENCODINGS:
        try:
            return json.loads(body.decode(encoding, "replace"), object_pairs_hook=_object)
        except (ValueError, RecursionError):
            pass
    return None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object of JSON; one with a key that says two things says nothing."""
    found = dict(pairs)
    if len(found) != len(pairs) and any(found[key] != value for key, value in pairs):
        raise ValueError("a key has two values")
    return found


def _error_fields(body: JsonObject | None) -> tuple[str | None, str | None]:
    """Return code and text of an error body, in the spelling of DRS, its gateway, or IAM."""
    if body is None:
        return None, None
    inner = body.get("error")
    if isinstance(inner, dict):
        return display_text(inner.get("error_code") or inner.get("code")), display_text(inner.get("message"))
    text = next((body[k] for k in ("error_msg", "error_message", "message") if body.get(k)), None)
    return display_text(body.get("error_code") or body.get("code")), display_text(text)


def _error_of_results(body: JsonObject | None, status: int) -> tuple[str, str] | None:
    """Return code and text of a refusal that is told job by job, as in a 2xx; None where there is none.

    Of several the one counts that no later request mends: a caller who asked about many jobs asks about each then.
    """
    results = (body or {}).get("results")
    items = [item for item in results if isinstance(item, dict)] if isinstance(results, list) else []
    refusals = [(code, text, item) for item in items for code, text in [_error_fields(item)] if code]
    refusals.sort(key=lambda found: issubclass(fault_class(found[0], status), errors.DrsTransientError))
    for code, text, item in refusals:
        job_id = compare_text(item.get("id")) or compare_text(item.get("job_id"))
        return code, " ".join(x for x in (text, f"(job {job_id!r})" if job_id else "") if x)
    return None


def _beginning(body: bytes) -> str:
    """Return how a body that is no error body begins, for messages."""
    start = body[:400].lstrip()
    if not start:
        return "no body"
    return "an HTML page" if start.startswith(b"<") else one_line(start.decode("utf-8", "replace"), 120)


def _target(response: HttpResponse) -> str:
    """Return where a redirect points, without its query, which may hold secrets."""
    location = response.header("location")
    if not location:
        return "an unnamed place"
    try:
        parts = urlsplit(location)
        if parts.netloc:
            return one_line(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")), 200)
    except ValueError:
        pass
    bare = re.split("[?#]", location, maxsplit=1)[0]
    return one_line(bare.rpartition("@")[2], 200) or "an unnamed place"
