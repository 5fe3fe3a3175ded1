"""Which errors say that DRS has not taken a switchover, and which of those may be asked again. The only place.

Certain is only a refusal by DRS itself, with one of these codes. Any other error leaves open whether DRS has switched.
"""

from __future__ import annotations

from airflow_provider_drs.protocol.errors import DrsError

# Codes of DRS with which it has refused, by what they say. Not among them: M00002, M01501 and M00004, which say nothing
# either way, and whatever a gateway may send in the service's place.
_REFUSALS = frozenset(
    {
        # no permission
        "DRS.M00101", "DRS.M00102", "DRS.M00103", "DRS.M00105", "DRS.M00261",
        # wrong request
        "DRS.M00007", "DRS.M00200", "DRS.M00201", "DRS.M00202", "DRS.M00210", "DRS.M00211", "DRS.M00273", "DRS.M00299",
        "DRS.M00300", "DRS.M00301", "DRS.M00302", "DRS.M00303", "DRS.M00305", "DRS.M00306", "DRS.M00307", "DRS.M00308",
        "DRS.KE0002",
        # the job is gone
        "DRS.M05003", "DRS.M05004", "DRS.M00289",
        # wrong state now
        "DRS.M00304",
        # the token
        "DRS.M00100",
        # asked too often; another operation is running, or the job is abnormal
        "DRS.M01503", "DRS.M01504",
    }
)  # fmt: skip
# What a repeat of our own request would get, were a gateway to repeat it: the first one may have been taken.
_LIKE_A_REPEAT = frozenset({"DRS.M01503", "DRS.M01504", "DRS.M00304"})
# What passes by itself, or with a new token.
_ASKED_AGAIN = frozenset({"DRS.M00100", "DRS.M01503", "DRS.M01504"})
READ_ON_FOR = 10.0


def is_refusal(error: DrsError) -> bool:
    """Tell whether DRS itself has refused; a status read afterwards must agree."""
    server_failed = error.http_status is not None and error.http_status >= 500
    return error.error_code in _REFUSALS and not server_failed


def asked_again(error: DrsError) -> bool:
    """Tell whether what was refused so may be asked for again, behind guards that are read anew."""
    return error.error_code in _ASKED_AGAIN


def needs_reads_for(error: DrsError) -> float:
    """Return the seconds for which the status is read on after a refusal, because START may come late."""
    return READ_ON_FOR if error.error_code in _LIKE_A_REPEAT else 0.0
