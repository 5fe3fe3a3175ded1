"""What keystoneauth1 logs in with, for each way that a connection can describe (``protocol/ways.py``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from keystoneauth1 import exceptions, loading
from keystoneauth1.identity import v3
from keystoneauth1.identity.base import BaseIdentityPlugin
from keystoneauth1.session import Session

from airflow_provider_drs.get_provider_info import field_name
from airflow_provider_drs.protocol.errors import DrsConfigError
from airflow_provider_drs.protocol.settings import Settings
from airflow_provider_drs.protocol.ways import AKSK

# These wait for a person, or work once.
_INTERACTIVE = ("v3oidcauthcode", "v3oidcdeviceauthz", "v3websso")
# Its project is that of the credential; Keystone refuses a request that names one.
_BOUND_TO_A_PROJECT = ("v3applicationcredential",)
_PROJECT = ("project_id", "project_name", "project_domain_id", "project_domain_name")

Options = dict[str, Any]


def plugin_of(settings: Settings) -> BaseIdentityPlugin:
    """Return what logs in: by password, by another way of keystoneauth1, or by either for an agency.

    :raises DrsConfigError: keystoneauth1 knows no such way, or not with these options.
    """
    project = _project(settings)
    if not settings.agency_name:
        return _own(settings, project)
    # The user's own token must be allowed to take on an agency, which is a right in its domain, not in a project.
    base = _own(settings, {"domain_id": settings.domain_id, "domain_name": settings.domain_name})
    if "project_name" in project and not (settings.project_domain_id or settings.project_domain_name):
        project = {"project_name": settings.project_name, "project_domain_name": settings.agency_domain_name}
    agency = _AssumeRole(base, settings.agency_name, str(settings.agency_domain_name))
    return v3.Auth(auth_url=settings.auth_url, auth_methods=[agency], **project)


def unscoped_plugin_of(settings: Settings) -> BaseIdentityPlugin | None:
    """Return what logs in as the user alone, without a project or an agency; None where they cannot be left out."""
    return None if settings.token or settings.auth_type else _own(settings, {})


def user_is_taken(plugin: object) -> bool:
    """Tell whether what logs in for an agency has got the user's own token."""
    return any(
        isinstance(method, _AssumeRole) and method.user_is_taken for method in getattr(plugin, "auth_methods", ())
    )


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Return what of a connection must be seen nowhere; of other ways to log in, what keystoneauth1 calls a secret."""
    found = [settings.password, settings.token, settings.security_token]
    if settings.auth:
        options = _options(settings)
        try:
            known = {option.dest: option.secret for option in _known_options(str(settings.auth_type), options)}
        except DrsConfigError:
            known = {}
        # What is no option may be a misspelt one.
        found += [str(value) for name, value in options.items() if known.get(name, True)]
    return tuple(value for value in found if value)


class _AssumeRole(v3.AuthMethod):
    """The token of an agency for the token of a user who may take it on, as both clouds' IAM have it."""

    def __init__(self, base: BaseIdentityPlugin, agency: str, domain: str) -> None:
        super().__init__()
        self._base = base
        self._agency = agency
        self._domain = domain
        self.user_is_taken = False

    def get_auth_data(
        self, session: Session, auth: v3.Auth, headers: dict[str, str], request_kwargs: object = None, **_: object
    ) -> tuple[str, Options]:
        """Return the method's name and its part of the request for a token."""
        self._base.invalidate()
        self.user_is_taken = False
        headers["X-Auth-Token"] = str(self._base.get_access(session).auth_token)
        self.user_is_taken = True
        # Older pages of Open Telekom Cloud call the agency xrole_name.
        return "assume_role", {
            "domain_name": self._domain,
            "agency_name": self._agency,
            "xrole_name": self._agency,
        }


def _own(settings: Settings, scope: Options) -> BaseIdentityPlugin:
    if settings.auth:
        return _loaded(settings, scope)
    return v3.Password(
        auth_url=settings.auth_url,
        username=settings.username,
        user_id=settings.user_id,
        password=settings.password or "",
        user_domain_id=settings.domain_id,
        user_domain_name=settings.domain_name,
        **scope,
    )


def _project(settings: Settings) -> Options:
    if settings.project_id:
        return {"project_id": settings.project_id}
    if not settings.project_name:
        return {}
    if settings.project_domain_id or settings.project_domain_name:
        domain = settings.project_domain_id, settings.project_domain_name
    else:
        domain = settings.domain_id, settings.domain_name
    named = {"project_name": settings.project_name}
    return {**named, "project_domain_id": domain[0], "project_domain_name": domain[1]}


def _loaded(settings: Settings, scope: Options) -> BaseIdentityPlugin:
    kind, options = str(settings.auth_type), _options(settings)
    if kind in _INTERACTIVE:
        raise DrsConfigError(f"{field_name('auth_type')} {kind} needs a person at a browser: use another way to log in")
    known = {option.dest for option in _known_options(kind, options)}
    for name in options:
        if name not in known:
            meant = get_close_matches(name, known, 1, 0.6)
            hint = f"; did you mean {meant[0]!r}?" if meant else ""
            raise DrsConfigError(f"{field_name('auth')} has {name[:40]!r}, which is no option of {kind}{hint}")
    if any(scope.values()) and kind not in _BOUND_TO_A_PROJECT and not settings.agency_name:
        options = {name: value for name, value in options.items() if name not in _PROJECT}
        options |= {name: value for name, value in scope.items() if name in known}
        if "project_name" in scope and not (scope["project_domain_id"] or scope["project_domain_name"]):
            # The user's domain is the project's, as it is for a user with a password.
            options["project_domain_id"] = options.get("user_domain_id")
            options["project_domain_name"] = options.get("user_domain_name")
    try:
        loader: loading.BaseLoader[Any] = loading.get_plugin_loader(kind)
        plugin = loader.load_from_options(**{**options, "auth_url": settings.auth_url})
    except exceptions.MissingRequiredOptions as error:
        missing = ", ".join(repr(option.dest) for option in error.options)
        raise DrsConfigError(f"{field_name('auth')} lacks {missing}, which {kind} needs") from None
    except (exceptions.ClientException, AttributeError, TypeError, ValueError) as error:
        # Its text is keystoneauth1's own; of others, the text may hold what was given.
        text = str(error) if isinstance(error, exceptions.OptionError) else type(error).__name__
        raise DrsConfigError(f"{field_name('auth')} cannot be used for {kind}: {text}") from None
    if not isinstance(plugin, BaseIdentityPlugin):
        raise DrsConfigError(f"{field_name('auth_type')} {kind} gets no token of IAM: use another way to log in")
    return plugin


def _options(settings: Settings) -> Options:
    options: Options = json.loads(settings.auth or "{}")
    methods = options.get("auth_methods")
    if isinstance(methods, str):
        options["auth_methods"] = [name.strip() for name in methods.split(",")]
    return options


def _known_options(kind: str, options: Mapping[str, object]) -> list[loading.Opt]:
    """Return the options of a way; of several factors, also those of each."""
    methods = options.get("auth_methods")
    kinds = [kind, *(methods if isinstance(methods, list) else ())]
    try:
        return [option for each in kinds for option in loading.get_plugin_options(str(each))]
    except exceptions.NoMatchingPlugin as error:
        known = sorted({AKSK, *loading.get_available_plugin_names()})
        meant = get_close_matches(str(error.name), known, 1, 0.6)
        hint = f"; did you mean {meant[0]}?" if meant else f": one of {', '.join(known)}"
        raise DrsConfigError(f"{field_name('auth_type')} {str(error.name)[:40]} is not known{hint}") from None
