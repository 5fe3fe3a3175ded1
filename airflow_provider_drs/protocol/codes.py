"""What the codes of DRS and of the gateway before it mean. The only place that decides it.

A code that is not listed means nothing here: the HTTP status decides then.
"""

from __future__ import annotations

from enum import Enum


class Meaning(Enum):
    """What a code asks of a client."""

    THROTTLED = "asked too often: try again later"
    BUSY = "another operation is running, or the job is abnormal: try again later"
    SERVICE_FAILED = "the service failed: try again later"
    SAYS_NOTHING = "says nothing either way"
    TOKEN_REFUSED = "get a new token once"  # noqa: S105 - no password
    NO_PERMISSION = "no permission"
    WRONG_REQUEST = "wrong request"
    JOB_GONE = "there is no such job, or no longer"
    WRONG_STATE = "not in the job's current state"
    WRONG_KIND = "not for a job of this kind"
    NO_SUCH_CALL = "this cloud or region has no such call"


NO_RESULT = "DRS.M00002"
TOKEN_REFUSED = "DRS.M00100"  # noqa: S105 - a code
WRONG_STATE = "DRS.M00304"

_NUMBERS: dict[Meaning, str] = {
    Meaning.THROTTLED: "M01503",
    Meaning.BUSY: "M01504",
    Meaning.SERVICE_FAILED: "M00004",
    Meaning.SAYS_NOTHING: "M00002 M01501",
    Meaning.TOKEN_REFUSED: "M00100",
    Meaning.NO_PERMISSION: "M00101 M00102 M00103 M00105 M00261",
    Meaning.WRONG_REQUEST: "M00007 M00200 M00201 M00202 M00210 M00211 M00273 M00299 M00300 M00301 M00303 M00305 "
    "M00306 KE0002",
    Meaning.JOB_GONE: "M00289 M05003 M05004",
    Meaning.WRONG_STATE: "M00304",
    # The kind of replication is not supported; for subtasks only; for parent tasks only.
    Meaning.WRONG_KIND: "M00302 M00307 M00308",
}
#: Codes of DRS itself.
DRS_CODES = {f"DRS.{number}": meaning for meaning, numbers in _NUMBERS.items() for number in numbers.split()}
#: Codes of the gateway before it, which has two names. DRS may have taken a request that the gateway responded to.
GATEWAY_CODES = {
    f"{gateway}.{number}": meaning
    for gateway in ("APIG", "APIGW")
    for number, meaning in {
        "0101": Meaning.NO_SUCH_CALL,
        "0301": Meaning.TOKEN_REFUSED,
        "0307": Meaning.TOKEN_REFUSED,
        "0308": Meaning.THROTTLED,
    }.items()
}


def meaning(code: str | None, http_status: int) -> Meaning | None:
    """Return what a code means, None where only the HTTP status tells.

    :param http_status: of the response; that there is no such call, a gateway says with 404 only.
    """
    found = DRS_CODES.get(code or "") or GATEWAY_CODES.get(code or "")
    return None if found is Meaning.NO_SUCH_CALL and http_status != 404 else found
