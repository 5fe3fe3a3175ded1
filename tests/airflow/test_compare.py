"""The comparison of source and target: created, waited for, judged."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from airflow_provider_drs import exceptions
from airflow_provider_drs.exceptions import DrsComparisonError
from airflow_provider_drs.operators.compare import DrsCompareOperator
from airflow_provider_drs.simulator import Fault, Job, Simulator
from tests.airflow.waits import A_TICK, run_one
from tests.clock import FakeClock
from tests.constants import BATCH_STATUS, JOB, OPERATOR_MODES
from tests.constants import CREATE_COMPARISON as CREATE
from tests.constants import QUERY_COMPARISON as QUERY
from tests.rows import Row, in_turn

GOOD = {"shop.orders": "CONSISTENT", "shop.items": "CONSISTENT", "crm.people": "CONSISTENT"}


def _row(
    name: str,
    compare: str = "lines",
    job: Mapping[str, Any] = MappingProxyType({}),
    options: Mapping[str, Any] = MappingProxyType({}),
    faults: tuple[tuple[str, Fault], ...] = (),
    **more: Any,
) -> Row:
    # DRS compares lines and contents of the tables it is told only; an empty list stands for all of a database.
    databases: dict[str, list[str]] = {name.partition(".")[0]: [] for name in job.get("compare_results") or GOOD}
    tables = {} if compare in ("objects", "rows") else {"tables": databases}
    return Row(name, job, {"compare": compare, **tables, **options}, faults, **more)


ROWS = [
    _row("objects"),
    _row("lines", "lines"),
    _row("contents", "contents"),
    _row("objects differ", "objects", {"compare_results": {**GOOD, "shop.items": "INCONSISTENT"}}, state="failed",
        error=DrsComparisonError, says=("TABLE", "shop.items"), silent=("shop.orders",)),
    _row("lines differ", "lines", {"compare_results": {**GOOD, "shop.items": "INCONSISTENT"}}, state="failed",
        error=DrsComparisonError, says=("shop.items (INCONSISTENT)", JOB), silent=("shop.orders", "crm")),
    _row("contents differ", "contents", {"compare_results": {**GOOD, "crm.people": "INCONSISTENT"}}, state="failed",
        error=DrsComparisonError, says=("crm.people",), silent=("shop",)),
    _row("no target database", "lines", {"compare_results": {**GOOD, "crm.people": "TARGET_DB_NOT_EXIT"}},
        state="failed", error=DrsComparisonError, says=("crm.people (TARGET_DB_NOT_EXIT)",)),
    _row("a result nobody knows", "lines", {"compare_results": {**GOOD, "crm.people": "MOSTLY"}}, state="failed",
        error=DrsComparisonError, says=("MOSTLY",)),
    _row("cannot compare", "contents", {"compare_results": {**GOOD, "crm.people": "CAN_NOT_COMPARE"}}, state="failed",
        error=DrsComparisonError, says=("crm.people (CAN_NOT_COMPARE)",)),
    _row("cannot compare, passed over", "contents", {"compare_results": {**GOOD, "crm.people": "CAN_NOT_COMPARE"}},
        {"on_uncomparable": "pass"}),
    _row("of many tables, the last differs", "lines",
        {"compare_results": {**{f"db{n:03}.t": "CONSISTENT" for n in range(250)}, "last.t": "INCONSISTENT"}},
        state="failed", error=DrsComparisonError, says=("last.t",)),
    _row("some tables", "lines", {"compare_results": {**GOOD, "crm.people": "INCONSISTENT"}},
        {"tables": {"shop": ["orders", "items"]}}),
    _row("nothing compared", "lines", {"compare_results": {}}, state="failed", error=exceptions.DrsError,
        says=("compared nothing",)),
    *(_row(f"ended as {status}", "lines", {"compare_final": status}, state="failed", error=exceptions.DrsError,
          says=(status, JOB)) for status in ("FAILED", "CANCELLED", "TIMEOUT_INTERRUPT", "ENDED_SOMEHOW")),
    _row("refused", "lines", {"compare_refused": "DRS.M00304"}, state="failed", error=exceptions.DrsWrongStateError,
        says=("DRS.M00304",)),
    _row("refused, skip", "lines", {"compare_refused": "DRS.M00304"}, {"on_unavailable": "skip"}, state="skipped"),
    _row("refused inside the 2xx, skip", "objects", {"compare_refused": "DRS.M00307", "compare_refused_inside": True},
        {"on_unavailable": "skip"}, state="skipped"),
    _row("a malformed request is not skipped", "lines", {"compare_refused": "DRS.M00305"}, {"on_unavailable": "skip"},
        state="failed", error=exceptions.DrsRequestError),
    _row("an unknown job is not skipped", "lines", {}, {"job_id": "unknown-job", "on_unavailable": "skip"},
        state="failed", error=exceptions.DrsJobNotFoundError),
    _row("no permission is not skipped", "lines", {}, {"on_unavailable": "skip"}, ((CREATE, Fault.no_permission()),),
        state="failed", error=exceptions.DrsPermissionError),
    _row("trouble at both calls", "lines", {}, {}, ((CREATE, Fault.status(503)), (QUERY, Fault.html(502)))),
    _row("a lost creation", "contents", {}, {}, ((CREATE, Fault.lost()),)),
    _row("what is compared comes from a template", "{{ 'con' ~ 'tents' }}"),
    _row("without tables", "contents", {}, {"tables": None}, state="failed", error=exceptions.DrsArgumentError,
        says=("tables is missing",)),
    _row("quickly, without tables", "lines", {}, {"tables": None, "compare_mode": "quick_comparison"}),
    _row("no such comparison", "rows", state="failed", error=exceptions.DrsArgumentError, says=("objects",)),
]  # fmt: skip


@in_turn(ROWS, OPERATOR_MODES)
def test_compare(row: Row, mode: str, drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(Job(JOB, **{"compare_results": GOOD, "compare_seconds": 0, **row.job}))
    row.plan(drs)

    options = {"job_id": JOB, **row.options}
    ended = run_one(DrsCompareOperator, mode, clock, **options)

    row.check_end(ended.state, ended.error)
    if row.state == "success":
        assert (ended.xcom["job_id"], ended.xcom["consistent"]) == (JOB, True)
        assert ended.xcom["compared"] > 0
        assert ended.xcom["compare_id"]


@pytest.mark.parametrize("on_unavailable", ["fail", "skip"])
def test_trouble_before_it_is_created_is_waited_out_in_the_triggerer(
    on_unavailable: str, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(Job(JOB, compare_refused="DRS.M00304"))
    for call in (CREATE, BATCH_STATUS):
        drs.fault(call, Fault.status(503), times=4)
    options: dict[str, Any] = {"job_id": JOB, "compare": "lines", "tables": {"shop": []}}
    ended = run_one(DrsCompareOperator, "deferrable", clock, on_unavailable=on_unavailable, **options)
    assert ended.state == {"fail": "failed", "skip": "skipped"}[on_unavailable]
    assert ended.error is None or type(ended.error) is exceptions.DrsWrongStateError
    assert sum("Deferring until DRS responds" in line for line in ended.levels("info")) == 1


def test_trouble_of_its_creation_alone_has_an_end(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(Job(JOB))
    drs.fault(CREATE, Fault.status(503), times=None)
    options: dict[str, Any] = {"job_id": JOB, "compare": "lines", "tables": {"shop": []}}
    ended = run_one(DrsCompareOperator, "deferrable", clock, transient_error_timeout=120, **options)
    assert type(ended.error) is exceptions.DrsUnavailableError
    assert sum("Deferring until DRS responds" in line for line in ended.levels("info")) == 1


def test_a_comparison_that_takes_its_time(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(Job(JOB, compare_seconds=0.4, compare_results=GOOD))
    ended = run_one(DrsCompareOperator, "poke", clock, job_id=JOB, compare="lines", tables={"shop": []})
    assert ended.state == "success"
    assert len([text for _, text in ended.lines if "RUNNING" in text]) == 1, "one line while it runs"


def test_one_that_does_not_end(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(Job(JOB, compare_seconds=1e6))
    for mode in OPERATOR_MODES:
        ended = run_one(DrsCompareOperator, mode, clock, job_id=JOB, compare="lines", tables={"demo": []}, timeout=60)
        assert type(ended.error) is exceptions.DrsError
        assert "timeout" in str(ended.error)
        assert 60 - 1e-6 <= sum(ended.slept) <= 60 + A_TICK


def test_options_are_checked_when_the_dag_is_read() -> None:
    for option in ("on_unavailable", "on_uncomparable", "conflict_policy", "compare_mode"):
        wrong: dict[str, Any] = {option: "maybe"}
        with pytest.raises(ValueError, match=option):
            DrsCompareOperator(task_id="x", job_id=JOB, **wrong)
