"""Which errors say that DRS has not taken a switchover, and which of those may be asked again. The only place.

Certain is only a refusal by DRS itself, with one of these codes. Any other error leaves open whether DRS has switched.
"""

from __future__ import annotations

from airflow_provider_drs.protocol.codes import DRS_CODES, Meaning
from airflow_provider_drs.protocol.errors import DrsError

# What the codes of DRS mean with which it has refused. Not among them: what says nothing either way, a service that
# failed, and whatever a gateway may send in the service's place.
_REFUSALS = frozenset(
    {
        Meaning.NO_PERMISSION,
        Meaning.WRONG_REQUEST,
        Meaning.JOB_GONE,
        Meaning.WRONG_STATE,
        Meaning.WRONG_KIND,
        Meaning.TOKEN_REFUSED,
        Meaning.THROTTLED,
        Meaning.BUSY,
    }
)
# What a repeat of our own request would get, were a gateway to repeat it: the first one may have been taken.
_LIKE_A_REPEAT = frozenset({Meaning.THROTTLED, Meaning.BUSY, Meaning.WRONG_STATE})
# What passes by itself, or with a new token.
_ASKED_AGAIN = frozenset({Meaning.TOKEN_REFUSED, Meaning.THROTTLED, Meaning.BUSY})
READ_ON_FOR = 10.0


def is_refusal(error: DrsError) -> bool:
    """Tell whether DRS itself has refused; a status read afterwards must agree."""
    server_failed = error.http_status is not None and error.http_status >= 500
    return _meaning(error) in _REFUSALS and not server_failed


def asked_again(error: DrsError) -> bool:
    """Tell whether what was refused so may be asked for again, behind guards that are read again."""
    return _meaning(error) in _ASKED_AGAIN


def needs_reads_for(error: DrsError) -> float:
    """Return the seconds for which the status is read on after a refusal, because START may come late."""
    return READ_ON_FOR if _meaning(error) in _LIKE_A_REPEAT else 0.0


def _meaning(error: DrsError) -> Meaning | None:
    return DRS_CODES.get(error.error_code or "")
