"""The table of the witness against two real PostgreSQL servers, and an address between them that really moves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_drs import exceptions
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.simulator import Fault, Job, Simulator, Vip
from airflow_provider_drs.witness import SqlWitness
from tests.airflow.waits import Ended, run_task
from tests.constants import COMPLETE, JOB, SWITCH
from tests.postgres import Postgres

ROLE, PASSWORD = "witness", "only/to:be@asked"
WHO = "SELECT system_identifier FROM pg_control_system()"


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Postgres]]:
    with Postgres() as source, Postgres() as target:
        for server in (source, target):
            server.rows(f"create role {ROLE} login password '{PASSWORD}'")
        yield {"source": source, "target": target}


def _who(server: Postgres) -> str:
    return str(server.rows(WHO)[0][0])


def _switch(
    servers: dict[str, Postgres],
    patch: pytest.MonkeyPatch,
    address: dict[str, Any],
    job: dict[str, Any],
    fault: Fault | None = None,
    **kwargs: Any,
) -> Ended:
    ports = {side: server.port for side, server in servers.items()}
    vip = Vip(0, **{**ports, **address})
    made = Job(JOB, **{"no_switchover": "null", "start_after": 0.2, "start_lasts": 2.5, **job})
    with Simulator(jobs=[made], vips=[vip]) as simulator:
        patch.setenv("AIRFLOW_CONN_DRS_DEFAULT", json.dumps(simulator.connection()))
        database = {"conn_type": "postgres", "host": "127.0.0.1", "port": vip.port, "schema": "postgres"}
        patch.setenv("AIRFLOW_CONN_VIP", json.dumps({**database, "login": ROLE, "password": PASSWORD}))
        if fault:
            simulator.fault(SWITCH, fault)
        witness = SqlWitness("vip", WHO, before=_who(servers["source"]), after=[_who(servers["target"])], timeout=3)
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
def test_the_table(name: str, servers: dict[str, Postgres], airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    address, job, fault, (outcome, decided_by, serves), error = ROWS[name]
    ended = _switch(servers, monkeypatch, address, job, fault)
    evidence = ended.evidence
    assert (evidence["outcome"], evidence["decided_by"]) == (outcome, decided_by), ended.error
    assert ended.error is None if error is None else type(ended.error) is error
    witness = evidence["witness"]
    assert (witness["at_start"]["side"], witness["at_start"]["value"]) == ("before", _who(servers["source"]))
    assert witness["at_end"]["value"] == (_who(servers[serves]) if serves else None)
    assert PASSWORD not in json.dumps(evidence) + str(ended.error)


@pytest.mark.parametrize(
    ("address", "on_already", "outcome", "says"),
    [
        ("swapped", "fail", "read", "traffic is at"),
        ("swapped", "succeed", "already", ""),
        ({"down": True}, "succeed", "read", "nobody answers (OperationalError)"),
        ({"down": True, "hangs": True}, "fail", "read", "nobody answers within 3 seconds"),
    ],
)
def test_before_drs_is_asked(
    address: Any, on_already: str, outcome: str, says: str, servers: dict[str, Postgres], airflow_db: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    ports = {"source": servers["target"].port, "target": servers["source"].port}
    ended = _switch(servers, monkeypatch, ports if address == "swapped" else address, {}, on_already=on_already)
    assert (ended.evidence["outcome"], says in str(ended.error)) == (outcome, True), ended.error
    assert ended.evidence["posted_at"] is None
    assert PASSWORD not in str(ended.error)
