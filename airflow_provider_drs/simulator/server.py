"""The simulator as one object: it serves in its own thread; its user scripts it and reads its journal."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from airflow_provider_drs.simulator.drs.address import Address
from airflow_provider_drs.simulator.drs.reading import Reading, reading_of
from airflow_provider_drs.simulator.drs.service import Drs
from airflow_provider_drs.simulator.drs.state import JobStore
from airflow_provider_drs.simulator.faults import Fault, FaultQueue, PlannedFault
from airflow_provider_drs.simulator.iam.account import Account
from airflow_provider_drs.simulator.iam.service import Iam
from airflow_provider_drs.simulator.iam.signatures import AccessKey, Signatures
from airflow_provider_drs.simulator.iam.token_check import OutsideIam
from airflow_provider_drs.simulator.jobs import Job, Lag
from airflow_provider_drs.simulator.journal import Entry, Journal
from airflow_provider_drs.simulator.serving import certificates
from airflow_provider_drs.simulator.serving.app import HttpApp
from airflow_provider_drs.simulator.serving.control import Control
from airflow_provider_drs.simulator.serving.forwarder import Forwarder
from airflow_provider_drs.simulator.serving.page import page
from airflow_provider_drs.simulator.serving.thread import ServingThread
from airflow_provider_drs.simulator.vips import Vip

_CONNECTION_FIELDS: Final = ("conn_type", "host", "login", "password", "port", "schema", "description", "extra")


class Simulator:
    """IAM and DRS on one port; a context manager that serves while it is entered.

    :param tls: serve HTTPS with a certificate of its own CA, made at start
    :param host: the address to bind to
    :param port: 0 takes a free one
    :param directory: where ``ca.pem`` and ``server.pem`` go; default is a temporary directory, removed at the end
    :param token_lifetime: seconds
    :param iam: address (up to ``/v3``) of an outside Keystone that validates the tokens, instead of the own IAM
    :param iam_verify: file of certificates to trust when asking it, default those of the system
    :param language: of error texts for requests without X-Language: ``en-us`` or ``zh-cn``
    :param jobs: the jobs that are there from the start
    :param contradictions: where to read the documentation the other way: ``success_code`` (200 for 202 and the
        reverse), ``error_field`` (error_message for error_msg and the reverse), ``refused_batch`` (HTTP 400 for a batch
        of which every job is refused), ``PAUSEING``, ``STARTJOB_FAILED``
    :param vips: virtual IP addresses that the switchovers of jobs move
    :param reading: which database serves after a switchover of a mode, which DRS does not document: ``named`` (the one
        that the mode names), ``other`` (the one that it does not name), ``toggle`` (the one that did not serve before)
    :param totp_secret: in Base32; with it a log-in needs a passcode beside the password, as with multi-factor
        authentication
    :param access_key: with ``secret_key``, what requests may be signed with (SDK-HMAC-SHA256) in place of a token
    :param security_token: makes the access key a temporary one
    :param clock: the time in seconds since the epoch, which tokens and jobs live by
    """

    def __init__(
        self,
        *,
        tls: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
        directory: str | Path | None = None,
        token_lifetime: float = 86400,
        iam: str | None = None,
        iam_verify: str | None = None,
        language: str = "en-us",
        jobs: Iterable[Job] = (),
        contradictions: Iterable[str] = (),
        vips: Iterable[Vip] = (),
        reading: str = Reading.NAMED,
        user: str = "drs-demo",
        password: str = "demo-password",
        domain: str = "OTC-DEMO",
        project_name: str = "eu-de_demo",
        project_id: str = "5f1e9a0c7b2d4e68a3c4d5e6f7081920",
        totp_secret: str | None = None,
        access_key: str = "DRSDEMOACCESSKEY",
        secret_key: str = "demo-secret-key",
        security_token: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.tls, self.host, self.port, self.language = tls, host, port, language
        self.user, self.password, self.domain = user, password, domain
        self.project_name, self.project_id = project_name, project_id
        self.access_key, self.secret_key, self.security_token = access_key, secret_key, security_token
        self.ca_file: str | None = None
        self.vips = tuple(vips)
        self.reading = reading_of(reading)
        self._clock = clock
        self._directory = directory
        self._outside_iam = iam.rstrip("/") if iam else None
        self._jobs, self._faults, self._journal = JobStore(clock), FaultQueue(), Journal()
        for job in jobs:
            self._jobs.add(job)
        account = Account(user, password, domain, project_name, project_id, totp_secret)
        signatures = Signatures(AccessKey(access_key, secret_key, project_id, security_token), clock)
        self._iam = None if iam else Iam(account, clock, token_lifetime, lambda: self.url, signatures)
        self._app = HttpApp(
            drs=Drs(self._jobs, self._iam or OutsideIam(iam or "", iam_verify), language, contradictions, signatures),
            iam=self._iam,
            faults=self._faults,
            journal=self._journal,
            controls=Control(self._jobs, self._faults, self._journal, self.revoke_tokens),
            clock=clock,
            base_url=lambda: self.url,
            page=lambda chosen: page(self._jobs, self._journal, chosen),
        )
        self._cleanup = contextlib.ExitStack()
        self._serving: ServingThread | None = None

    # Addresses

    @property
    def url(self) -> str:
        """Where clients reach the simulator, without a slash at the end."""
        host = self.host
        if certificates.is_wildcard(host):
            host = "::1" if ":" in host else "127.0.0.1"
        return f"{'https' if self.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def auth_url(self) -> str:
        """Where tokens come from: the simulator's own IAM, or the outside one."""
        return self._outside_iam or f"{self.url}/v3"

    def connection(self, **overrides: Any) -> dict[str, Any]:
        """An Airflow connection to the simulator; as JSON it is the value of ``AIRFLOW_CONN_DRS_DEFAULT``.

        :param overrides: fields of the connection, or of its extra, to set; None leaves one out
        """
        extra = {"auth_url": self.auth_url, "domain_name": self.domain, "project_name": self.project_name}
        if self.ca_file:
            extra["verify"] = self.ca_file
        if self.language != "en-us":
            extra["language"] = self.language
        made = {"conn_type": "drs", "host": self.url, "login": self.user, "password": self.password, "extra": extra}
        for name, value in overrides.items():
            target: dict[str, Any] = made if name in _CONNECTION_FIELDS else extra
            target[name] = value
        if isinstance(made["extra"], dict):
            made["extra"] = {name: value for name, value in made["extra"].items() if value is not None}
        return {name: value for name, value in made.items() if value is not None}

    # Scripting

    @property
    def token_lifetime(self) -> float:
        """Seconds that a token issued from now on lives; may be set. There is none with an outside IAM."""
        return self._own_iam().token_lifetime

    @token_lifetime.setter
    def token_lifetime(self, seconds: float) -> None:
        self._own_iam().token_lifetime = seconds

    def add_job(self, job: Job, lag: Callable[[], Lag] | None = None) -> None:
        """Add a job, or replace the one with the same id, which starts from the beginning.

        :param lag: returns what ``batch-progress`` shows as the lag while the job replicates, in place of the job's
            own; it is called in a thread for each such request, and may take its time to measure
        """
        self._jobs.add(job, lag)

    def switched(self, job_id: str) -> list[str]:
        """The modes of the switchovers that were accepted for a job, in order; raises KeyError for no such job."""
        return self._jobs.switched(job_id)

    def controlled(self, job_id: str) -> list[str]:
        """The job controls that were accepted for a job, in order; raises KeyError for no such job.

        They are ``start``, ``pause``, ``retry``, ``terminate``, ``force_terminate`` and ``delete``.
        """
        return self._jobs.controlled(job_id)

    def fault(self, call: str, fault: Fault, times: int | None = 1) -> None:
        """Let the next ``times`` calls of a name go wrong, or all from now on with ``times=None``.

        Faults of one call queue up; ``"*"`` means any DRS call and comes after those planned for the call's name.
        Raises ValueError for a name that no call has.
        """
        self._faults.add(PlannedFault(call, fault, times))

    def clear_faults(self) -> None:
        """Remove every planned fault."""
        self._faults.clear()

    def revoke_tokens(self) -> None:
        """Refuse every token issued so far; raises RuntimeError with an outside IAM, which alone can do that."""
        self._own_iam().revoke_all()

    def change_password(self, password: str) -> None:
        """Give the user another password, and refuse every token issued so far, as an IAM does."""
        self._own_iam().change_password(password)
        self.password = password

    def issued_tokens(self) -> list[str]:
        """Every token issued so far, to search logs for them; raises RuntimeError with an outside IAM."""
        return list(self._own_iam().issued)

    def _own_iam(self) -> Iam:
        if self._iam is None:
            raise RuntimeError("tokens come from an outside IAM")
        return self._iam

    # Watching

    @property
    def journal(self) -> list[Entry]:
        """A snapshot of all requests so far, in the order they arrived."""
        return self._journal.entries()

    def calls(self, call: str) -> list[Entry]:
        """A snapshot of the requests of one call."""
        return self._journal.entries(call)

    def wait_for(self, call: str, count: int = 1, timeout: float = 30, *, answered: bool = True) -> list[Entry]:
        """Block until there are ``count`` requests of a call, and return them.

        :param timeout: seconds, after which TimeoutError is raised
        :param answered: count only requests that the simulator has finished with
        """
        return self._journal.wait_for(call, count, timeout, answered)

    # Serving

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to serve; raises OSError for an address that cannot be used, MissingTrustmeError without trustme."""
        if self._serving is not None:
            raise RuntimeError("the simulator is running")
        with contextlib.ExitStack() as started:
            context = None
            if self.tls:
                directory = self._directory or started.enter_context(tempfile.TemporaryDirectory(prefix="drs-sim-"))
                self.ca_file, context = certificates.make_certificates(self.host, Path(directory).absolute())
            self._serving = ServingThread(self._app.application(), (self.host, self.port), context)
            self.port = self._serving.port
            started.callback(self._serving.stop)
            for vip in self.vips:
                started.callback(Forwarder(vip, self.side_of(vip)).stop)
            self._cleanup = started.pop_all()

    def side_of(self, vip: Vip) -> Callable[[], str | None]:
        """What tells where an address leads: ``source``, ``target``, or None where nobody answers.

        :param vip: one of ``vips``, or one that something else than this simulator serves
        """
        address = Address(vip, self.reading.serving)
        return lambda: address.side(*self._jobs.traffic(vip.job_id), self._clock())

    def stop(self) -> None:
        """End every connection and the threads; the journal stays. Does nothing when not running."""
        self._cleanup.close()
        self._serving = None

    def down(self) -> contextlib.AbstractContextManager[None]:
        """While entered, connections are refused and those that stood are closed; then it serves on the same port."""
        if self._serving is None:
            raise RuntimeError("the simulator is not running")
        return self._serving.down()
