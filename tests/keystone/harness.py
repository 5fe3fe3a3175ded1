"""Starts a real Keystone for tests and fills it with projects and users."""

from __future__ import annotations

import os
import secrets
import selectors
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from keystoneauth1 import session
from keystoneauth1.identity import v3

if TYPE_CHECKING:
    from types import TracebackType
    from typing import IO, Self

REPOSITORY = Path(__file__).resolve().parents[2]
START_TIMEOUT = 600.0
STOP_TIMEOUT = 60.0


@dataclass(frozen=True)
class Project:
    """A Keystone project in the domain Default."""

    id: str
    name: str


@dataclass(frozen=True)
class User:
    """A Keystone user in the domain Default, and the password it was created with."""

    id: str
    name: str
    password: str = field(repr=False)


def keystone_python() -> Path:
    """Return the interpreter of Keystone's own environment.

    :raises FileNotFoundError: there is none; the tests then fail, for they may not pass without a real IAM.
    """
    path = Path(os.environ.get("KEYSTONE_PYTHON") or REPOSITORY / ".venv-keystone/bin/python")
    if not path.exists():
        raise FileNotFoundError(f"Keystone's Python is not at {path}: run 'make test', which installs it")
    return path


class KeystoneServer:
    """A Keystone process on a free port of 127.0.0.1, for the length of a ``with`` block.

    :param directory: folder for its database, keys, configuration and log; created when missing, without a Keystone yet
    :param expiration: life of a token in seconds; Keystone counts in whole seconds
    """

    domain = "Default"
    admin_user = "admin"
    admin_project = "admin"

    def __init__(self, directory: str | os.PathLike[str], expiration: int = 3600) -> None:
        self.directory = Path(directory)
        self.expiration = expiration
        self.admin_password = secrets.token_urlsafe(16)
        self._log_path = self.directory / "keystone.log"
        self._process: subprocess.Popen[str] | None = None
        self._port: int | None = None
        self._http = requests.Session()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def auth_url(self) -> str:
        """The address of the v3 API, without a slash at its end."""
        if self._port is None:
            raise RuntimeError("Keystone has not been started")
        return f"http://127.0.0.1:{self._port}/v3"

    @property
    def log(self) -> str:
        """What Keystone has written to its log so far."""
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    def start(self) -> None:
        """Start the process and return once it accepts connections.

        :raises FileNotFoundError: Keystone's environment is missing
        :raises RuntimeError: it ended, or said nothing in time; the message ends with its log
        """
        interpreter = keystone_python()
        self.directory.mkdir(parents=True, exist_ok=True)
        # -I: no module and no setting of the environment that the tests run in. The variables are kept from it too,
        # because Keystone reads options from OS_*.
        server = Path(__file__).with_name("serve_keystone.py")
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [interpreter, "-I", server, self.directory, str(self.expiration)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={"PATH": os.defpath, "KEYSTONE_ADMIN_PASSWORD": self.admin_password},
            )
        assert self._process.stdout is not None
        try:
            self._port = int(_first_line(self._process.stdout, START_TIMEOUT))
        except (TimeoutError, ValueError) as error:
            self.stop()
            raise RuntimeError(f"Keystone did not start ({error}); its log ends:\n{self.log[-4000:]}") from None

        self._admin = session.Session(
            auth=v3.Password(
                auth_url=self.auth_url,
                username=self.admin_user,
                password=self.admin_password,
                user_domain_name=self.domain,
                project_name=self.admin_project,
                project_domain_name=self.domain,
            ),
            session=self._http,
            redirect=False,
        )

    def stop(self) -> None:
        """End the process; harmless when it has ended already."""
        self._http.close()
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()  # the server's sign to leave
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def create_project(self, name: str | None = None) -> Project:
        """Create a project; without a name it gets one of its own."""
        name = name or f"project-{uuid.uuid4().hex[:8]}"
        created = self._create("project", {"name": name, "domain_id": "default"})
        return Project(created["id"], name)

    def create_user(
        self, project: Project, name: str | None = None, password: str | None = None, role: str = "member"
    ) -> User:
        """Create a user that has a role on a project; without a name or password it gets one of its own.

        :param role: a role Keystone begins with: reader, member, manager or admin
        """
        name = name or f"user-{uuid.uuid4().hex[:8]}"
        password = password or secrets.token_urlsafe(16)
        created = self._create("user", {"name": name, "password": password, "domain_id": "default"})
        self.grant(created["id"], project, role)
        return User(created["id"], name, password)

    def grant(self, user_id: str, project: Project, role: str = "member") -> None:
        """Give a user one more role on a project."""
        found = self._admin.get(f"{self.auth_url}/roles", params={"name": role}, authenticated=True).json()["roles"]
        if not found:
            raise ValueError(f"Keystone has no role {role!r}")
        self._admin.put(f"{self.auth_url}/projects/{project.id}/users/{user_id}/roles/{found[0]['id']}")

    def revoke(self, token: str) -> None:
        """Revoke a token; Keystone refuses it from now on."""
        self._admin.delete(f"{self.auth_url}/auth/tokens", headers={"X-Subject-Token": token})

    def send(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request as the administrator; return what it brings."""
        response = self._admin.request(f"{self.auth_url}{path}", method, json=body)
        return dict(response.json()) if response.content else {}

    def _create(self, kind: str, properties: dict[str, Any]) -> dict[str, Any]:
        response = self._admin.post(f"{self.auth_url}/{kind}s", json={kind: properties})
        created: dict[str, Any] = response.json()[kind]
        return created


def _first_line(stream: IO[str], timeout: float) -> str:
    """Read a line, which is empty when the writer ended without one.

    :raises TimeoutError: none came in ``timeout`` seconds
    """
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        if not selector.select(timeout):
            raise TimeoutError(f"no response in {timeout:g} s")
    return stream.readline()
