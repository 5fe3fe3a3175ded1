"""The simulator's IAM beside a real Keystone: the same requests get the same statuses, headers and shapes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest
import requests

from airflow_provider_drs.simulator import Simulator

from .harness import KeystoneServer, Project, User


@dataclass
class Iam:
    """An IAM to compare, with a user of its own."""

    address: str  # up to /v3, which is not in it
    user: Mapping[str, object]
    project_id: str
    session: requests.Session
    tokens: dict[str, str] = field(default_factory=dict)

    def log_in(self, name: str) -> None:
        identity = {"methods": ["password"], "password": {"user": self.user}}
        body = {"auth": {"identity": identity, "scope": {"project": {"id": self.project_id}}}}
        response = self.session.post(f"{self.address}/v3/auth/tokens", json=body, timeout=30)
        self.tokens[name] = response.headers["X-Subject-Token"]

    def send(self, method: str, path: str, caller: str | None, subject: str | None, body: object) -> requests.Response:
        headers = {"X-Auth-Token": self.token(caller), "X-Subject-Token": self.token(subject)}
        text = None if body is None else self.filled(body)
        return self.session.request(
            method,
            self.address + path.replace("PROJECT", self.project_id),
            headers=headers,
            data=text,
            allow_redirects=False,
            timeout=30,
        )

    def token(self, name: str | None) -> str | None:
        return None if name is None else self.tokens.get(name, "bad")

    def filled(self, body: object) -> str:
        text = json.dumps(body).replace('"USER"', json.dumps(self.user)).replace("PROJECT", self.project_id)
        return text.replace("TOKEN", self.tokens["caller"])


@pytest.fixture(scope="module")
def both(keystone: KeystoneServer, keystone_project: Project, keystone_user: User) -> Iterator[tuple[Iam, Iam]]:
    def user(name: str, password: str, domain: str) -> dict[str, object]:
        return {"name": name, "password": password, "domain": {"name": domain}}

    with Simulator() as simulator, requests.Session() as http, requests.Session() as https:
        http.trust_env = https.trust_env = False
        https.verify = simulator.ca_file or True
        real = Iam(
            keystone.auth_url.removesuffix("/v3"),
            user(keystone_user.name, keystone_user.password, keystone.domain),
            keystone_project.id,
            http,
        )
        simulated = Iam(
            simulator.url,
            user(simulator.user, simulator.password, simulator.domain),
            simulator.project_id,
            https,
        )
        for iam in (real, simulated):
            for name in ("caller", "subject"):
                iam.log_in(name)
        yield real, simulated


def shape(value: object) -> object:
    """The names and types in a JSON value; of a list, those of its first item."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(item) for item in value[:1]] if isinstance(value, list) else type(value).__name__


def told(response: requests.Response) -> tuple[object, ...]:
    """What a client reads from a response."""
    kind = response.headers.get("Content-Type")
    body = shape(response.json()) if kind == "application/json" and response.content else response.text
    allow = set(response.headers.get("Allow", "").split(", ")) - {"OPTIONS"}
    named = {name for name in ("X-Subject-Token", "Location", "WWW-Authenticate", "Vary") if name in response.headers}
    return response.status_code, kind, allow, named, body


def auth(methods: object, scope: object = None, **identity: object) -> dict[str, object]:
    whole: dict[str, object] = {"identity": {"methods": methods, **identity}}
    return {"auth": whole if scope is None else {**whole, "scope": scope}}


PASSWORD = auth(["password"], {"project": {"id": "PROJECT"}}, password={"user": "USER"})
UNSCOPED = auth(["password"], password={"user": "USER"})
BY_TOKEN = auth(["token"], {"project": {"id": "PROJECT"}}, token={"id": "TOKEN"})
WRONG = auth(["password"], password={"user": {"name": "nobody", "password": "x", "domain": {"name": "nowhere"}}})
ELSEWHERE = auth(["password"], {"project": {"id": "0" * 32}}, password={"user": "USER"})


@pytest.mark.parametrize(
    ("method", "path", "caller", "subject", "body"),
    [
        *[(method, path, None, None, None) for method in ("GET", "HEAD", "POST") for path in ("/", "/v3", "/v3/")],
        *[("GET", path, "caller", None, None) for path in ("/v2.0", "/nothing", "/v3/nothing", "/v3/auth/nothing")],
        ("PATCH", "/v3/auth/tokens", "caller", None, None),
        ("POST", "/v3/auth/tokens", None, None, PASSWORD),
        ("POST", "/v3/auth/tokens", None, None, UNSCOPED),
        ("POST", "/v3/auth/tokens", None, None, BY_TOKEN),
        ("POST", "/v3/auth/tokens", None, None, WRONG),
        ("POST", "/v3/auth/tokens", None, None, ELSEWHERE),
        ("POST", "/v3/auth/tokens", None, None, {"auth": {}}),
        ("POST", "/v3/auth/tokens", None, None, auth(["odd"])),
        ("POST", "/v3/auth/tokens?nocatalog", None, None, PASSWORD),
        ("GET", "/v3/auth/tokens?nocatalog", "caller", "subject", None),
        *[(method, "/v3/auth/tokens", "caller", "subject", None) for method in ("GET", "HEAD")],
        *[(method, "/v3/auth/tokens", "caller", "bad", None) for method in ("GET", "HEAD", "DELETE")],
        *[(method, "/v3/auth/tokens", "caller", None, None) for method in ("GET", "DELETE")],
        *[(method, "/v3/auth/tokens", "bad", "subject", None) for method in ("GET", "HEAD", "DELETE")],
        ("GET", "/v3/auth/tokens", None, "subject", None),
        *[("GET", f"/v3/auth/{name}", "caller", None, None) for name in ("projects", "catalog")],
        ("GET", "/v3/auth/projects", None, None, None),
        ("HEAD", "/v3/auth/projects", "caller", None, None),
        ("GET", "/v3/projects/PROJECT", "caller", None, None),
        # The last ones, for the subject is gone after the first of them.
        ("DELETE", "/v3/auth/tokens", "caller", "subject", None),
        ("HEAD", "/v3/auth/tokens", "subject", "caller", None),
        ("DELETE", "/v3/auth/tokens", "subject", "subject", None),
    ],
)
def test_the_same_request_gets_the_same_response(
    both: tuple[Iam, Iam], method: str, path: str, caller: str | None, subject: str | None, body: object
) -> None:
    real, simulated = (told(iam.send(method, path, caller, subject, body)) for iam in both)
    assert simulated == real
