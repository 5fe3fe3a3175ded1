"""The one user that the simulated IAM knows, and the project of that user."""

from __future__ import annotations

import base64
import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_TOTP_PERIOD: Final = 30
_TOTP_DIGITS: Final = 6


class MalformedRequestError(Exception):
    """A part of a request for a token is missing or of the wrong type."""


@dataclass(frozen=True)
class Account:
    """The user, with the one project it may use.

    :param totp_secret: in Base32; with it the user logs in with password and passcode, without it with either
    :param agency: an agency that the user may take on, for the same project
    :param agency_domain: the domain that has created the agency
    """

    user: str
    password: str
    domain: str
    project_name: str
    project_id: str
    totp_secret: str | None = None
    agency: str = "drs-demo-agency"
    agency_domain: str = "OTC-DEMO-OWNER"

    def may_assume(self, role: Mapping[str, Any]) -> bool:
        """Whether this is the agency that the user may take on."""
        names = {role[key] for key in ("agency_name", "xrole_name") if key in role}
        return names == {self.agency} and role["domain_name"] == self.agency_domain

    @property
    def user_id(self) -> str:
        """32 hex digits, the same for the same user."""
        return uuid.uuid5(uuid.NAMESPACE_OID, f"user {self.user}").hex

    @property
    def domain_id(self) -> str:
        """32 hex digits, the same for the same domain."""
        return uuid.uuid5(uuid.NAMESPACE_OID, f"domain {self.domain}").hex

    def has_password(self, user: Mapping[str, Any]) -> bool:
        """Whether name or id, and password, are those of the user."""
        return self._is_named(user) and self._equal(user["password"], self.password)

    def has_passcode(self, user: Mapping[str, Any], now: float) -> bool:
        """Whether name or id, and the passcode of this period or the last one, are those of the user."""
        named, passcode = self._is_named(user), user["passcode"]
        valid = [] if self.totp_secret is None else [totp(self.totp_secret, now - ago) for ago in (0, _TOTP_PERIOD)]
        return named and any(self._equal(passcode, code) for code in valid)

    def is_domain(self, domain: Mapping[str, Any]) -> bool:
        """Whether a domain, named by id or name, is that of the user."""
        return bool(domain["id"] == self.domain_id if "id" in domain else domain["name"] == self.domain)

    def project_of(self, scope: Any) -> str | None:
        """The project of a scope, "" for a scope without one; None for a project that the user does not have."""
        if scope is None or "unscoped" in scope:
            return ""
        if "domain" in scope:
            return "" if self.is_domain(scope["domain"]) else None
        project = scope["project"]
        if "id" in project:
            right = project["id"] == self.project_id
        else:
            # The public IAM of the cloud takes a project's name without a domain: the user's own is meant.
            right = project["name"] == self.project_name
            domain = project.get("domain")
            right = right and (domain is None or self.is_domain(domain) or domain == {"name": self.agency_domain})
        return self.project_id if right else None

    def _is_named(self, user: Mapping[str, Any]) -> bool:
        if "id" in user:
            return bool(user["id"] == self.user_id)
        return bool(user["name"] == self.user) and self.is_domain(user["domain"])

    def _equal(self, given: object, right: str) -> bool:
        if not isinstance(given, str):
            raise MalformedRequestError
        return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), right.encode())


def totp(secret: str, at: float) -> str:
    """The passcode of RFC 6238 (SHA-1, 30 s, 6 digits) at a moment.

    :param secret: in Base32
    :param at: seconds since the epoch
    """
    padded = secret + "=" * (-len(secret) % 8)
    counter = int(at // _TOTP_PERIOD).to_bytes(8)
    digest = hmac.digest(base64.b32decode(padded, casefold=True), counter, "sha1")
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF
    return str(number % 10**_TOTP_DIGITS).zfill(_TOTP_DIGITS)
