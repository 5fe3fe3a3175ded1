"""Where the lab takes place: two PostgreSQL servers, real replication between them, an address, and an application."""

from __future__ import annotations

import contextlib
import math
import os
import pwd
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2

from airflow_provider_drs.simulator import Job, Simulator, Vip
from tests.lab.application import DSN, WHO
from tests.lab.forwarder import Forwarder
from tests.lab.network import PORT, SIDES, Network, inside
from tests.postgres import UNPRIVILEGED, Postgres, free_port
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).parent.parent.parent
LOOPBACK = "127.0.0.1"
TABLES = (
    # No key: what is written twice is to be found twice.
    "create table writes (n bigint not null, at timestamptz not null default clock_timestamp())",
    "create table heartbeats (n bigint not null, at double precision not null)",
    "create index on writes (n)",
    "grant select, insert on writes to app",
)
# For as many replications at once as there are places in a lab.
SERVER = {
    **{"wal_level": "logical", "max_connections": "200", "wal_receiver_status_interval": "1s"},
    **dict.fromkeys(("max_replication_slots", "max_wal_senders", "max_active_replication_origins"), "40"),
    **{"max_worker_processes": "60", "max_logical_replication_workers": "40"},
}
HEARTBEAT_SECONDS = 1.0
LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Servers:
    """The two servers, and the role that the application and the witness log in with."""

    source: Postgres
    target: Postgres
    password: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)

    def by_side(self) -> Mapping[str, Postgres]:
        """Return the servers by side."""
        return {"source": self.source, "target": self.target}


class Inside(Postgres):
    """A server in a namespace of a network."""

    def __init__(self, network: Network, side: str, **settings: str) -> None:
        super().__init__(listen_addresses="*", **settings)
        self.host = network.hosts[side]
        whom = pwd.getpwnam(UNPRIVILEGED)
        self.before = inside(network.namespaces[side], whom.pw_uid, whom.pw_gid)

    def _port(self) -> int:
        return PORT


@contextlib.contextmanager
def servers(network: Network | None = None) -> Iterator[Servers]:
    """Run two servers.

    :param network: each in a namespace of it; None: both on loopback.
    """
    with contextlib.ExitStack() as stack:
        made = {side: {"cluster_name": side, **SERVER} for side in SIDES}
        source, target = (
            stack.enter_context(Postgres(**settings) if network is None else Inside(network, side, **settings))
            for side, settings in made.items()
        )
        both = Servers(source, target)
        for server in (source, target):
            server.rows("create role app login password %s", both.password)
        yield both


@dataclass(frozen=True)
class Count:
    """What became of the rows; ``side`` is where they were counted."""

    side: str
    acknowledged: int
    found: int
    lost: int
    twice: int

    @property
    def is_whole(self) -> bool:
        """Whether each row that was confirmed is there, once, and no other."""
        return not self.lost and not self.twice and self.found == self.acknowledged


