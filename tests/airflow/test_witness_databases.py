"""The table of the witness against two real servers of each kind, and an address between them that really moves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_drs import exceptions
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.simulator import Fault, Job, Simulator, Vip
from airflow_provider_drs.witness import SqlWitness
from tests.airflow.waits import Ended, run_task
from tests.constants import COMPLETE, JOB, SWITCH
from tests.mariadb import MariaDb, missing
from tests.postgres import Postgres

ROLE, PASSWORD = "witness", "only/to:be@asked"


@dataclass
class Kind:
    """A kind of database.

    :param who: tells its servers apart.
    :param role: makes the role that the witness logs in with.
    :param connection: what its Airflow connection has, beside host, port, login and password.
    :param cut: what its driver raises where a connection is cut.
    """

    who: str
    role: str
    connection: Mapping[str, Any]
    cut: str
    servers: dict[str, Any] = field(default_factory=dict)

    def ports(self) -> dict[str, int]:
        return {side: server.port for side, server in self.servers.items()}

    def name_of(self, side: str) -> str:
        return str(self.servers[side].rows(self.who)[0][0])


KINDS = {
    "postgres": Kind(
        "SELECT system_identifier FROM pg_control_system()",
        f"create role {ROLE} login password '{PASSWORD}'",
        {"conn_type": "postgres", "schema": "postgres"},
        "OperationalError",
    ),
    "mariadb": Kind(
        "SELECT @@server_id",
        f"create user {ROLE}@'127.0.0.1' identified by '{PASSWORD}'",
        # The driver that needs no compiler.
        {"conn_type": "mysql", "extra": {"client": "mysql-connector-python"}},
        "OperationalError",
    ),
}


def server(kind: str, number: str) -> AbstractContextManager[Any]:
    return Postgres() if kind == "postgres" else MariaDb(server_id=number)


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    if request.param == "mariadb" and (lacks := missing()):
        pytest.skip(f"no MariaDB here: {lacks}")
    made = KINDS[request.param]
    with server(request.param, "11") as source, server(request.param, "22") as target:
        made.servers = {"source": source, "target": target}
        for each in (source, target):
            each.rows(made.role)
        yield made


def _switch(
    kind: Kind,
    patch: pytest.MonkeyPatch,
    address: dict[str, Any],
    job: dict[str, Any],
    fault: Fault | None = None,
    **kwargs: Any,
) -> Ended:
    vip = Vip(0, **{**kind.ports(), **address})
    made = Job(JOB, **{"no_switchover": "null", "start_after": 0.2, "start_lasts": 2.5, **job})
    with Simulator(jobs=[made], vips=[vip]) as simulator:
        patch.setenv("AIRFLOW_CONN_DRS_DEFAULT", json.dumps(simulator.connection()))
        database = {**kind.connection, "host": "127.0.0.1", "port": vip.port, "login": ROLE, "password": PASSWORD}
        patch.setenv("AIRFLOW_CONN_VIP", json.dumps(database))
        if fault:
            simulator.fault(SWITCH, fault)
        before, after = kind.name_of("source"), [kind.name_of("target")]
        witness = SqlWitness("vip", kind.who, before=before, after=after, timeout=3)
        options = {
            "settle": None,
            "decide_within": 4,
            "poll_interval": 0.5,
            "witness_timeout": 4,
            "timeout": 20,
            "transient_error_timeout": 10,
            **kwargs,
        }
        return run_task(
            lambda task_id, calls: DrsSwitchoverOperator(
                task_id=task_id, **calls, job_id=JOB, mode="target", witness=witness, **options
            ),
            "poke",
        )


DISPUTED = exceptions.DrsSwitchoverDisputedError
# What the address does, what DRS does, and how it ends: outcome, who has decided, who serves at the end, the error.
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any], Fault | None, tuple[str, str | None, str | None], Any]] = {
    "complete, moved": ({}, {}, None, ("done", "drs", "target"), None),
    "complete, it flaps first": ({"flaps": 1.5}, {}, None, ("done", "drs", "target"), None),
    "complete, stayed": ({"moves": "never"}, {}, None, ("disputed", None, "source"), DISPUTED),
    "complete, silent": ({"silent": 60}, {}, None, ("disputed", None, None), DISPUTED),
    "complete, it hangs": ({"silent": 60, "hangs": True}, {}, None, ("disputed", None, None), DISPUTED),
    "failed, stayed": (
        {}, {"final": "SWITCH_VIP_FAILED"}, None, ("failed", "drs", "source"), exceptions.DrsSwitchoverFailedError,
    ),
    "failed, moved": (
        {"moves": "always"}, {"final": "SWITCH_VIP_FAILED"}, None, ("failed", "drs", "target"),
        exceptions.DrsSwitchoverFailedError,
    ),
    "failed, silent": ({"silent": 60}, {"final": "SWITCH_VIP_FAILED"}, None, ("disputed", None, None), DISPUTED),
    "lost, moved": (
        {"moves": "at_once"}, {"leftover": COMPLETE, "status_after_switch": [COMPLETE]}, Fault.lost(),
        ("done", "witness", "target"), None,
    ),
    "lost, stayed": (
        {}, {}, Fault.status(502), ("unknown", None, "source"), exceptions.DrsSwitchoverUnknownError,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_the_table(name: str, kind: Kind, airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    address, job, fault, (outcome, decided_by, serves), error = ROWS[name]
    ended = _switch(kind, monkeypatch, address, job, fault)
    evidence = ended.evidence
    assert (evidence["outcome"], evidence["decided_by"]) == (outcome, decided_by), ended.error
    assert ended.error is None if error is None else type(ended.error) is error
    witness = evidence["witness"]
    assert (witness["at_start"]["side"], witness["at_start"]["value"]) == ("before", kind.name_of("source"))
    assert witness["at_end"]["value"] == (kind.name_of(serves) if serves else None)
    assert PASSWORD not in json.dumps(evidence) + str(ended.error)


@pytest.mark.parametrize(
    ("address", "on_already", "outcome", "says"),
    [
        ("swapped", "fail", "read", "traffic is at"),
        ("swapped", "succeed", "already", ""),
        ({"down": True}, "succeed", "read", "nobody answers (KIND)"),
        ({"down": True, "hangs": True}, "fail", "read", "nobody answers within 3 seconds"),
    ],
)
def test_before_drs_is_asked(
    address: Any, on_already: str, outcome: str, says: str, kind: Kind, airflow_db: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    ports = kind.ports()
    swapped = {"source": ports["target"], "target": ports["source"]}
    ended = _switch(kind, monkeypatch, swapped if address == "swapped" else address, {}, on_already=on_already)
    assert ended.evidence["outcome"] == outcome, ended.error
    assert says.replace("KIND", kind.cut) in str(ended.error)
    assert ended.evidence["posted_at"] is None
    assert PASSWORD not in str(ended.error)
