"""What came back: one function reads any HTTP answer into JSON or a typed error; small readers make replies of it."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from airflow_provider_drs.get_provider_info import field_name
from airflow_provider_drs.protocol import errors
from airflow_provider_drs.protocol.errors import one_line

NO_RESULT = "DRS.M00002"
MAX_RETRY_AFTER = 3600.0
_SHORT = 512  # bytes; the answer about one job

R = TypeVar("R")

_FAULTS: dict[str, type[errors.DrsError]] = {
    "DRS.M01503": errors.DrsThrottledError,
    "DRS.M01504": errors.DrsBusyError,
    "DRS.M00004": errors.DrsServerError,
    "DRS.M01501": errors.DrsServerError,
    "DRS.M00100": errors.DrsTokenRefusedError,
    "DRS.M00101": errors.DrsPermissionError,
    "DRS.M00102": errors.DrsPermissionError,
    "DRS.M00103": errors.DrsPermissionError,
    "DRS.M00105": errors.DrsPermissionError,
    "DRS.M00261": errors.DrsPermissionError,
    "DRS.M05003": errors.DrsJobNotFoundError,
    "DRS.M05004": errors.DrsJobNotFoundError,
    "DRS.M00304": errors.DrsWrongStateError,
}


@dataclass(frozen=True)
class HttpResponse:
    """An answer as it came in.

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
        """Return the first header of that name, whatever its case."""
        return next((str(v) for k, v in self.headers.items() if str(k).lower() == name), None)

    def redacted(self, *secrets: str) -> HttpResponse:
        """Return the answer without secrets, should the server echo them: its text ends in logs and messages."""
        if not any(self._may_hold(secret) for secret in secrets):
            return self
        body, headers = self.body, {str(k): str(v) for k, v in self.headers.items()}
        for written in (_as_written(secret) for secret in sorted(secrets, key=len, reverse=True) if secret):
            body = written.sub("***", body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
            headers = {k: written.sub("***", v) for k, v in headers.items()}
        return replace(self, body=body, headers=headers)

    def _may_hold(self, secret: str) -> bool:
        """Tell, far more cheaply than by looking for all its spellings, whether a secret may be in the answer."""
        if not secret:
            return False
        part = _unmistakable(secret)
        return part.encode() in self.body or part in "\n".join(map(str, self.headers.values()))


def read(answer: HttpResponse, who: str = "DRS") -> Any:
    """Return the JSON object of a good answer; raise a ``DrsError`` for every other one.

    :param who: whose answer it is, for messages.

    The service's code decides before the HTTP status: an expired token is documented as 403 with DRS.M00100, a missing
    permission as 401 with DRS.M00103, and a refusal can come inside a 2xx.
    """
    answered = f"{who} answered HTTP {answer.status}"
    if 300 <= answer.status < 400:
        _raise(errors.DrsRedirectError, answer, f"{answered}, a redirect to {_target(answer)}, which is not followed")
    body = _json_object(answer.body)
    code, text = _fault(body)
    if not 200 <= answer.status < 300:
        _raise(fault_class(code, answer.status), answer, answered, code, text or _start(answer.body))
    if body is None:
        _raise(errors.DrsInvalidResponseError, answer, f"{answered} without a JSON object", None, _start(answer.body))
    if code and (not body.get("status") or body.get("status") == "failed"):
        _raise(fault_class(code, answer.status), answer, f"{answered} with a refusal", code, text)
    return body


def reply(make: Callable[[Any], R], answer: HttpResponse) -> R:
    """Return the reply that ``make`` reads out of a good answer; raise as :func:`read`.

    Most polls are answered as the last one was, so that short answers are read once; what a reply is follows from the
    status and the body alone.
    """
    if len(answer.body) <= _SHORT:
        try:
            return _reply_once(make, answer.status, answer.body)  # type: ignore[no-any-return]
        except errors.DrsError:
            pass  # the error is made below, with what the headers say
    return make(read(answer))


@lru_cache(maxsize=8192)
def _reply_once(make: Callable[[Any], Any], status: int, body: bytes) -> Any:
    return make(read(HttpResponse(status, {}, body)))


def iam_error(answer: HttpResponse) -> errors.DrsError:
    """Return what an answer of IAM that holds no token stands for.

    IAM is Keystone: 401 for a wrong password and for an unknown user, domain or project alike, 400 for a malformed
    request. What passes is read as DRS's answers are.
    """
    try:
        read(answer, "IAM")
    except (errors.DrsTransientError, errors.DrsRedirectError) as error:
        return error
    except errors.DrsJobNotFoundError as error:
        text = f"{error.message}; {field_name('auth_url')} does not lead to an IAM that speaks Keystone v3"
        return errors.DrsConfigError(text, http_status=error.http_status)
    except errors.DrsError as error:
        message = f"IAM refuses the log-in (HTTP {error.http_status}): {error.error_msg or 'without a reason'}"
        return errors.DrsAuthenticationError(message, http_status=error.http_status, error_msg=error.error_msg)
    return errors.DrsInvalidResponseError("IAM answered without a token", http_status=answer.status)


def fault_class(code: str | None, status: int) -> type[errors.DrsError]:
    """Return the class of error that a code of the service, or failing that an HTTP status, stands for."""
    if code in _FAULTS:
        return _FAULTS[code]
    if status == 401 and not (code or "").startswith("DRS."):
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


def retry_after(answer: HttpResponse) -> float | None:
    """Return the seconds of a ``Retry-After`` header (a number or a date), at most one hour, None without one."""
    value = (answer.header("retry-after") or "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - answer.received_at
        except (ValueError, TypeError, OverflowError, OSError):
            return None
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _raise(
    cls: type[errors.DrsError], answer: HttpResponse, answered: str, code: str | None = None, text: str | None = None
) -> NoReturn:
    raise cls(
        ": ".join(x for x in (answered, code, text) if x),
        error_code=code,
        error_msg=text,
        http_status=answer.status,
        retry_after=retry_after(answer),
    )


@lru_cache(maxsize=16)
def _unmistakable(secret: str) -> str:
    """Return the longest part of a secret that is spelled in one way by all."""
    parts: list[str] = re.findall("[A-Za-z0-9]*", secret)
    return max(parts, key=len)


@lru_cache(maxsize=16)
def _as_written(secret: str) -> re.Pattern[str]:
    """Return what finds a secret as it is and as JSON, HTML and addresses spell it."""
    return re.compile("".join(_spellings(character) for character in secret))


def _spellings(character: str) -> str:
    if character.isascii() and character.isalnum():  # spelled in one way by all
        return character
    escaped = json.dumps(character)[1:-1]
    code = f"\\u{ord(character):04x}"
    ways = {character, escaped, escaped.upper().replace("U", "u"), code, code.upper().replace("U", "u")}
    ways |= {f"\\{character}", html.escape(character), quote(character, safe="", errors="replace")}
    ways |= {"+"} if character == " " else set()
    return f"(?:{'|'.join(map(re.escape, sorted(ways, key=len, reverse=True)))})"


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _fault(body: dict[str, Any] | None) -> tuple[str | None, str | None]:
    """Return code and text of an error body, in the spelling of DRS, its gateway, or IAM."""
    if body is None:
        return None, None
    inner = body.get("error")
    if isinstance(inner, dict):
        return display_text(inner.get("error_code") or inner.get("code")), display_text(inner.get("message"))
    text = next((body[k] for k in ("error_msg", "error_message", "message") if body.get(k)), None)
    return display_text(body.get("error_code") or body.get("code")), display_text(text)


def display_text(value: object) -> str | None:
    """Return a value fit for a message, None for none."""
    if value is None:
        return None
    return one_line(value if isinstance(value, str) else json.dumps(value, default=str))


def compare_text(value: object) -> str | None:
    """Return a value that is compared: what is not fit for a message is quoted, never mended into a known one."""
    text = display_text(value)
    return text if text == value or not isinstance(value, str) else one_line(repr(value))


def _start(body: bytes) -> str:
    """Return how a body that is no error body begins, for messages."""
    start = body[:400].lstrip()
    if not start:
        return "no body"
    return "an HTML page" if start.startswith(b"<") else one_line(start.decode("utf-8", "replace"), 120)


def _target(answer: HttpResponse) -> str:
    """Return where a redirect points, without its query, which may hold what is not for a log."""
    location = answer.header("location")
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
