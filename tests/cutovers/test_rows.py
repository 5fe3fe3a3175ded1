"""One switchover as a row, as a line of CSV, as a report, as a message."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_drs import protocol
from airflow_provider_drs.cutovers.rows import (
    CERTAIN,
    COLUMNS,
    DONE_BY_WITNESS,
    RUNBOOK,
    markdown,
    matches,
    newest_first,
    row,
    timeline,
    to_csv,
)
from airflow_provider_drs.notifications import DrsCutoverMessage
from tests.constants import JOB
from tests.cutovers.evidence import evidence

DOCS = Path(__file__).parents[2] / "docs"


def test_every_phase_says_what_is_certain() -> None:
    assert {str(phase) for phase in protocol.Phase} <= set(CERTAIN)


def test_the_runbook_has_every_heading_that_is_named() -> None:
    headings = re.findall(r"^#+ (.*)$", (DOCS / "runbook.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
    assert set(RUNBOOK.values()) <= anchors


def test_a_row_is_plain_json_with_all_columns() -> None:
    made = row(evidence(), state="success")
    assert set(COLUMNS) <= set(json.loads(json.dumps(made)))
    assert made["approved_by"].startswith("grace (Approve) 2026-11-")
    assert (made["started_by"], made["lag_seconds"], made["start_seen_at"] is not None) == ("ada", 0.0, True)


BEFORE = {"side": "source", "value": "db-1", "at": "2026-11-23T12:00:00Z"}
AFTER = {"side": "target", "value": None, "at": "2026-11-23T12:00:30Z"}


@pytest.mark.parametrize(
    ("witness", "serves", "at"),
    [
        (None, None, None),
        ({"at_start": None, "at_end": None}, None, None),
        ({"at_start": BEFORE, "at_end": None}, "source (db-1)", BEFORE["at"]),
        ({"at_start": BEFORE, "at_end": AFTER}, "target", AFTER["at"]),
        ({"at_start": BEFORE, "at_end": {**AFTER, "side": None}}, None, None),
    ],
)
def test_who_serves_is_the_last_word_of_the_witness_and_when_it_was_said(
    witness: dict[str, Any] | None, serves: str | None, at: str | None
) -> None:
    made = row(evidence(witness=witness), state="success")
    assert (made["serves"], made["serves_at"]) == (serves, at)


@pytest.mark.parametrize(
    ("outcome", "state", "needs_person", "running", "decided_by"),
    [
        ("done", "success", False, False, "drs"),
        ("failed", "failed", False, False, "drs"),
        ("refused", "failed", False, False, None),
        ("unknown", "failed", True, False, None),
        ("disputed", "failed", True, False, None),
        ("unknown", "success", False, False, "person"),  # a person has marked it
        ("unknown", "running", True, True, None),
        ("accepted", "deferred", False, True, None),
        ("accepted", "running", False, True, None),
        ("accepted", "failed", True, False, None),  # killed: the switchover may go on at DRS
        ("lost", "skipped", True, False, None),
        ("intended", "failed", True, False, None),
        ("read", "failed", False, False, None),
    ],
)
def test_who_needs_a_person(
    outcome: str, state: str, needs_person: bool, running: bool, decided_by: str | None
) -> None:
    made = row(evidence(outcome), state=state)
    assert (made["needs_person"], made["running"], made["decided_by"]) == (needs_person, running, decided_by)


def test_accepted_on_purpose_needs_nobody() -> None:
    """With ``wait_for_completion=False`` the task ends well while its switchover goes on."""
    assert not row(evidence("accepted"), state="success")["needs_person"]


def test_the_order_is_who_needs_a_person_then_the_newest() -> None:
    old = row(evidence(guards=[], posted_at="2026-01-01T00:00:00Z"), state="success")
    new = row(evidence(guards=[], posted_at="2026-02-01T00:00:00Z"), state="success")
    unknown = row(evidence("unknown", guards=[], posted_at="2025-01-01T00:00:00Z"), state="failed")
    assert newest_first([old, unknown, new]) == [unknown, new, old]


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ({}, True),
        ({"outcome": "done"}, True),
        ({"outcome": "failed"}, False),
        ({"outcome": "person"}, False),
        ({"outcome": "running"}, False),
        ({"job_id": JOB[-6:]}, True),
        ({"job_id": "nobody"}, False),
        ({"dag_id": "orders"}, True),
        ({"dag_id": "order"}, False),
        ({"since": "2026-11-23"}, True),
        ({"since": "2026-11-24"}, False),
        ({"until": "2026-11-23"}, True),  # a day counts to its end
        ({"until": "2026-11-22"}, False),
    ],
)
def test_filters(filters: dict[str, Any], fits: bool) -> None:
    assert matches(row(evidence(), state="success"), **filters) is fits


def test_a_text_of_drs_is_no_formula_and_no_markup() -> None:
    hostile = row(evidence("failed", error_msg="=HYPERLINK(1) | <script>\n# a heading"), state="failed")
    [_, line] = csv.reader(io.StringIO(to_csv([hostile])))
    assert dict(zip(COLUMNS, line, strict=True))["error_msg"].startswith("'=")
    report = markdown([hostile])
    assert "<script>" not in report
    assert "\n# a heading" not in report


def test_the_report_has_who_approved_and_what_is_certain() -> None:
    report = markdown([row(evidence(), state="success")])
    for text in ("grace", "ada", CERTAIN["done"], "DRS was asked", "DRS accepted", "orders / r1 / switchover"):
        assert text.replace("_", "\\_") in report
    assert markdown([]) == "No switchover.\n"


def test_the_timeline_is_in_order() -> None:
    moments = timeline(row(evidence(), state="success"))
    assert [at for at, _ in moments] == sorted(at for at, _ in moments)
    assert moments[-1][1] == "outcome done"


@pytest.mark.parametrize("outcome", [*sorted(CERTAIN), "newer than this version"])
def test_a_message_begins_with_what_happened(outcome: str) -> None:
    message = DrsCutoverMessage(evidence(outcome, error_code="DRS.M01501", error_msg="no `such` thing"))
    first, *rest = message.text().splitlines()
    assert first.startswith("The switchover ")
    assert first.endswith(JOB)
    assert "Certain: " in rest[0]
    assert str(message) == message.text()
    assert message.markdown().count("`") % 2 == 0


def test_what_the_witness_alone_has_seen_is_not_told_as_the_word_of_drs() -> None:
    text = DrsCutoverMessage(evidence("done", decided_by="witness")).text()
    assert DONE_BY_WITNESS in text
    assert CERTAIN["done"] not in text


def test_a_message_about_an_approval_that_nobody_gives() -> None:
    assert DrsCutoverMessage(evidence("read"), waiting_minutes=30).headline() == (
        f"Waiting for approval for 30 minutes: switchover of DRS job {JOB}"
    )
