"""The token of a connection: one per process, renewed before it expires, and IAM asked no more often than is of use."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import lru_cache

from keystoneauth1 import exceptions, session
from keystoneauth1.access import AccessInfo, create
from keystoneauth1.identity.base import BaseIdentityPlugin

from airflow_provider_drs.clients.credentials import plugin_of, secrets_of, unscoped_plugin_of, user_is_taken
from airflow_provider_drs.clients.session import BoundedSession
from airflow_provider_drs.get_provider_info import field_name
from airflow_provider_drs.protocol.errors import (
    DrsAuthenticationError,
    DrsConfigError,
    DrsError,
    DrsInvalidResponseError,
    DrsTransientError,
    one_line,
)
from airflow_provider_drs.protocol.http.redaction import redact
from airflow_provider_drs.protocol.http.request import Token
from airflow_provider_drs.protocol.http.response import HttpResponse, http_date, iam_error
from airflow_provider_drs.protocol.http.signature import AccessKey
from airflow_provider_drs.protocol.polling import duration
from airflow_provider_drs.protocol.settings import Settings, error_context
from airflow_provider_drs.protocol.ways import AKSK, Step, refused

# Seconds. A log-in that IAM refused is not sent again for so long: a few of them lock the user out.
REFUSAL_LASTS = 300.0
# Seconds between log-ins while IAM is in trouble, doubling from the first to the last. For one wait they are shorter
# than its own delays; of many waits, all but one are told of the trouble without another log-in.
FIRST_PAUSE, LAST_PAUSE = 1.0, 30.0
# Seconds before its end at which a token is renewed.
MIN_LIFE = float(BaseIdentityPlugin.MIN_TOKEN_LIFE_SECONDS)
# Seconds. What a network takes is less.
MAX_SKEW = 120.0

_log = logging.getLogger(__name__)


class TokenSource:
    """The token of one connection.

    :param settings: who logs in, where, and to which project.
    :param on_new_token: called with every new token before it is used, so that logs can mask it.
    :param now: seconds on a clock that only goes forward.
    """

    def __init__(
        self,
        settings: Settings,
        on_new_token: Callable[[str], None] | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._settings = settings
        self._on_new_token = on_new_token
        self._now = now or (lambda: time.monotonic())
        self._lock = threading.Lock()
        self._attempts = 0
        self._token: Token | None = None
        self._error: DrsError | None = None
        self._ask_again_at = 0.0
        self._pause = FIRST_PAUSE
        self._told_of_skew = False
        # What is asked of IAM: to take the user, the project, or both at once.
        self._step = Step.LOG_IN
        self._http = BoundedSession("IAM", settings.verify)
        # Redirects would carry the password to another host.
        self._session = session.Session(session=self._http, timeout=settings.timeout, redirect=False)
        self._key = _key_of(settings)
        self._plugin = None if settings.token or self._key else plugin_of(settings)
        #: Whether a key has never been seen to work: then requests go out one by one.
        self.unproven = self._key is not None

    def ready(self, refused: Token | None = None) -> Token | None:
        """Return the token if it can be used without asking IAM, else None.

        :param refused: a token that the service did not accept.
        """
        token = self._token
        if token is None or token == refused or self._now() >= token.fresh_until:
            return None
        return token

    def get(self, refused: Token | None = None, because: DrsAuthenticationError | None = None) -> Token:
        """Return a token, from IAM if necessary. Blocks.

        Callers that come during a log-in share its outcome. One that IAM refused is told again for five minutes, and
        trouble at IAM for a pause that grows, without another log-in.

        :param refused: a token that the service did not accept; it is not returned again.
        :param because: why it did not accept the access key, which is raised, now and for five minutes.
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
            if self._error is not None and self._now() < self._ask_again_at:
                raise self._error.with_context("")
            self._error = None
            try:
                if because is not None:
                    self._token, self.unproven = None, True
                    raise because
                self._token = self._issue(refused)
            except DrsError as error:
                self._error = error
                self._ask_again_at = self._now() + self._seconds_to_next_log_in(error)
                raise
            finally:
                self._attempts += 1
                self._http.close()  # the next log-in is hours away
            self._pause = FIRST_PAUSE
            return self._token

    def _seconds_to_next_log_in(self, error: DrsError) -> float:
        if isinstance(error, DrsAuthenticationError):
            return REFUSAL_LASTS
        if not isinstance(error, DrsTransientError):
            return 0.0  # a mistake of this machine: nothing was sent
        pause, self._pause = self._pause, min(self._pause * 2, LAST_PAUSE)
        return error.retry_after or pause

    def _issue(self, refused: Token | None) -> Token:
        if self._key is not None:
            return Token("", str(self._settings.project_id), key=self._key)
        if self._plugin is None:
            if refused is not None:
                raise DrsAuthenticationError(self._refusal(Step.LOG_IN))
            return self._own_token()
        asked_at = self._now()
        access = self._log_in(self._plugin)
        token = _read(access)
        wanted = self._settings.project_id
        if wanted and token.project_id != wanted:
            raise DrsConfigError(
                f"{field_name('project_id')} is {wanted!r}, and the token is for {token.project_id!r}: this way to log "
                "in is bound to its project"
            )
        if self._on_new_token is not None:
            self._on_new_token(token.value)
        self._tell_of_skew(access)
        return Token(token.value, token.project_id, asked_at + self._life(access) - MIN_LIFE)

    def check(self) -> None:
        """Log in as the user alone, where that is possible, then to the project: an error tells which is refused.

        A refused password goes out once.

        :raises DrsError: as :meth:`get`.
        """
        plugin = unscoped_plugin_of(self._settings)
        if plugin is None:
            self.get()
            return
        with self._lock:
            self._step = Step.USER
            try:
                self._log_in(plugin)
                self._step = Step.PROJECT
                self._token = self._issue(None)
            finally:
                self._step = Step.LOG_IN
                self._http.close()

    def _log_in(self, plugin: BaseIdentityPlugin) -> AccessInfo:
        plugin.invalidate()  # this class decides when a token is renewed
        return self._ask(lambda: plugin.get_access(self._session))

    def _refusal(self, step: Step) -> str:
        if self._settings.agency_name and step is not Step.USER:
            step = Step.AGENCY if user_is_taken(self._plugin) else Step.USER
        return refused(step, self._settings.given)

    def _tell_of_skew(self, access: AccessInfo) -> None:
        """Warn, once, of a clock that is off: here, or at IAM."""
        theirs = self._date or _issued(access)
        ahead = 0.0 if theirs is None else time.time() - theirs
        if abs(ahead) > MAX_SKEW and not self._told_of_skew:
            self._told_of_skew = True
            _log.warning(
                "%s: the clock of this machine is %s %s that of IAM; set one of them right",
                error_context(self._settings.conn_id),
                duration(round(abs(ahead) / 60) * 60),
                "ahead of" if ahead > 0 else "behind",
            )

    @property
    def _date(self) -> float | None:
        """IAM's clock by its last response."""
        return http_date(self._http.last_headers.get("Date") or "")

    def _life(self, access: AccessInfo) -> float:
        """Return the seconds that a new token lives, by IAM's clock alone."""
        begins = _issued(access) or self._date or time.time()
        return (access.expires.timestamp() if access.expires else begins) - begins

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
        self._http.last_headers = {}
        try:
            return log_in()
        except DrsError as error:  # of the session
            failure = error
        except Exception as error:
            failure = self._not_logged_in(error)
        # A copy, and not chained: the causes hold the request and so the password.
        raise failure.with_context("") from None

    def _not_logged_in(self, error: Exception) -> DrsError:
        """Return what an error of keystoneauth1 stands for; others are of responses that it cannot read."""
        if self._http.last_headers.get("Openstack-Auth-Receipt"):
            return DrsAuthenticationError(
                "IAM wants a second factor (MFA) from this user: use one without MFA, or "
                f"{field_name('auth_type')} v3applicationcredential or v3multifactor"
            )
        if isinstance(error, (exceptions.AuthorizationFailure, exceptions.AuthPluginException)):
            # What the way itself finds before it asks.
            text = redact(f"{field_name('auth')} cannot be used: {one_line(error, 200)}", secrets_of(self._settings))
            return DrsConfigError(text)
        response = error.response if isinstance(error, (exceptions.HttpError, exceptions.InvalidResponse)) else None
        if response is None:
            return DrsInvalidResponseError(f"IAM responded without a usable token ({type(error).__name__})")
        received = HttpResponse(response.status_code, response.headers, response.content, received_at=time.time())
        return iam_error(received.redacted(*secrets_of(self._settings)), self._refusal(self._step))


@lru_cache(maxsize=64)
def _kept(settings: Settings, on_new_token: Callable[[str], None] | None) -> TokenSource:
    return TokenSource(settings, on_new_token)


_making = threading.Lock()


def token_source(settings: Settings, on_new_token: Callable[[str], None] | None = None) -> TokenSource:
    """Return this process's source for ``settings``; a changed connection is another one."""
    with _making:  # the cache alone would let two threads create two
        return _kept(settings, on_new_token)


def _key_of(settings: Settings) -> AccessKey | None:
    if settings.auth_type != AKSK:
        return None
    return AccessKey(str(settings.username), str(settings.password), settings.security_token)


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
    return Token(value, str(project_id))


def _issued(access: AccessInfo) -> float | None:
    try:
        return access.issued.timestamp() if access.issued else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
