"""What is sent: a token, a request, a call of the DRS API, and which job ids may stand in its path."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import quote

from airflow_provider_drs.protocol.arguments import given
from airflow_provider_drs.protocol.errors import DrsArgumentError, one_line
from airflow_provider_drs.protocol.http.response import JsonObject
from airflow_provider_drs.protocol.http.signature import AccessKey

R = TypeVar("R")

_MAX_ID = 128


@dataclass(frozen=True)
class Token:
    """A token of IAM, or an access key in its place, and what it is valid for.

    :param value: the token itself; never part of ``repr``. Empty with an access key.
    :param project_id: the project it is scoped to, which is also the project in the path of every DRS call.
    :param fresh_until: from when on a new one is due, on the clock of its source; infinity when that is not known.
    :param key: the access key that requests are signed with.
    """

    value: str = field(repr=False)
    project_id: str
    fresh_until: float = field(default=float("inf"), compare=False)
    key: AccessKey | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What a server may echo and nobody may see."""
        return (self.value,) if self.key is None else (self.key.secret_key, self.key.security_token or "")


@dataclass(frozen=True)
class HttpRequest:
    """A request as it goes out; the headers hold the token, so they are not part of ``repr``.

    :param safe: it changes nothing, so it may be sent again when a kept connection turns out to be closed.
    :param key: what it is to be signed with.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = None
    safe: bool = False
    key: AccessKey | None = None

    def headers_at(self, now: float) -> Mapping[str, str]:
        """Return the headers to send, signed where there is a key to sign with.

        :param now: seconds since the epoch.
        """
        if self.key is None:
            return self.headers
        return self.key.signed(self.method, self.url, self.headers, self.body or b"", now)


@dataclass(frozen=True)
class Call(Generic[R]):
    """One call of the DRS API, before a token is known.

    :param name: the call as the path of the API names it, for messages and metrics.
    :param subject: what it is about, for messages.
    :param path: the path below ``/v3/{project_id}/jobs``.
    :param parse: makes the reply of the JSON of a good response.
    :param safe: it changes nothing at DRS, though it is no GET.
    :param at_most_once: it never goes out a second time by itself, not even with a new token.
    :param when_empty: the reply that "the returned result is empty" (DRS.M00002) stands for; None: an error.
    """

    name: str
    subject: str
    method: str
    path: str
    parse: Callable[[JsonObject], R]
    body: JsonObject | None = None
    when_empty: R | None = None
    safe: bool = False
    at_most_once: bool = False

    @property
    def changes_nothing(self) -> bool:
        """Whether it may be sent again, whatever became of it."""
        return self.safe or self.method == "GET"

    def request(self, endpoint: str, token: Token, language: str) -> HttpRequest:
        """Return the request with ``token``, in the project of that token."""
        return HttpRequest(
            method=self.method,
            url=f"{endpoint}/v3/{quote(token.project_id, safe='')}/jobs{self.path}",
            headers={
                **({"X-Auth-Token": token.value} if token.key is None else {"X-Project-Id": token.project_id}),
                "X-Language": language,
                "Content-Type": "application/json",
                "Accept": "application/json",
            },
            body=None if self.body is None else json.dumps(self.body).encode(),
            safe=self.changes_nothing,
            key=token.key,
        )


def checked_job_id(job_id: object) -> str:
    """Return ``job_id`` if it can be one, else raise ``DrsArgumentError``.

    Job ids look like UUIDs but are not (they end in ``jb`` and digits or letters), so only what can never be an id is
    refused: what would change the path, and what a template leaves behind when it rendered nothing.
    """
    job_id = given("job_id", job_id)
    if not isinstance(job_id, str):
        raise DrsArgumentError(f"job_id must be a string, not {type(job_id).__name__} ({one_line(repr(job_id), 80)})")
    wrong = None
    if "{{" in job_id or "}}" in job_id:
        wrong = "an unrendered template"
    elif any(c.isspace() for c in job_id):
        wrong = "white space"
    elif not job_id.isprintable():
        wrong = "control characters"
    elif "/" in job_id or "\\" in job_id:
        wrong = "a slash"
    elif ".." in job_id or job_id == ".":
        wrong = "dots that would change the path"
    elif len(job_id) > _MAX_ID:
        wrong = f"more than {_MAX_ID} characters"
    if wrong:
        raise DrsArgumentError(
            f"job_id {one_line(repr(job_id), 160)} cannot be a DRS job id: it holds {wrong}. Copy it from the console"
        )
    return job_id


def describe_job(job_id: str) -> str:
    """Return how messages name a job."""
    return f"job {job_id!r}"
