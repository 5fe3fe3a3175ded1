"""Which certificates are trusted: the same for IAM and DRS, sync and async."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path

import certifi

from airflow_provider_drs.get_provider_info import field_name
from airflow_provider_drs.protocol.errors import DrsConfigError, one_line


def trusted(verify: bool | str) -> bool | str:
    """Return what ``requests`` takes as ``verify``: False, or the file or folder of the CAs to trust.

    True means ``REQUESTS_CA_BUNDLE`` or ``CURL_CA_BUNDLE`` where one is set, else the CAs of certifi.

    :raises DrsConfigError: the CA file is not there or holds no certificate.
    """
    if verify is False:
        return False
    if verify is True:
        return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    ssl_context(verify)
    return verify


@lru_cache(maxsize=16)
def ssl_context(verify: bool | str) -> ssl.SSLContext:
    """Return the context for ``verify``; one per process, because making one costs tens of milliseconds.

    :raises DrsConfigError: as :func:`trusted`.
    """
    if verify is False:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    place = Path(str(trusted(True) if verify is True else verify))
    try:
        if place.is_dir():
            return ssl.create_default_context(capath=place)
        return ssl.create_default_context(cafile=place)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise DrsConfigError(
            f"{field_name('verify')} names a CA file that cannot be used: {one_line(str(place), 200)!r} "
            f"({one_line(error, 120)})"
        ) from None
