"""Whom DRS asks whether a token is valid: the simulator's own IAM, or an outside Keystone."""

from __future__ import annotations

import json
import ssl
from typing import Protocol

import aiohttp


class TokenCheckError(Exception):
    """The outside IAM could not be reached, or sent something unusable."""


class TokenCheck(Protocol):
    """Finds the project of a token."""

    async def project_of(self, token: str) -> str | None:
        """The id of the token's project, "" for a token without one; None when the token is not valid."""


class OutsideIam:
    """Validates tokens against another Keystone, with one request for each call.

    A token authenticates the request about itself, so no administrator's token is needed.

    :param auth_url: the address up to and including ``/v3``
    :param verify: a file of certificates to trust, or None for those of the system; ValueError if it cannot be used
    :param timeout: seconds for one request
    """

    def __init__(self, auth_url: str, verify: str | None = None, timeout: float = 10.0) -> None:
        self._address = auth_url.rstrip("/") + "/auth/tokens"
        try:
            self._ssl = ssl.create_default_context(cafile=verify)
        except OSError as error:  # which does not name the file
            raise ValueError(f"{verify}: no certificates to trust: {error.strerror or error}") from None
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def project_of(self, token: str) -> str | None:
        """See `TokenCheck.project_of`; raises TokenCheckError when the other Keystone sends no usable response."""
        headers = {"X-Auth-Token": token, "X-Subject-Token": token}
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.get(self._address, headers=headers, ssl=self._ssl, allow_redirects=False) as response,
            ):
                if response.status in (401, 403, 404):
                    return None
                if response.status != 200:
                    raise TokenCheckError(f"{self._address} sent HTTP {response.status}")
                return str(json.loads(await response.read())["token"].get("project", {}).get("id", ""))
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise TokenCheckError(f"{self._address}: {type(error).__name__}") from error
