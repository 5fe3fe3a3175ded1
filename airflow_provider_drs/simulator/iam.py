"""IAM: tokens as Keystone v3 issues and validates them, and the check against an outside Keystone."""

from __future__ import annotations

import json
import secrets
import ssl
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import aiohttp

from airflow_provider_drs.simulator.responses import Response, json_response

_TITLES: Final = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed"}
_REFUSED: Final = "The request you have made requires authentication."


class TokenCheckError(Exception):
    """The outside IAM could not be reached, or sent something unusable."""


class TokenCheck(Protocol):
    """Finds the project of a token."""

    async def project_of(self, token: str) -> str | None:
        """The id of the token's project, "" for a token without one; None when the token is not valid."""


@dataclass(frozen=True)
class Account:
    """The one user that IAM knows, with the one project it may use."""

    user: str
    password: str
    domain: str
    project_name: str
    project_id: str

    @property
    def user_id(self) -> str:
        """32 hex digits, the same for the same user."""
        return uuid.uuid5(uuid.NAMESPACE_OID, f"user {self.user}").hex

    @property
    def domain_id(self) -> str:
        """32 hex digits, the same for the same domain."""
        return uuid.uuid5(uuid.NAMESPACE_OID, f"domain {self.domain}").hex


@dataclass(frozen=True)
class _Token:
    issued_at: float
    expires_at: float
    project_id: str


def keystone_error(status: int, message: str) -> Response:
    """An error as Keystone writes it."""
    headers = {"WWW-Authenticate": "Keystone"} if status == 401 else {}
    error = {"code": status, "message": message, "title": _TITLES[status]}
    return json_response({"error": error}, status, headers)


class Iam:
    """The simulator's own IAM; safe to use from several threads.

    :param clock: the time in seconds since the epoch
    :param token_lifetime: seconds until a token issued from now on expires; may be changed at any time
    """

    def __init__(self, account: Account, clock: Callable[[], float], token_lifetime: float) -> None:
        self.token_lifetime = token_lifetime
        self._account = account
        self._clock = clock
        self._tokens: dict[str, _Token] = {}
        self.issued: list[str] = []
        self._lock = threading.Lock()

    def revoke_all(self) -> None:
        """Refuse every token issued so far."""
        with self._lock:
            self._tokens.clear()

    async def project_of(self, token: str) -> str | None:
        """See `TokenCheck.project_of`."""
        found = self._valid(token)
        return found.project_id if found else None

    def issue(self, body: Any, base_url: str) -> Response:
        """``POST /v3/auth/tokens``: 201 with the token in X-Subject-Token, 400 for a malformed request, or 401."""
        try:
            identity = body["auth"]["identity"]
            methods = identity["methods"]
            if not isinstance(methods, list) or not all(isinstance(method, str) for method in methods):
                raise TypeError
            if methods != ["password"]:
                return keystone_error(401, "Attempted to authenticate with an unsupported method.")
            known = self._knows(identity["password"]["user"])
            project_id = self._project(body["auth"].get("scope"))
        except (KeyError, TypeError, AttributeError):
            return keystone_error(400, "The request is not valid against the schema of an authentication request.")
        if not known or project_id is None:
            return keystone_error(401, _REFUSED)
        now = self._clock()
        token, issued = "gAAAAA" + secrets.token_urlsafe(120), _Token(now, now + self.token_lifetime, project_id)
        with self._lock:
            self._tokens[token] = issued
            self.issued.append(token)
        return json_response(self._document(issued, base_url), 201, {"X-Subject-Token": token, "Vary": "X-Auth-Token"})

    def validate(self, auth_token: str | None, subject_token: str | None, base_url: str) -> Response:
        """``GET /v3/auth/tokens``: 401 for a bad token of the caller, 404 for a bad token that is asked about."""
        if auth_token is None or self._valid(auth_token) is None:
            return keystone_error(401, _REFUSED)
        subject = self._valid(subject_token) if subject_token else None
        if subject_token is None or subject is None:
            return keystone_error(404, "Could not find token.")
        return json_response(self._document(subject, base_url), 200, {"X-Subject-Token": subject_token})

    def _valid(self, token: str) -> _Token | None:
        with self._lock:
            found = self._tokens.get(token)
        return found if found and self._clock() < found.expires_at else None

    def _knows(self, user: Mapping[str, Any]) -> bool:
        account, password = self._account, user["password"]
        if not isinstance(password, str):
            raise TypeError
        if "id" in user:
            named = user["id"] == account.user_id
        else:
            named = user["name"] == account.user and self._is_domain(user["domain"])
        return bool(named) and password == account.password

    def _is_domain(self, domain: Mapping[str, Any]) -> bool:
        if "id" in domain:
            return bool(domain["id"] == self._account.domain_id)
        return bool(domain["name"] == self._account.domain)

    def _project(self, scope: Any) -> str | None:
        # The public IAM of the cloud takes a project's name without a domain: the user's own is meant.
        if scope is None or "unscoped" in scope:
            return ""
        if "domain" in scope:
            return "" if self._is_domain(scope["domain"]) else None
        project = scope["project"]
        if "id" in project:
            right = project["id"] == self._account.project_id
        else:
            right = project["name"] == self._account.project_name
            right = right and ("domain" not in project or self._is_domain(project["domain"]))
        return self._account.project_id if right else None

    def _document(self, token: _Token, base_url: str) -> dict[str, Any]:
        account = self._account
        domain = {"id": account.domain_id, "name": account.domain}
        document: dict[str, Any] = {
            "methods": ["password"],
            "user": {"id": account.user_id, "name": account.user, "domain": domain, "password_expires_at": None},
            "audit_ids": [secrets.token_urlsafe(16)],
            "issued_at": _iso(token.issued_at),
            "expires_at": _iso(token.expires_at),
        }
        if token.project_id:
            document |= {
                "project": {"id": account.project_id, "name": account.project_name, "domain": domain},
                "is_domain": False,
                "roles": [{"id": "0", "name": "drs_adm"}, {"id": "0", "name": "te_admin"}],
                "catalog": [
                    _service("drs", f"{base_url}/v3/{account.project_id}"),
                    _service("iam", f"{base_url}/v3"),
                    _service("identity", f"{base_url}/v3"),
                ],
            }
        return {"token": document}


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


def version_document(base_url: str) -> Response:
    """``GET /v3``: what keystoneauth reads to discover the version of IAM."""
    version = {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{base_url}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }
    return json_response({"version": version})


def _service(kind: str, url: str) -> dict[str, Any]:
    endpoint = {"id": f"{kind}-public", "interface": "public", "region": "eu-de", "region_id": "eu-de", "url": url}
    return {"id": kind, "type": kind, "name": kind, "endpoints": [endpoint]}


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
