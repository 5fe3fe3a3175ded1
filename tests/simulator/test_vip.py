"""A virtual IP address of the simulator, by the clock and on the wire."""

from __future__ import annotations

import contextlib
import itertools
import socket
import socketserver
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from airflow_provider_drs.simulator import Fault, Job, Simulator, Vip
from airflow_provider_drs.simulator.drs.address import Address
from airflow_provider_drs.simulator.vips import FIELDS
from tests.clock import FakeClock
from tests.constants import COMPLETE, FAILED, JOB, OTHER_JOB, START, SWITCH
from tests.waiting import until

from .conftest import Api

SOURCE, TARGET, NOBODY = "source", "target", None


def named(mode: str, before: str) -> str:
    return mode


def vip(**values: object) -> Vip:
    return Vip.from_dict({"port": 0, "source": 1, "target": 2, **values})


# One look a second, from the acceptance on: the status of the switchover, and who answers.
HISTORIES: dict[str, tuple[dict[str, Any], list[str | None], list[str | None]]] = {
    "complete": ({}, [None, START, START, COMPLETE, COMPLETE], [SOURCE, NOBODY, NOBODY, TARGET, TARGET]),
    "failed": ({}, [None, START, FAILED, FAILED], [SOURCE, NOBODY, SOURCE, SOURCE]),
    "another end": ({}, [None, "ODD"], [SOURCE, SOURCE]),
    "stays although complete": ({"moves": "never"}, [START, COMPLETE, COMPLETE], [NOBODY, SOURCE, SOURCE]),
    "moves although failed": ({"moves": "always"}, [None, START, FAILED], [SOURCE, NOBODY, TARGET]),
    "moves at once": ({"moves": "at_once"}, [None, None, START, COMPLETE], [TARGET] * 4),
    "moves at once and fails": ({"moves": "at_once"}, [None, START, FAILED], [TARGET] * 3),
    "silent for two seconds": ({"silent": 2}, [START, COMPLETE, COMPLETE, COMPLETE], [NOBODY, NOBODY, NOBODY, TARGET]),
    "silent after a failure": ({"silent": 1}, [START, FAILED, FAILED], [NOBODY, NOBODY, SOURCE]),
    "flaps": (
        {"flaps": 2.5},
        [START, COMPLETE, COMPLETE, COMPLETE, COMPLETE],
        [NOBODY, SOURCE, SOURCE, SOURCE, TARGET],
    ),
    "silent, then flaps": ({"silent": 1, "flaps": 1}, [COMPLETE] * 4, [NOBODY, SOURCE, TARGET, TARGET]),
    "down": ({"down": True}, [None, START, COMPLETE], [NOBODY] * 3),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_who_answers(name: str) -> None:
    values, statuses, sides = HISTORIES[name]
    address = Address(vip(**values), named)
    before = address.side([], None, 0)
    assert before == (NOBODY if "down" in values else SOURCE)
    assert [address.side([TARGET], status, 1 + at) for at, status in enumerate(statuses)] == sides


def test_it_flaps_twice_a_second() -> None:
    address = Address(vip(flaps=2), named)
    seen = [address.side([TARGET], COMPLETE, at / 4) for at in range(10)]
    assert [side for side, _ in itertools.groupby(seen)] == [SOURCE, TARGET, SOURCE, TARGET]


def leads(address: Address, steps: Sequence[tuple[list[str], str | None]]) -> list[str | None]:
    return [address.side(modes, status, at) for at, (modes, status) in enumerate(steps)]


def test_a_way_back_begins_where_it_leads_now() -> None:
    there, back = [TARGET], [TARGET, SOURCE]
    address = Address(vip(), named)
    assert leads(address, [(there, COMPLETE), (back, None), (back, START), (back, COMPLETE)]) == [
        *(TARGET, TARGET, NOBODY, SOURCE)
    ]
    stays = Address(vip(moves="never"), named)
    assert leads(stays, [(there, COMPLETE), (back, None), (back, COMPLETE)]) == [SOURCE] * 3
    # A job that is replaced starts from the beginning, the address stays where it is.
    replaced = Address(vip(), named)
    assert leads(replaced, [(there, COMPLETE), ([], None), (there, FAILED)]) == [TARGET] * 3


def test_every_field_is_checked_once() -> None:
    assert sorted(name for _, names in FIELDS for name in names) == sorted(vars(vip()))


@pytest.mark.parametrize(
    "values",
    [
        {"port": 70000}, {"port": True}, {"port": "80"}, {"source": "host"}, {"target": "a b:1"}, {"target": 0},
        {"target": "host:70000"}, {"moves": "sometimes"}, {"silent": -1}, {"flaps": "3"}, {"hangs": 1}, {"down": None},
        {"job_id": 7}, {"colour": "red"},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_name(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        vip(**values)


def test_where_it_leads_is_a_host_and_a_port() -> None:
    made = Vip(0, "db.example:5432", "[::1]:5433")
    assert (made.endpoint(SOURCE), made.endpoint(TARGET)) == (("db.example", 5432), ("::1", 5433))
    assert vip(source=5434).endpoint(SOURCE) == ("127.0.0.1", 5434)


# On the wire


class Echo(socketserver.BaseRequestHandler):
    """Says who it is at once, then whatever is said to it."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self.request.sendall(self.server.name)  # type: ignore[attr-defined]
            while data := self.request.recv(100):
                self.request.sendall(data)


@pytest.fixture
def sides() -> Iterator[dict[str, Any]]:
    """Two servers, by side the port of each."""
    with contextlib.ExitStack() as stack:
        made = {}
        for name in (SOURCE, TARGET):
            server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
            server.name, server.daemon_threads = name[:6].encode(), True  # type: ignore[attr-defined]
            stack.enter_context(server)
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(server.shutdown)
            made[name] = server.server_address[1]
        yield made


@contextlib.contextmanager
def connected(address: Vip) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", address.port), timeout=10) as made:
        yield made


def who(address: Vip) -> str | None:
    try:
        with connected(address) as connection:
            return connection.recv(6).decode() or NOBODY
    except ConnectionResetError:
        return NOBODY


def test_a_switchover_cuts_what_is_open_and_leads_elsewhere(sides: dict[str, Any], clock: FakeClock) -> None:
    address = Vip(0, **sides)
    jobs = [Job(JOB, start_after=5, start_lasts=5), Job(OTHER_JOB)]
    with Simulator(tls=False, jobs=jobs, vips=[address], clock=clock) as simulator:
        api = Api(simulator)
        api.log_in()
        with api.session, connected(address) as connection:
            assert connection.recv(6) == b"source"
            connection.sendall(b"x" * 100)
            assert connection.recv(100, socket.MSG_WAITALL) == b"x" * 100
            assert api.switch(OTHER_JOB, TARGET).status_code == 202
            assert api.switch(JOB, TARGET).status_code == 202
            assert who(address) == SOURCE  # it has not begun; another job's does not count
            clock.sleep(5)
            with pytest.raises(ConnectionResetError):
                connection.recv(100)
            assert who(address) is NOBODY
            clock.sleep(5)
            assert who(address) == TARGET
            address.down = True
            assert who(address) is NOBODY
            address.down = False
            assert who(address) == TARGET
        port = address.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10).close()


def test_it_moves_before_the_answer_is_lost(sides: dict[str, Any]) -> None:
    address = Vip(0, **sides, job_id=OTHER_JOB, moves="at_once")
    with Simulator(tls=False, jobs=[Job(JOB), Job(OTHER_JOB)], vips=[address]) as simulator:
        api = Api(simulator)
        api.log_in()
        simulator.fault(SWITCH, Fault.lost())
        with api.session, pytest.raises(OSError, match="reset"):
            api.switch(OTHER_JOB, TARGET)
        assert who(address) == TARGET


def test_a_scripted_job_moves_it_once_the_end_was_told(sides: dict[str, Any]) -> None:
    address = Vip(0, **sides)
    job = Job(JOB, no_switchover="null", status_after_switch=[None, START, COMPLETE])
    with Simulator(tls=False, jobs=[job], vips=[address]) as simulator:
        api = Api(simulator)
        api.log_in()
        with api.session:
            seen = [who(address)]
            api.switch(JOB, TARGET)
            for _ in range(3):
                api.status()
                seen.append(who(address))
    assert seen == [SOURCE, SOURCE, NOBODY, TARGET]


def test_where_nobody_answers_a_connection_may_hang(sides: dict[str, Any]) -> None:
    address = Vip(0, **sides, down=True, hangs=True)
    with Simulator(tls=False, vips=[address]), connected(address) as connection:
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(6)
        address.down = False
        connection.settimeout(10)
        with pytest.raises(ConnectionResetError):
            connection.recv(6)
        assert who(address) == SOURCE


def test_a_database_that_is_not_there_is_nobody(sides: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    address = vip(source=free, target=sides[TARGET])
    with Simulator(tls=False, vips=[address]):
        until(lambda: who(address) is NOBODY, 10, "a reset")


def test_a_port_that_is_taken_is_named_and_nothing_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        simulator = Simulator(tls=False, vips=[vip(), vip(port=port)])
        with pytest.raises(OSError, match=str(port)):
            simulator.start()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", simulator.port), timeout=10).close()
