"""Everything that can go wrong when talking to DRS or IAM, one class per distinction a caller can act on.

::

    DrsError
    ├── DrsConfigError             the connection lacks a field or holds a malformed one
    ├── DrsArgumentError           a job id or another argument cannot be sent
    ├── DrsTransientError          a repeated request may succeed
    │   ├── DrsThrottledError      asked too often
    │   ├── DrsBusyError           another operation is running on the job
    │   ├── DrsServerError         the service, or a gateway before it, failed
    │   ├── DrsUnreachableError    unknown host, refused, reset, timeout
    │   └── DrsInvalidResponseError  a response that is not what the service would write
    ├── DrsUnavailableError        trouble lasted longer than the caller allows
    ├── DrsTimeoutError            what is waited for did not come in time
    ├── DrsTokenRefusedError       the token is expired, revoked or not known
    ├── DrsAuthenticationError    IAM refuses the log-in
    ├── DrsPermissionError         the user may not do this
    ├── DrsRequestError            the request is wrong
    │   ├── DrsJobNotFoundError    no such job (any more)
    │   ├── DrsNoSuchCallError     this cloud or region has no such call
    │   └── DrsWrongStateError     not possible in the job's current state
    ├── DrsRedirectError           a response that points elsewhere
    ├── DrsTlsError                the server's certificate does not verify
    ├── DrsGuardError              a guard does not hold; nothing was changed
    ├── DrsRecordError             this run's record stands against it; DRS was not asked again
    ├── DrsSwitchoverRefusedError  DRS refuses to switch; nothing was changed
    ├── DrsWitnessError            who answers at the virtual IP address cannot be asked, or is neither side
    ├── DrsUnknownStatusError      a status the documentation does not name
    └── DrsJobMismatchError       the response is about another job

The switchover that failed is not among them: it is a response, not an error in getting one. The task's exception for it
is ``DrsSwitchoverFailedError`` in :mod:`airflow_provider_drs.exceptions`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from airflow_provider_drs.get_provider_info import field_name

_MAX_TEXT = 500

# An object of plain JSON, such as an event, a record or a response body.
Json = dict[str, Any]


def one_line(text: object, limit: int = _MAX_TEXT) -> str:
    """Return foreign text fit for a message: one line, printable, at most ``limit`` characters."""
    raw = str(text)[: limit * 2]
    if not raw.isprintable():
        raw = "".join(c if c.isprintable() else " " for c in raw)
    line = " ".join(raw.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class DrsError(Exception):
    """Base of all errors of this provider that come from talking to DRS or IAM.

    :param message: what happened, one sentence without a full stop.
    :param error_code: the service's code, such as ``DRS.M00103``, where the response had one.
    :param error_msg: the service's own text for it.
    :param http_status: the HTTP status of the response, None where there was none.
    :param retry_after: seconds the server asked to wait before the next request.
    :param error_context: what the message is about, such as the connection and the job.
    :param never_sent: no byte of the request left this machine, provably; False where that is not certain.
    """

    hint: ClassVar[str] = ""
    #: How the message calls the words of others that follow the hint.
    words: ClassVar[str] = "Response"
    #: Whether it says something of the connection alone, whatever was asked over it.
    is_of_connection: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        error_code: str | None = None,
        error_msg: str | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
        error_context: str = "",
        never_sent: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = error_code
        self.error_msg = error_msg
        self.http_status = http_status
        self.retry_after = retry_after
        self.error_context = error_context
        self.never_sent = never_sent

    def __str__(self) -> str:
        """What happened, where, and what to do; then the service's own words, which may be long.

        What happened comes first: a panel of a log shows the beginning of a line.
        """
        text, words = self.message, f": {self.error_msg}"
        where = f" [{self.error_context}]" if self.error_context else ""
        if not self.hint:
            return text + where
        if not self.error_msg or not text.endswith(words):
            return f"{text.rstrip('.。')}{where}. {self.hint}"
        return f"{text.removesuffix(words).rstrip('.。')}{where}. {self.hint}. {self.words}{words}"

    def to_dict(self) -> Json:
        """Return the error as plain JSON, for the way from the triggerer to the worker."""
        return {
            "type": type(self).__name__,
            "message": self.message,
            "error_code": self.error_code,
            "error_msg": self.error_msg,
            "http_status": self.http_status,
            "retry_after": self.retry_after,
            "where": self.error_context,
            "never_sent": self.never_sent,
        }

    @staticmethod
    def from_dict(data: Json) -> DrsError:
        """Rebuild what :meth:`to_dict` wrote; a class this version does not know becomes a plain ``DrsError``."""
        fields = {k: data.get(k) for k in ("error_code", "error_msg", "http_status", "retry_after")}
        name = str(data.get("type"))
        cls = _CLASSES.get(_RENAMED.get(name, name), DrsError)
        where, never_sent = str(data.get("where") or ""), data.get("never_sent") is True
        return cls(str(data.get("message")), error_context=where, never_sent=never_sent, **fields)

    def __reduce__(self) -> tuple[Any, ...]:
        return DrsError.from_dict, (self.to_dict(),)

    def with_context(self, error_context: str) -> DrsError:
        """Return a copy with ``error_context`` set, unless it is set already."""
        copy = DrsError.from_dict(self.to_dict())
        copy.error_context = self.error_context or error_context
        return copy


class DrsConfigError(DrsError):
    """The Airflow connection, or a variable of the environment that it relies on, is wrong; nothing was sent."""

    is_of_connection = True


class DrsArgumentError(DrsError):
    """An argument, such as the job id, cannot be sent; nothing was sent."""


class DrsTransientError(DrsError):
    """A repeated request may succeed. The only errors that are waited out."""


class DrsThrottledError(DrsTransientError):
    """Asked too often: HTTP 429 or DRS.M01503."""


class DrsBusyError(DrsTransientError):
    """Another operation is running on the job, or the job is abnormal: DRS.M01504."""


class DrsServerError(DrsTransientError):
    """The service or a gateway before it failed, or said nothing: HTTP 5xx, DRS.M00002, DRS.M00004, DRS.M01501."""


class DrsUnreachableError(DrsTransientError):
    """No response: unknown host, refused or reset connection, timeout."""


class DrsInvalidResponseError(DrsTransientError):
    """A response that is not what the service would write: HTML, half or broken JSON, an empty body."""


class DrsUnavailableError(DrsError):
    """Not one good response for as long as the caller allows."""

    hint = f"Check {field_name('host')} and the network; 'transient_error_timeout' sets how long trouble is waited out"

    def __str__(self) -> str:
        """How long it lasted, where, and what to do; then what it was at last, which may be long."""
        lasted, _, last = self.message.partition(", at last: ")
        where = f" [{self.error_context}]" if self.error_context else ""
        return f"{lasted}{where}. {self.hint}" + (f". At last: {last}" if last else "")


class DrsTimeoutError(DrsError):
    """What is waited for did not come within the time-out of the wait. It says nothing about what comes later."""

    hint = "Look at the job in the DRS console; a longer 'timeout' waits longer"


class DrsTokenRefusedError(DrsError):
    """The token is expired, revoked or unknown: HTTP 403 DRS.M00100, HTTP 401 without a DRS code."""

    hint = (
        f"A new token did not help. Check that {field_name('auth_url')} and {field_name('host')} belong to the same "
        f"cloud and region; with {field_name('token')} set, issue a new one"
    )


class DrsAuthenticationError(DrsError):
    """IAM refuses the log-in, or DRS the access key; the message names the fields to check."""

    is_of_connection = True


class DrsPermissionError(DrsError):
    """The user may not do this, or not in this project."""

    hint = (
        f"{field_name('login')} needs a DRS role here: in this project, DRS Administrator or one with drs:*:get; so "
        "does whoever else logs in"
    )


class DrsRequestError(DrsError):
    """The request is wrong; repeating it cannot help."""

    hint = "Check the job id and the project; DRS has switchover calls for self-built synchronization jobs only"


class DrsJobNotFoundError(DrsRequestError):
    """No such job, or it was deleted or released: HTTP 404, DRS.M00289, DRS.M05003, DRS.M05004."""

    hint = (
        f"Check job id, project and {field_name('region')}: the job may be deleted; of a cross-AZ job, DRS "
        "wants the parent's id"
    )


class DrsNoSuchCallError(DrsRequestError):
    """This cloud or region has no such call: HTTP 404 with APIG.0101 or APIGW.0101. It says nothing about the job."""

    hint = (
        f"Check {field_name('region')} and {field_name('host')}. This cloud or region has no such call; the switchover "
        "calls are documented for Open Telekom Cloud only"
    )


class DrsWrongStateError(DrsRequestError):
    """Not possible in the job's current state: DRS.M00304."""

    hint = "Look at the job's state in the DRS console"


