"""The calls of IAM: tokens as Keystone v3 issues, validates and revokes them, and what a token's owner may read."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from airflow_provider_drs.simulator.drs.routes import Call
from airflow_provider_drs.simulator.iam import documents
from airflow_provider_drs.simulator.iam.account import Account, MalformedRequestError
from airflow_provider_drs.simulator.iam.documents import error, iso
from airflow_provider_drs.simulator.iam.signatures import SignatureError, Signatures
from airflow_provider_drs.simulator.requests import Request
from airflow_provider_drs.simulator.responses import Response, json_response

_REFUSED: Final = "The request you have made requires authentication."
_FORBIDDEN: Final = "You are not authorized to perform the requested action."
_METHODS: Final = ("password", "token", "totp", "assume_role")
_RECEIPT_SECONDS: Final = 300.0
_RECEIPT_HEADER: Final = "Openstack-Auth-Receipt"


@dataclass(frozen=True)
class _Token:
    issued_at: float
    expires_at: float
    project_id: str
    methods: tuple[str, ...]
    audit_ids: tuple[str, ...]


@dataclass(frozen=True)
class _Receipt:
    expires_at: float
    methods: frozenset[str]


class Iam:
    """The simulator's own IAM; safe to use from several threads.

    :param clock: the time in seconds since the epoch
    :param token_lifetime: seconds until a token issued from now on expires; may be changed at any time
    :param base_url: the address under which clients reach the simulator
    :param signatures: for calls that are signed in place of a token
    """

    def __init__(
        self,
        account: Account,
        clock: Callable[[], float],
        token_lifetime: float,
        base_url: Callable[[], str],
        signatures: Signatures,
    ) -> None:
        self.token_lifetime = token_lifetime
        self.issued: list[str] = []
        self._account = account
        self._clock = clock
        self._base_url = base_url
        self._signatures = signatures
        self._tokens: dict[str, _Token] = {}
        self._receipts: dict[str, _Receipt] = {}
        self._lock = threading.Lock()

    def revoke_all(self) -> None:
        """Refuse every token issued so far."""
        with self._lock:
            self._tokens.clear()

    def change_password(self, password: str) -> None:
        """Give the user another password, and refuse every token issued so far."""
        self._account = replace(self._account, password=password)
        self.revoke_all()

    async def project_of(self, token: str) -> str | None:
        """See `TokenCheck.project_of`."""
        found = self._valid(token)
        return found.project_id if found else None

    def respond(self, request: Request) -> Response:
        """Respond to a call of IAM; 401 for every call but a log-in without a valid token or signature."""
        route = request.route
        if route.call == Call.TOKENS:
            return self._issue(request)
        if self._valid(request.headers.get("x-auth-token", "")) is None and not self._is_signed(request):
            return self._unauthorized()
        if route.call in (Call.VALIDATE_TOKEN, Call.REVOKE_TOKEN):
            return self._token(request)
        base_url = self._base_url()
        if route.call == Call.CATALOG:
            links = {"self": f"{base_url}/v3/auth/catalog"}
            return json_response({"catalog": documents.catalog(self._account, base_url), "links": links})
        if route.call == Call.DOMAINS:
            items = [documents.domain(self._account, base_url)]
            return json_response(documents.listing("domains", items, f"{base_url}{route.path}"))
        project = documents.project(self._account, base_url)
        if route.project_id is not None:
            if route.project_id != project["id"]:
                return error(404, f"Could not find project: {route.project_id}.")
            return json_response({"project": project})
        if route.user_id not in (None, self._account.user_id):
            return error(403, _FORBIDDEN)
        filters = {key: value for key, value in request.query if key in ("name", "domain_id")}
        found = [project] if filters.items() <= project.items() else []
        return json_response(documents.listing("projects", found, f"{base_url}{route.path}"))

    def _token(self, request: Request) -> Response:
        """``GET``, ``HEAD`` and ``DELETE /v3/auth/tokens``, about the token in X-Subject-Token."""
        subject = request.headers.get("x-subject-token")
        if subject is None:
            return error(403, _FORBIDDEN)
        token = self._valid(subject)
        if token is None:
            return error(404, "Could not find token.")
        if request.route.call == Call.REVOKE_TOKEN:
            with self._lock:
                self._tokens.pop(subject, None)
            return Response(204)
        return self._token_response(subject, token, 200, request)

    def _issue(self, request: Request) -> Response:
        """``POST /v3/auth/tokens``: 201 with the token in X-Subject-Token, 400 for a malformed request, or 401."""
        body: Any = request.json()
        try:
            identity, scope = body["auth"]["identity"], body["auth"].get("scope")
            methods = identity["methods"]
            if not isinstance(methods, list) or not methods or not all(isinstance(method, str) for method in methods):
                raise MalformedRequestError
            if not set(methods) <= set(identity):
                raise MalformedRequestError
            if not set(methods) <= set(_METHODS):
                return error(401, "Attempted to authenticate with an unsupported method.", self._base_url())
            parent = self._valid(identity["token"]["id"]) if "token" in methods else None
            if "assume_role" in methods:
                # The token of the user who takes on the agency, which proves who that is.
                parent = self._valid(request.headers.get("x-auth-token", ""))
            known = all(self._proves(method, identity[method]) for method in methods)
            known = known and ("assume_role" not in methods or parent is not None)
            project_id = self._account.project_of(scope)
        except (KeyError, TypeError, AttributeError, MalformedRequestError):
            return error(400, "The request is not valid against the schema of an authentication request.")
        if not known or project_id is None:
            return self._unauthorized()
        proven = {*methods, *self._receipt_methods(request)}
        if self._account.totp_secret is not None and parent is None and not proven >= {"password", "totp"}:
            return self._receipt(proven)
        now = self._clock()
        token = _Token(
            now,
            # A token does not outlive the one it was made from.
            parent.expires_at if parent and "assume_role" not in methods else now + self.token_lifetime,
            project_id,
            tuple(sorted({*proven, *(parent.methods if parent else ())})),
            (secrets.token_urlsafe(16), *(parent.audit_ids[-1:] if parent else ())),
        )
        value = "gAAAAA" + secrets.token_urlsafe(120)
        with self._lock:
            self._tokens[value] = token
            self.issued.append(value)
        return self._token_response(value, token, 201, request)

    def _proves(self, method: str, given: Mapping[str, Any]) -> bool:
        match method:
            case "password":
                return self._account.has_password(given["user"])
            case "assume_role":
                return self._account.may_assume(given)
            case "totp":
                return self._account.has_passcode(given["user"], self._clock())
            case _:
                return self._valid(given["id"]) is not None

    def _receipt(self, methods: set[str]) -> Response:
        """HTTP 401 that asks for the other method, with a receipt for the one that was proven."""
        value, now = "gAAAAA" + secrets.token_urlsafe(60), self._clock()
        with self._lock:
            self._receipts[value] = _Receipt(now + _RECEIPT_SECONDS, frozenset(methods))
        body = {
            "receipt": {
                "methods": sorted(methods),
                "user": self._user(),
                "issued_at": iso(now),
                "expires_at": iso(now + _RECEIPT_SECONDS),
            },
            "required_auth_methods": [["password", "totp"]],
        }
        return json_response(body, 401, {_RECEIPT_HEADER: value})

    def _receipt_methods(self, request: Request) -> frozenset[str]:
        with self._lock:
            found = self._receipts.get(request.headers.get(_RECEIPT_HEADER.lower(), ""))
        return found.methods if found and self._clock() < found.expires_at else frozenset()

    def _is_signed(self, request: Request) -> bool:
        try:
            self._signatures.check(request)
        except SignatureError:
            return False
        return True

    def _valid(self, token: str) -> _Token | None:
        with self._lock:
            found = self._tokens.get(token)
        return found if found and self._clock() < found.expires_at else None

    def _unauthorized(self) -> Response:
        return error(401, _REFUSED, self._base_url())

    def _user(self) -> dict[str, Any]:
        account = self._account
        domain = {"id": account.domain_id, "name": account.domain}
        return {"id": account.user_id, "name": account.user, "domain": domain, "password_expires_at": None}

    def _token_response(self, value: str, token: _Token, status: int, request: Request) -> Response:
        account, user = self._account, self._user()
        document: dict[str, Any] = {
            "methods": list(token.methods),
            "user": user,
            "audit_ids": list(token.audit_ids),
            "issued_at": iso(token.issued_at),
            "expires_at": iso(token.expires_at),
        }
        if token.project_id:
            document |= {
                "project": {"id": account.project_id, "name": account.project_name, "domain": user["domain"]},
                "is_domain": False,
                "roles": [{"id": "0", "name": "drs_adm"}, {"id": "0", "name": "te_admin"}],
            }
            if "nocatalog" not in dict(request.query):
                document["catalog"] = documents.catalog(account, self._base_url())
        headers = {"X-Subject-Token": value}
        return json_response({"token": document}, status, headers)
