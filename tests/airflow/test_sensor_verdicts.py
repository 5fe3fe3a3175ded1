"""What each response of DRS and IAM comes to, alike in poke, reschedule and deferrable mode.

``tests/protocol/switchover/test_verdicts.py`` has all rows of the table; here are those that stand for the others, and
those that a network is needed for.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from airflow_provider_drs import exceptions
from airflow_provider_drs.simulator import Fault, Job, Simulator
from tests.airflow.waits import A_TICK, run_wait
from tests.clock import FakeClock
from tests.constants import COMPLETE, GET_STATUS, JOB, SENSOR_MODES, TOKENS
from tests.rows import Row
from tests.verdicts import VERDICTS


def _no_ca(drs: Simulator) -> dict[str, Any]:
    return drs.connection(extra={**drs.connection()["extra"], "verify": True})


def _nobody_there(drs: Simulator) -> dict[str, Any]:
    return drs.connection(host="https://127.0.0.1:1")


def _impatient(drs: Simulator) -> dict[str, Any]:
    return drs.connection(extra={**drs.connection()["extra"], "timeout": 1})


ROWS = [
    *(row for row in VERDICTS if row.real),
    Row(
        "slower than the timeout",
        {"status_script": [COMPLETE]},
        faults=((GET_STATUS, Fault.slow(3)),),
        connection=_impatient,
        polls=2,
        log_ins=1,
        warnings=1,
        lines=3,
        slowest=60.0,
    ),
    Row(
        "a certificate that does not verify",
        {"status_script": [COMPLETE]},
        connection=_no_ca,
        state="failed",
        error=exceptions.DrsTlsError,
        says=("certificate", "Verify TLS (verify)"),
        polls=0,
        log_ins=0,
        warnings=0,
    ),
]


@pytest.mark.parametrize("mode", SENSOR_MODES)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_verdict(
    row: Row, mode: str, drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    drs.add_job(Job(JOB, **row.job))
    row.plan(drs)
    if row.connection:
        monkeypatch.setitem(os.environ, "AIRFLOW_CONN_DRS_DEFAULT", json.dumps(row.connection(drs)))

    ended = run_wait(mode, clock, **row.options)

    row.check_end(ended.state, ended.error)
    row.check_log([level for level, _ in ended.news])
    if row.error and row.polls != 0:
        assert JOB in str(ended.error)
    if row.error and row.error is not exceptions.DrsSwitchoverFailedError:
        assert "'drs_default'" in str(ended.error)
    assert row.polls in (None, len(drs.calls(GET_STATUS)))
    assert row.log_ins == len(drs.calls(TOKENS))
    usual = 60.0 if mode == "reschedule" else 5.0
    assert max(ended.slept, default=0) <= max(row.slowest or 0, usual) + A_TICK
    if row.state == "success":
        assert ended.xcom["job_id"] == JOB
        assert ended.xcom["status"] == COMPLETE
        assert list(ended.xcom) == ["job_id", "status", "first_polled_at", "done_at", "polls"]
        assert ended.xcom["first_polled_at"].endswith("+00:00")
    if row.warnings and mode != "reschedule":
        assert max(ended.slept) > 5.0, "trouble is polled more slowly"


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
@pytest.mark.parametrize("error_context", ["DRS", "IAM"])
def test_trouble_that_lasts_ends_the_wait(
    mode: str,
    error_context: str,
    drs: Simulator,
    airflow_db: None,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = _nobody_there(drs) if error_context == "DRS" else drs.connection()
    if error_context == "IAM":
        connection["extra"]["auth_url"] = "https://127.0.0.1:1/v3"
    monkeypatch.setitem(os.environ, "AIRFLOW_CONN_DRS_DEFAULT", json.dumps(connection))

    ended = run_wait(mode, clock, transient_error_timeout=600)

    assert (ended.state, type(ended.error)) == ("failed", exceptions.DrsUnavailableError)
    assert "refused the connection" in str(ended.error)
    assert error_context in str(ended.error)
    assert 600 - 1e-6 <= sum(ended.slept) <= 600 + A_TICK
    assert max(ended.slept) <= 60 + A_TICK
    assert ended.slept[0] > 5
    assert len(ended.news) == 1


def test_in_reschedule_mode_the_timeout_bounds_trouble(
    drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "AIRFLOW_CONN_DRS_DEFAULT", json.dumps(_nobody_there(drs)))

    ended = run_wait("reschedule", clock, transient_error_timeout=10, timeout=600, poke_interval=20)

    assert (ended.state, type(ended.error).__name__) == ("failed", "AirflowSensorTimeout")
    assert sum(ended.slept) == pytest.approx(600, abs=1)
    assert len(ended.levels("warning")) == 1


def test_unknown_host_is_waited_out(
    drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "AIRFLOW_CONN_DRS_DEFAULT", json.dumps(drs.connection(host="https://drs.invalid")))
    for mode in ("poke", "deferrable"):
        ended = run_wait(mode, clock, transient_error_timeout=60)
        assert isinstance(ended.error, exceptions.DrsUnavailableError)
        assert "unknown host" in str(ended.error)