class Place:
    """One DRS job whose databases are real; a context manager.

    Source and target are databases of the two servers, the target subscribes to the source. A virtual IP address leads
    to one of them; an application writes through it. The job's lag is the replication's.

    :param name: of its databases; none of that name may be there.
    :param folder: for the application's files; is made, and must not exist.
    :param job: what DRS does.
    :param rate: rows a second.
    :param ports: of the simulator and of the address; default: free ones.
    :param killable: the address is served by a process of its own, which can be killed.
    :param network: the address is a real one, which moves between the namespaces of the servers; None: it is a port.
    :param number: of the real address.
    :param look_every: seconds between two looks at who answers.
    :param address: how the address behaves, as `Vip` takes it.
    """

    def __init__(
        self, name: str, both: Servers, folder: Path, job: Job, *, rate: float = 200, ports: tuple[int, int] = (0, 0),
        killable: bool = False, network: Network | None = None, number: int = 0,
        look_every: float = LOOK_SECONDS, **address: Any,
    ) -> None:  # fmt: skip
        self.name, self.servers, self.folder, self.job, self.rate = name, both, folder, job, rate
        source, target = (f"{server.host}:{server.port}" for server in (both.source, both.target))
        self.network, self._look_every = network, look_every
        self.host = LOOPBACK if network is None else network.address(number)
        self.port = PORT if network else ports[1] or free_port()
        self.address = Vip(0 if killable or network else self.port, source, target, **address)
        self.killable = killable
        self.forwarder: Forwarder | None = None
        self.simulator = Simulator(tls=False, port=ports[0] or free_port(), vips=[self.address])
        #: Who answered at the address from when on, in seconds since the epoch; None: nobody.
        self.answers: list[tuple[float, str | None]] = []
        self._beat = 0
        self._one_beat = threading.Lock()

    def __enter__(self) -> Place:
        with contextlib.ExitStack() as undo:
            self._make(undo)
            undo.enter_context(self.simulator)
            if self.network is not None:
                self._lead_through(self.network, undo)
            elif self.killable:
                self.forwarder = undo.enter_context(Forwarder(self.port, self.address.port))
            self.simulator.add_job(self.job, lag=self.lag)
            self.folder.mkdir(parents=True)
            undo.callback(shutil.rmtree, self.folder)
            self._start(undo)
            stopping = threading.Event()
            watch = threading.Thread(target=self._watch, args=(stopping,), daemon=True)
            watch.start()
            undo.callback(watch.join)
            undo.callback(stopping.set)
            self.until(lambda: self.answers, "somebody to answer at the address")
            self._stack = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def dsn(self) -> str:
        """Where the application and a witness find the database: through the address."""
        return f"host={self.host} port={self.port} dbname={self.name} user=app password={self.servers.password}"

    def connection(self) -> dict[str, Any]:
        """Return the same as an Airflow connection."""
        return {
            "conn_type": "postgres", "host": self.host, "port": self.port, "schema": self.name,
            "login": "app", "password": self.servers.password,
        }  # fmt: skip

    def _lead_through(self, network: Network, undo: contextlib.ExitStack) -> None:
        """Move the real address wherever the simulated one leads, until the end."""
        leads_to, over = self.simulator.side_of(self.address), threading.Event()

        def follow() -> None:
            last = None
            while not over.wait(LOOK_SECONDS / 10):
                if (side := leads_to()) != last:
                    network.move(self.host, side)
                    last = side

        network.move(self.host, None)
        undo.callback(network.move, self.host, None)
        following = threading.Thread(target=follow, daemon=True)
        following.start()
        undo.callback(following.join)
        undo.callback(over.set)

    # The databases

    def _make(self, undo: contextlib.ExitStack) -> None:
        for server in self.servers.by_side().values():
            server.rows(f"create database {self.name}")
            undo.callback(server.rows, f"drop database {self.name} with (force)")
        opened = {}
        for side, server in self.servers.by_side().items():
            opened[side] = undo.enter_context(contextlib.closing(server.connect(dbname=self.name)))
            for statement in TABLES:
                _rows(opened[side], statement)
        source = self.servers.source
        _rows(opened["source"], f"create publication {self.name} for table writes, heartbeats")
        leads = (
            f"host={source.host} port={source.port} dbname={self.name} user={source.user} password={source.password}"
        )
        _rows(opened["target"], f"create subscription {self.name} connection %s publication {self.name}", leads)
        undo.callback(_rows, opened["target"], f"drop subscription {self.name}")
        copied = "select count(*) from pg_subscription_rel where srsubstate <> 'r'"
        until(lambda: _rows(opened["target"], copied) == [(0,)], PATIENCE, "the replication to begin")
        self._opened = opened

    def lag(self) -> int:
        """Measure by how many seconds the target lags behind: 0 where all that was committed until now is there.

        Replication keeps the order of commits: where the beat that was written last has arrived, so has all before it.
        """
        with self._one_beat:
            self._beat += 1
            now = time.time()
            _rows(self._opened["source"], "insert into heartbeats values (%s, %s)", self._beat, now)
            while time.time() < now + HEARTBEAT_SECONDS:
                [(newest, at)] = _rows(self._opened["target"], "select max(n), max(at) from heartbeats")
                if newest == self._beat:
                    return 0
                time.sleep(LOOK_SECONDS / 10)
            return math.ceil(time.time() - (at or now))

    def pause_replication(self) -> None:
        """Let nothing arrive at the target any more."""
        _rows(self._opened["target"], f"alter subscription {self.name} disable")
        gone = "select count(*) from pg_stat_subscription where subname = %s and pid is not null"
        until(lambda: _rows(self._opened["target"], gone, self.name) == [(0,)], PATIENCE, "the replication to end")

    # The application

    def _start(self, undo: contextlib.ExitStack) -> None:
        (self.folder / "acknowledged").touch()
        environment = {**os.environ, DSN: self.dsn, "PYTHONPATH": str(ROOT)}
        arguments = [sys.executable, "-m", "tests.lab.application", str(self.folder), str(self.rate)]
        with (self.folder / "application.log").open("wb") as log:
            self._application = subprocess.Popen(arguments, env=environment, stdout=log, stderr=log)
        undo.callback(self._end)
        self.until(lambda: len(self.acknowledged()) > 5, "the application to write")

    def until(self, found: Any, what: str) -> None:
        """Wait until ``found()`` is true, while the application lives."""
        log = self.folder / "application.log"
        until(found, PATIENCE, what, over=lambda: self._application.poll() is not None, tell=log.read_text)

    def state(self) -> str:
        """Return what the application says of itself."""
        return (self.folder / "state").read_text()

    def freeze(self) -> None:
        """Let the application stop to write, and wait until it has."""
        (self.folder / "frozen").touch()
        self.until(lambda: self.state() == "frozen", "the application to freeze")

    def thaw(self) -> None:
        """Let it write again."""
        (self.folder / "frozen").unlink(missing_ok=True)
        self.until(lambda: self.state() == "running", "the application to go on")

    def acknowledged(self) -> list[tuple[int, float, str]]:
        """Return the writes that were confirmed: number, time, and by which side."""
        lines = (self.folder / "acknowledged").read_text().splitlines()
        return [(int(n), float(at), side) for n, at, side in (line.split() for line in lines)]

    def _end(self) -> None:
        (self.folder / "stop").touch()
        try:
            self._application.wait(10)
        except subprocess.TimeoutExpired:
            self._application.kill()
            self._application.wait()

    # What became of it

    def count(self, side: str) -> Count:
        """End the application and count its rows at a side."""
        self._end()
        confirmed = {n for n, _, _ in self.acknowledged()}
        found = Counter(n for (n,) in _rows(self._opened[side], "select n from writes"))
        return Count(
            side, len(confirmed), found.total(), len(confirmed - found.keys()), sum(c > 1 for c in found.values())
        )

    def served(self) -> str | None:
        """Return who answers at the address now."""
        try:
            with contextlib.closing(psycopg2.connect(self.dsn, connect_timeout=2)) as connection:
                return str(_rows(connection, WHO)[0][0])
        except psycopg2.Error:
            return None

    def _watch(self, stopping: threading.Event) -> None:
        while not stopping.wait(self._look_every):
            side = self.served()
            if not self.answers or self.answers[-1][1] != side:
                self.answers.append((time.time(), side))


def _rows(connection: Any, query: str, *values: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values or None)
        return list(cursor.fetchall()) if cursor.description else []
