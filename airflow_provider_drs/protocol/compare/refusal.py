"""Which refusals say that DRS compares no job of this kind, so that a cutover may do without. The only place.

Everything else is a failure of the gate: a malformed request, a job that is gone, a call that this cloud does not have.
"""

from __future__ import annotations

from airflow_provider_drs.protocol.codes import DRS_CODES, Meaning
from airflow_provider_drs.protocol.errors import DrsError

# DRS documents comparisons for MySQL disaster recovery in progress, and never for a parent task: on another job the
# kind is wrong, or there is no status in which it could be compared.
_NOT_FOR_THIS_JOB = frozenset({Meaning.WRONG_KIND, Meaning.WRONG_STATE})


def is_unavailable(error: DrsError) -> bool:
    """Tell whether a refusal to create a comparison says that there is none for this kind of job."""
    server_failed = error.http_status is not None and error.http_status >= 500
    return DRS_CODES.get(error.error_code or "") in _NOT_FOR_THIS_JOB and not server_failed