class DrsRedirectError(DrsError):
    """The response points elsewhere; redirects are not followed, so that no token leaves for another host."""

    hint = (
        f"Set {field_name('host')} or {field_name('auth_url')} of the connection to the service itself; a proxy or "
        "portal may stand in between"
    )


class DrsTlsError(DrsError):
    """The server's certificate does not verify, or the server does not speak TLS."""

    hint = (
        f"Set {field_name('verify')} to the CA's file, and check {field_name('host')} and {field_name('port')} of the "
        "connection"
    )
    words = "TLS says"
    is_of_connection = True


# There, nothing tells a further try that the one before it has asked nothing.
_BEFORE_3_3 = "before Airflow 3.3, start a new run"


class DrsGuardError(DrsError):
    """A guard of a switchover does not hold; nothing was changed."""

    hint = f"Nothing was changed. Once the guards hold, clear the task or let it retry; {_BEFORE_3_3}"


class DrsRecordError(DrsError):
    """The record of this run's switchover stands against what the task is to do; DRS was not asked again."""

    hint = "DRS was not asked again. Look at this run's evidence (XCom 'switchover'); to switch, start a new DAG run"


class DrsSwitchoverRefusedError(DrsError):
    """DRS refuses to switch; nothing was changed."""

    hint = f"Nothing was changed. Look at the job in the DRS console, then clear this task; {_BEFORE_3_3}"


class DrsWitnessError(DrsError):
    """Who answers at the virtual IP address is neither ``before`` nor ``after``, or the question cannot be asked."""

    hint = "Asking changed nothing. Compare 'before' and 'after' with what the query returns on each database"


class DrsUnknownStatusError(DrsError):
    """A status the documentation does not name. It is neither success nor failure, so the wait ends."""

    hint = (
        "Look at the job in the DRS console, then run this task again; an update of this provider may know the status"
    )


class DrsJobMismatchError(DrsError):
    """The response is about another job than the one asked for."""

    hint = "If this is a cross-AZ job whose parent responds with a child's id, set verify_job_id=False"


def _tree(cls: type[DrsError]) -> dict[str, type[DrsError]]:
    return {cls.__name__: cls} | {k: v for sub in cls.__subclasses__() for k, v in _tree(sub).items()}


_CLASSES = _tree(DrsError)
# What deferred tasks of versions up to 0.2 have stored.
_RENAMED = {
    "DrsGarbledAnswerError": "DrsInvalidResponseError",
    "DrsOtherJobError": "DrsJobMismatchError",
    "DrsCredentialsError": "DrsAuthenticationError",
}
