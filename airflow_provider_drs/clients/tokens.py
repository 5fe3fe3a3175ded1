"""Tokens from keystoneauth1: one per connection and process, renewed before it expires."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import lru_cache

from keystoneauth1 import exceptions, session
from keystoneauth1.access import AccessInfo, create
from keystoneauth1.identity import v3

from airflow_provider_drs.clients.session import BoundedSession
from airflow_provider_drs.get_provider_info import field_name
from airflow_provider_drs.protocol.errors import (
    DrsAuthenticationError,
    DrsConfigError,
    DrsError,
    DrsInvalidResponseError,
)
from airflow_provider_drs.protocol.http.request import Token
from airflow_provider_drs.protocol.http.response import HttpResponse, iam_error
from airflow_provider_drs.protocol.settings import Settings


class TokenSource:
    """The token of one connection.

    :param settings: who logs in, where, and to which project.
    :param on_new_token: called with every new token before it is used, so that logs can mask it.
    :param now: seconds since the epoch.
    """

    def __init__(
        self,
        settings: Settings,
        on_new_token: Callable[[str], None] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._on_new_token = on_new_token
        self._now = now
        self._lock = threading.Lock()
        self._attempts = 0
        self._token: Token | None = None
        self._error: DrsError | None = None
        # Redirects would carry the password to another host.
        self._session = session.Session(
            session=BoundedSession("IAM", settings.verify), timeout=settings.timeout, redirect=False
        )
        self._plugin = None if settings.token else _password(settings)

    def ready(self, refused: Token | None = None) -> Token | None:
        """Return the token if it can be used without asking IAM, else None.

        :param refused: a token that the service did not accept.
        """
        token = self._token
        if token is None or token == refused or self._now() >= token.fresh_until:
            return None
        return token

    def get(self, refused: Token | None = None) -> Token:
        """Return a token, from IAM if necessary. Blocks.

        Callers that come during a log-in share its outcome, so that a failing IAM does not get a request per wait.

        :param refused: a token that the service did not accept; it is not returned again.
        :raises DrsError: what the response of IAM stands for, or a network failure.
        """
        attempts = self._attempts
        with self._lock:
            if self._attempts != attempts:  # another caller logged in while this one waited for the lock
                if self._error is not None:
                    raise self._error.with_context("")
                if self._token is not None and self._token != refused:
                    return self._token
            if token := self.ready(refused):
                return token
            self._error = None
            try:
                self._token = self._issue(refused)
            except DrsError as error:
                self._error = error
                raise
            finally:
                self._attempts += 1
                self._session.session.close()  # the next log-in is hours away
            return self._token

    def _issue(self, refused: Token | None) -> Token:
        if self._plugin is None:
            if refused is not None:
                raise DrsAuthenticationError(f"{field_name('token')} is no longer valid: issue a new one and set it")
            return self._own_token()
        plugin = self._plugin
        plugin.invalidate()  # this class decides when a token is renewed
        token = _read(self._ask(lambda: plugin.get_access(self._session)))
        if self._on_new_token is not None:
            self._on_new_token(token.value)
        return token

    def _own_token(self) -> Token:
        """Return the connection's own token; IAM is asked only where the project's id is not known."""
        project_id = self._settings.project_id
        if not project_id:
            project_id = _read(self._ask(self._look_up), self._settings.token).project_id
        # This token cannot be renewed, so it is used until DRS refuses it.
        return Token(str(self._settings.token), project_id)

    def _look_up(self) -> AccessInfo:
        response = self._session.get(
            f"{self._settings.auth_url}/auth/tokens",
            headers=dict.fromkeys(("X-Auth-Token", "X-Subject-Token"), str(self._settings.token)),
            authenticated=False,
            log=False,
        )
        try:
            if response.status_code == 200:
                return create(response)
        except ValueError:
            pass
        raise exceptions.InvalidResponse(response)

    def _ask(self, log_in: Callable[[], AccessInfo]) -> AccessInfo:
        try:
            return log_in()
        except (exceptions.HttpError, exceptions.InvalidResponse) as error:
            failure = self._refused(error)
        except DrsError as error:  # of the session
            failure = error
        except (exceptions.ClientException, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            failure = DrsInvalidResponseError(f"IAM responded without a usable token ({type(error).__name__})")
        # A copy, and not chained: the causes hold the request and so the password.
        raise failure.with_context("") from None

    def _refused(self, error: exceptions.HttpError | exceptions.InvalidResponse) -> DrsError:
        response = error.response
        if response is None:
            return DrsInvalidResponseError("IAM responded without a usable token")
        received = HttpResponse(response.status_code, response.headers, response.content, received_at=time.time())
        return iam_error(received.redacted(self._settings.password or "", self._settings.token or ""))


@lru_cache(maxsize=64)
def _kept(settings: Settings, on_new_token: Callable[[str], None] | None) -> TokenSource:
    return TokenSource(settings, on_new_token)


_making = threading.Lock()


def token_source(settings: Settings, on_new_token: Callable[[str], None] | None = None) -> TokenSource:
    """Return this process's source for ``settings``; a changed connection is another one."""
    with _making:  # the cache alone would let two threads create two
        return _kept(settings, on_new_token)


def _password(settings: Settings) -> v3.Password:
    by_name = {"project_name": settings.project_name, "project_domain_name": settings.domain_name}
    scope = {"project_id": settings.project_id} if settings.project_id else by_name
    return v3.Password(
        auth_url=settings.auth_url,
        username=settings.username,
        password=settings.password or "",
        user_domain_name=settings.domain_name,
        **scope,
    )


def _read(access: AccessInfo, value: str | None = None) -> Token:
    """Return the token in a response of IAM; ``value`` where it is known already."""
    try:
        value, project_id, ends = value or access.auth_token, access.project_id, access.expires
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DrsInvalidResponseError(f"IAM responded without a usable token ({type(error).__name__})") from None
    if not project_id:
        raise DrsConfigError(
            f"the token is for no project: set {field_name('project_name')} or {field_name('project_id')}"
        )
    if not value or ends is None:
        raise DrsInvalidResponseError("IAM responded without a usable token")
    return Token(value, str(project_id), ends.timestamp() - v3.Password.MIN_TOKEN_LIFE_SECONDS)
