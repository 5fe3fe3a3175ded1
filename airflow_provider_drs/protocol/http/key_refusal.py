"""What it means that a signed request is refused: with an access key there is no new token to try."""

from __future__ import annotations

from airflow_provider_drs.get_provider_info import field_name
from airflow_provider_drs.protocol.errors import DrsAuthenticationError, DrsTokenRefusedError
from airflow_provider_drs.protocol.polling import duration

# Seconds that the clock of this machine may be off: a signature is valid for so long.
VALID_FOR = 900.0


def key_refused(error: DrsTokenRefusedError, ahead: float | None) -> DrsAuthenticationError:
    """Return what the gateway's refusal of a signed request stands for.

    :param ahead: seconds that the clock of this machine is ahead of the service's; None: not known.
    """
    said = (error.error_msg or "").lower()
    if "timestamp" in said or "expired" in said or (ahead is not None and abs(ahead) > VALID_FOR):
        off = "is off"
        if ahead is not None:
            minutes = duration(round(abs(ahead) / 60) * 60)
            off = f"is {minutes} {'ahead of' if ahead > 0 else 'behind'} that of DRS"
        what = f"the clock of this machine {off}, and a signature is valid for 15 minutes: set the clock"
    elif "limit" in said or "lock" in said:
        what = (
            f"the access key in {field_name('login')} is locked for five minutes, after five wrong signatures: check "
            f"{field_name('password')}"
        )
    elif "security token" in said or "securitytoken" in said:
        what = f"{field_name('security_token')} is missing, wrong or no longer valid: set a new one with its keys"
    elif "not exist" in said:
        what = f"no such access key: check {field_name('login')}"
    else:
        what = f"the secret key in {field_name('password')} is not that of the access key in {field_name('login')}"
    return DrsAuthenticationError(
        f"{what} ({error.message})",
        error_code=error.error_code,
        error_msg=error.error_msg,
        http_status=error.http_status,
    )
