"""Faults: what can go wrong with a call, and the queue of the faults that are planned."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from airflow_provider_drs.simulator.drs.routes import ANY_DRS_CALL, IAM_CALLS, Call
from airflow_provider_drs.simulator.responses import Response, drs_error, json_response

_HTML: Final = b"<html><head><title>Gateway</title></head><body><h1>The service is busy</h1></body></html>"


class Ending(Enum):
    """How the connection ends after a fault."""

    NORMAL = "normal"
    RESET = "reset"  # TCP RST, nothing is sent
    CUT = "cut"  # the headers and half the body are sent, then the connection is closed


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong with a call; made by the constructors, whose names the command line and JSON use.

    With ``takes_effect`` DRS executes the call (a switchover begins, a scripted status is used up) and only its
    response suffers. Otherwise the call never happens: ``response`` is sent instead, or a refusal, with the code
    ``refuses_with``, of each job that the call names.
    """

    name: str
    response: Response | None = None
    takes_effect: bool = False
    delay: float = 0.0
    ending: Ending = Ending.NORMAL
    refuses_with: str | None = None

    @classmethod
    def too_many(cls, retry_after: int | str | None = None) -> Fault:
        """HTTP 429; ``retry_after`` is Retry-After: seconds or an HTTP date."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        refusal = drs_error("APIG.0308")
        return cls("too_many", Response(429, refusal.body, {**refusal.headers, **headers}))

    @classmethod
    def status(
        cls,
        code: int,
        error_code: str | None = None,
        error_msg: str = "Simulated error.",
        headers: Mapping[str, str] | None = None,
    ) -> Fault:
        """An HTTP status, with the error body of DRS when ``error_code`` is given and an empty body otherwise."""
        if error_code is None:
            return cls("status", Response(_http_status(code), b"", dict(headers or {})))
        body = {"error_code": error_code, "error_msg": error_msg}
        return cls("status", json_response(body, _http_status(code), headers))

    @classmethod
    def slow(cls, seconds: float) -> Fault:
        """The normal response, ``seconds`` late."""
        if not isinstance(seconds, (int, float)) or seconds < 0:
            raise ValueError(f"slow takes seconds from 0 on, not {seconds!r}")
        return cls("slow", takes_effect=True, delay=seconds)

    @classmethod
    def reset(cls) -> Fault:
        """A TCP reset before any byte of a response; the call does not take effect."""
        return cls("reset", ending=Ending.RESET)

    @classmethod
    def lost(cls) -> Fault:
        """The call takes effect, then the connection is reset before any byte of a response."""
        return cls("lost", takes_effect=True, ending=Ending.RESET)

    @classmethod
    def cut(cls) -> Fault:
        """The call takes effect, but of its response only the headers and half the body come."""
        return cls("cut", takes_effect=True, ending=Ending.CUT)

    @classmethod
    def wrong_json(cls) -> Fault:
        """HTTP 200 with JSON that breaks off in the middle, complete as far as HTTP is concerned."""
        return cls(
            "wrong_json", Response(200, b'{"id": "260e27fd", "status": "SWITCH_', {"Content-Type": "application/json"})
        )

    @classmethod
    def html(cls, code: int = 200) -> Fault:
        """A page of HTML, as a gateway sends."""
        return cls("html", Response(_http_status(code), _HTML, {"Content-Type": "text/html; charset=utf-8"}))

    @classmethod
    def empty(cls, code: int = 200) -> Fault:
        """No body at all."""
        return cls("empty", Response(_http_status(code)))

    @classmethod
    def json(cls, value: Any, code: int = 200) -> Fault:
        """Any JSON value."""
        return cls("json", json_response(value, _http_status(code)))

    @classmethod
    def raw(cls, body: bytes | str, code: int = 200, headers: Mapping[str, str] | None = None) -> Fault:
        """Any bytes as the body; a string is sent as UTF-8."""
        if not isinstance(body, (bytes, str)):
            raise ValueError(f"raw takes bytes or a string, not {body!r}")
        content = body.encode() if isinstance(body, str) else body
        return cls("raw", Response(_http_status(code), content, dict(headers or {})))

    @classmethod
    def expired_token(cls) -> Fault:
        """HTTP 403 DRS.M00100: the token is not, or no longer, valid."""
        return cls("expired_token", drs_error("DRS.M00100"))

    @classmethod
    def plain_401(cls) -> Fault:
        """HTTP 401 without a DRS error code."""
        return cls("plain_401", Response(401, b"Unauthorized", {"Content-Type": "text/plain"}))

    @classmethod
    def no_permission(cls) -> Fault:
        """HTTP 401 DRS.M00103: the user may not do this."""
        return cls("no_permission", drs_error("DRS.M00103"))

    @classmethod
    def too_frequent(cls) -> Fault:
        """HTTP 400 DRS.M01503: DRS was called too often."""
        return cls("too_frequent", drs_error("DRS.M01503"))

    @classmethod
    def busy(cls) -> Fault:
        """HTTP 202 with ``"status": "failed"`` and DRS.M01504 for each job the call names; for calls of DRS."""
        return cls("busy", refuses_with="DRS.M01504")

    @classmethod
    def redirect(cls, to: str, code: int = 302) -> Fault:
        """A redirect to the address ``to``."""
        return cls("redirect", Response(_http_status(code), b"", {"Location": str(to)}))

    @classmethod
    def named(cls, name: str, *args: Any, **kwargs: Any) -> Fault:
        """A fault by its constructor's name; raises ValueError for an unknown name or arguments it does not take."""
        if name not in FAULT_NAMES:
            raise ValueError(f"no fault is called {name!r}; there are {', '.join(FAULT_NAMES)}")
        try:
            made: Fault = getattr(cls, name)(*args, **kwargs)
        except (TypeError, AttributeError) as error:
            raise ValueError(f"{name}: {error}") from None
        return made


