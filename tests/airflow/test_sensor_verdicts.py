"""What each answer of DRS and IAM comes to, row by row, alike in poke, reschedule and deferrable mode."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_drs import exceptions
from airflow_provider_drs.simulator import Fault, Job, Simulator
from tests.airflow.waits import A_TICK, run_wait
from tests.clock import FakeClock
from tests.constants import COMPLETE, FAILED, GET_STATUS, JOB, SENSOR_MODES, START, TOKENS


@dataclass
class Row:
    name: str
    answers: list[str | None] = field(default_factory=lambda: [COMPLETE])
    faults: tuple[Fault, ...] = ()
    call: str = GET_STATUS
    job: dict[str, Any] = field(default_factory=dict)
    sensor: dict[str, Any] = field(default_factory=dict)
    connection: Callable[[Simulator], dict[str, Any]] | None = None
    state: str = "success"
    error: type[Exception] | None = None
    says: tuple[str, ...] = ()
    polls: int | None = None
    log_ins: int = 1
    warnings: int = 0
    lines: int | None = None
    slowest: float = 5.0


def passing(name: str, *faults: Fault, call: str = GET_STATUS, **more: Any) -> Row:
    """A row for trouble that is waited out: one warning, one line when it is over, one when complete."""
    settings = {"warnings": 1, "lines": 3, "slowest": 60.0, "log_ins": 1, **more}
    return Row(f"{name} ({call})", faults=faults, call=call, **settings)


def lasting(name: str, fault: Fault, error: type[Exception], *says: str, **more: Any) -> Row:
    return Row(name, faults=(fault,), state="failed", error=error, says=says, polls=1, **more)


def _no_ca(drs: Simulator) -> dict[str, Any]:
    return drs.connection(extra={**drs.connection()["extra"], "verify": True})


def _nobody_there(drs: Simulator) -> dict[str, Any]:
    return drs.connection(host="https://127.0.0.1:1")


ROWS = [
    Row("complete at once", polls=1, lines=1),
    Row("in progress, then complete", [START, START, START, COMPLETE], polls=4, lines=2),
    Row(
        "failed",
        [START, FAILED],
        job={"error_code": "DRS.M00999", "error_msg": "virtual IP is in use"},
        state="failed",
        error=exceptions.DrsSwitchoverFailedError,
        says=("DRS.M00999", "virtual IP is in use", JOB),
        polls=2,
    ),
    Row(
        "failed without a reason",
        [FAILED],
        state="failed",
        error=exceptions.DrsSwitchoverFailedError,
        says=("no reason",),
        polls=1,
    ),
    Row("null status first", [None, None, None, START, COMPLETE], polls=5, lines=3),
    Row("absent status first", ["ABSENT", "ABSENT", COMPLETE], polls=3, lines=2),
    Row("empty result first (422 DRS.M00002)", ["EMPTY", "EMPTY", "EMPTY", COMPLETE], polls=4, lines=2),
    Row(
        "empty result with 200",
        faults=(Fault.json({"error_code": "DRS.M00002", "error_msg": "empty"}),),
        polls=2,
        lines=2,
    ),
    Row(
        "a status not documented",
        ["SWITCH_VIP_CANCELLED"],
        state="failed",
        error=exceptions.DrsUnknownStatusError,
        says=("SWITCH_VIP_CANCELLED", "not documented"),
        polls=1,
    ),
    Row(
        "a status that is no text",
        faults=(Fault.json({"id": JOB, "status": {"x": 1}}),),
        state="failed",
        error=exceptions.DrsUnknownStatusError,
        polls=1,
    ),
    passing("429", Fault.too_many(), polls=2),
    passing("429 with Retry-After", Fault.too_many(retry_after=120), polls=2, slowest=120.0),
    passing("503 with Retry-After", Fault.status(503, headers={"Retry-After": "90"}), polls=2, slowest=90.0),
    passing("500, 502, 503, 504", *(Fault.status(code) for code in (500, 502, 503, 504)), polls=5),
    passing("too frequent", Fault.status(400, "DRS.M01503"), polls=2),
    passing(
        "busy, inside a 202", Fault.json({"id": JOB, "status": "failed", "error_code": "DRS.M01504"}, 202), polls=2
    ),
    passing("DRS.M00004", Fault.status(500, "DRS.M00004"), polls=2),
    passing("DRS.M01501", Fault.status(422, "DRS.M01501"), polls=2),
    passing("reset", Fault.reset(), Fault.reset(), Fault.reset(), polls=None),
    passing("half an answer", Fault.cut(), polls=2),
    passing("broken JSON", Fault.wrong_json(), polls=2),
    passing("HTML with 200", Fault.html(), polls=2),
    passing("HTML with 502", Fault.html(502), polls=2),
    passing("no body", Fault.empty(), polls=2),
    passing("a list", Fault.json([1]), polls=2),
    passing(
        "slower than the time-out",
        Fault.slow(3),
        polls=2,
        connection=lambda drs: drs.connection(extra={**drs.connection()["extra"], "timeout": 1}),
    ),
    passing("429", Fault.too_many(), call=TOKENS, log_ins=2, polls=1),
    passing("503", Fault.status(503), call=TOKENS, log_ins=2, polls=1),
    passing("HTML", Fault.html(), call=TOKENS, log_ins=2, polls=1),
    passing("broken JSON", Fault.wrong_json(), call=TOKENS, log_ins=2, polls=1),
    passing("reset", Fault.reset(), call=TOKENS, log_ins=2, polls=1),
    Row("expired token, 403 DRS.M00100", [START, COMPLETE], (Fault.expired_token(),), polls=3, log_ins=2, lines=2),
    Row("expired token, 401 without a code", [START, COMPLETE], (Fault.plain_401(),), polls=3, log_ins=2, lines=2),
    Row(
        "token refused twice",
        faults=(Fault.expired_token(), Fault.expired_token()),
        state="failed",
        error=exceptions.DrsTokenRefusedError,
        says=("DRS.M00100",),
        polls=2,
        log_ins=2,
    ),
    lasting(
        "no permission, 401",
        Fault.no_permission(),
        exceptions.DrsPermissionError,
        "DRS.M00103",
        "HTTP 401",
        "permission",
    ),
    lasting("no permission, 403", Fault.status(403, "DRS.M00102"), exceptions.DrsPermissionError, "DRS.M00102"),
    lasting("invalid project", Fault.status(403, "DRS.M00261"), exceptions.DrsPermissionError, "DRS.M00261", "project"),
    lasting("404", Fault.status(404), exceptions.DrsJobNotFoundError, "HTTP 404", "job id"),
    lasting("gone", Fault.status(400, "DRS.M05004"), exceptions.DrsJobNotFoundError, "DRS.M05004"),
    lasting("wrong state", Fault.status(400, "DRS.M00304"), exceptions.DrsWrongStateError, "DRS.M00304"),
    lasting("another 4xx", Fault.status(400, "DRS.M00201", "bad"), exceptions.DrsRequestError, "DRS.M00201", "bad"),
    lasting(
        "redirect",
        Fault.redirect("https://portal.invalid/login?x=1"),
        exceptions.DrsRedirectError,
        "https://portal.invalid/login",
        "host",
    ),
    Row(
        "redirect (tokens)",
        faults=(Fault.redirect("https://portal.invalid/"),),
        call=TOKENS,
        state="failed",
        error=exceptions.DrsRedirectError,
        says=("portal.invalid",),
        polls=0,
    ),
    Row(
        "log-in refused",
        faults=(Fault.status(401),),
        call=TOKENS,
        state="failed",
        error=exceptions.DrsAuthenticationError,
        says=("IAM", "password"),
        polls=0,
    ),
    Row(
        "another job's id",
        job={"answers_as": "another-jobs-id"},
        state="failed",
        error=exceptions.DrsJobMismatchError,
        says=(JOB, "another-jobs-id", "verify_job_id=False"),
        polls=1,
    ),
    Row("another job's id, allowed", job={"answers_as": "child"}, sensor={"verify_job_id": False}, polls=1),
    Row(
        "complete, but no id",
        faults=(Fault.json({"status": COMPLETE}),),
        state="failed",
        error=exceptions.DrsJobMismatchError,
        says=("without a job id",),
        polls=1,
    ),
    Row(
        "a certificate that does not verify",
        connection=_no_ca,
        state="failed",
        error=exceptions.DrsTlsError,
        says=("certificate", "Verify TLS (verify)"),
        polls=0,
        log_ins=0,
    ),
]


@pytest.mark.parametrize("mode", SENSOR_MODES)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_verdict(
    row: Row, mode: str, drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    drs.add_job(Job(JOB, status_script=row.answers, **row.job))
    for fault in row.faults:
        drs.fault(row.call, fault)
    if row.connection:
        monkeypatch.setitem(os.environ, "AIRFLOW_CONN_DRS_DEFAULT", json.dumps(row.connection(drs)))

    ended = run_wait(mode, clock, **row.sensor)

    assert (ended.state, type(ended.error)) == (row.state, row.error or type(None)), ended
    assert not [word for word in row.says if word not in str(ended.error)], str(ended.error)
    if row.error and row.polls != 0:
        assert JOB in str(ended.error)
    if row.error and row.error is not exceptions.DrsSwitchoverFailedError:
        assert "'drs_default'" in str(ended.error)
    polls = len(drs.calls(GET_STATUS))
    assert row.polls is None or polls == row.polls
    assert len(drs.calls(TOKENS)) == row.log_ins
    assert len(ended.levels("warning")) == row.warnings, ended.lines
    assert row.lines is None or len(ended.lines) == row.lines, ended.lines
    usual = 60.0 if mode == "reschedule" else 5.0
    assert max(ended.slept, default=0) <= max(row.slowest, usual) + A_TICK
    if row.state == "success":
        assert ended.xcom["job_id"] == JOB
        assert ended.xcom["status"] == COMPLETE
        assert list(ended.xcom) == ["job_id", "status", "first_polled_at", "done_at", "polls"]
        assert ended.xcom["first_polled_at"].endswith("+00:00")
    if row.call == GET_STATUS and row.warnings and mode != "reschedule":
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
    assert len(ended.lines) == 1


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