FAULT_NAMES: Final = (
    "too_many",
    "status",
    "slow",
    "reset",
    "lost",
    "cut",
    "wrong_json",
    "html",
    "empty",
    "json",
    "raw",
    "expired_token",
    "plain_401",
    "no_permission",
    "too_frequent",
    "busy",
    "redirect",
)


def _http_status(code: int) -> int:
    if isinstance(code, bool) or not isinstance(code, int) or not 200 <= code <= 599:
        raise ValueError(f"an HTTP status is a number from 200 to 599, not {code!r}")
    return code


@dataclass(frozen=True)
class PlannedFault:
    """A fault that is to hit the next ``times`` calls of a name (``"*"``: any DRS call), or all with ``times=None``."""

    call: str
    fault: Fault
    times: int | None = 1

    def __post_init__(self) -> None:
        """Refuse a call that does not exist: its fault would never occur."""
        if self.call not in (*Call, ANY_DRS_CALL):
            raise ValueError(f"no call is named {self.call!r}; there are {', '.join(Call)} and {ANY_DRS_CALL}")
        if self.fault.refuses_with is not None and self.call in IAM_CALLS | {Call.VERSIONS}:
            raise ValueError(f"{self.fault.name} is a fault of calls of DRS, not of {self.call}")
        if self.times is not None and (not isinstance(self.times, int) or self.times < 1):
            raise ValueError(f"times is a number from 1 on, or None for ever, not {self.times!r}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PlannedFault:
        """From JSON: ``{"call", "name", "times"?}`` and the constructor's arguments; raises ValueError."""
        if not isinstance(values, Mapping) or not {"call", "name"} <= set(values):
            raise ValueError("a fault is an object with call and name")
        arguments = {key: value for key, value in values.items() if key not in ("call", "name", "times")}
        return cls(values["call"], Fault.named(str(values["name"]), **arguments), values.get("times", 1))


class FaultQueue:
    """The planned faults; safe to use from several threads."""

    def __init__(self) -> None:
        self._planned: list[tuple[PlannedFault, int | None]] = []
        self._lock = threading.Lock()

    def add(self, planned: PlannedFault) -> None:
        """Add a fault after those that are planned for the same call."""
        with self._lock:
            self._planned.append((planned, planned.times))

    def clear(self) -> None:
        """Remove every planned fault."""
        with self._lock:
            self._planned.clear()

    def take(self, call: str, is_drs: bool) -> Fault | None:
        """Take the fault for a request, if one is planned: first one for the call's name, then one for any call."""
        with self._lock:
            for wanted in (call, ANY_DRS_CALL) if is_drs else (call,):
                for place, (planned, left) in enumerate(self._planned):
                    if planned.call != wanted:
                        continue
                    if left is not None:
                        self._planned[place : place + 1] = [(planned, left - 1)] if left > 1 else []
                    return planned.fault
            return None
