"""One switchover as a row of a table, and rows as CSV and as a report for the change ticket. It only reads evidence."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from airflow_provider_drs import protocol

Row: TypeAlias = dict[str, Any]

#: The headings of the runbook, by outcome: what happened, what is certain, what to do.
RUNBOOK: dict[str, str] = {
    "unknown": "closing-an-unknown-outcome",
    "disputed": "disputed",
    "lost": "closing-an-unknown-outcome",
    "failed": "drsswitchoverfailederror",
    "refused": "not-switched",
    "read": "not-switched",
    "begun": "no-error-of-this-provider",
    "intended": "no-error-of-this-provider",
    "accepted": "no-error-of-this-provider",
}
#: What the evidence makes certain, by outcome; every other outcome is not certain.
CERTAIN: dict[str, str] = {
    "begun": "This task did not ask DRS to switch.",
    "read": "This task did not ask DRS to switch.",
    "refused": "DRS refused, and its status shows no change.",
    "intended": "The request was about to go out. It is not certain that it did.",
    "accepted": "DRS accepted the request. It is not certain that it is over.",
    "lost": "The request went out. It is not certain that DRS took it.",
    "done": "DRS reported this switchover complete.",
    "already": "DRS was not asked: the witness saw the traffic there already.",
    "failed": "DRS reported this switchover failed. Where the virtual IP address is now is not certain.",
    "disputed": "DRS and the witness contradict each other. A person decides.",
    "unknown": "Nothing. DRS may or may not have switched.",
}
# Where DRS did not tell the end.
DONE_BY_WITNESS = "The witness saw the traffic moved. DRS did not report the end."
# A person must look: nobody else can tell how these have ended.
NEEDS_PERSON = protocol.NEEDS_PERSON
# With these the switchover may go on at DRS although the task has ended.
OPEN = protocol.OPEN - NEEDS_PERSON
# Of a task in one of these states nothing more will be written.
ENDED_STATES = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})

COLUMNS = (
    "job_id",
    "mode",
    "outcome",
    "needs_person",
    "running",
    "serves",
    "dag_id",
    "run_id",
    "task_id",
    "map_index",
    "state",
    "started_by",
    "approved_by",
    "guarded_at",
    "posted_at",
    "accepted_at",
    "start_seen_at",
    "finished_at",
    "lag_seconds",
    "downtime_seconds",
    "error_code",
    "error_msg",
    "reason",
    "decided_by",
)


def row(evidence: Mapping[str, Any], *, state: str | None = None, downtime: Mapping[str, Any] | None = None) -> Row:
    """Return one switchover as a row.

    :param evidence: what its task left behind, with ``dag_id``, ``run_id``, ``task_id`` and ``map_index``.
    :param state: the state of its task in Airflow, None where it has none.
    :param downtime: what ``DrsDowntimeSensor`` has measured beside it.
    :return: plain JSON with the keys of ``COLUMNS``, what is certain, and ``evidence`` whole.
    """
    outcome = str(evidence.get("outcome"))
    running = state not in ENDED_STATES and state is not None
    by_person = state == "success" and outcome not in protocol.SUCCEEDED
    measured = downtime or evidence.get("downtime") or {}
    return {
        **{key: evidence.get(key) for key in COLUMNS},
        "map_index": evidence.get("map_index", -1) if evidence.get("map_index") is not None else -1,
        "outcome": outcome,
        "state": state,
        "running": running,
        # An open outcome of a task that has ended is as little known as an unknown one, until a person has decided.
        "needs_person": (outcome in NEEDS_PERSON or (outcome in OPEN and not running and state != "success"))
        and not by_person,
        "serves": _serves(evidence),
        # Not now, but then: what has happened since, no witness has seen.
        "serves_at": _last_word(evidence).get("at"),
        "started_by": evidence.get("user"),
        "approved_by": ", ".join(_approver(one) for one in evidence.get("approvals") or ()) or None,
        "guarded_at": next((guard.get("at") for guard in evidence.get("guards") or () if guard.get("at")), None),
        "start_seen_at": next(
            (change["at"] for change in evidence.get("observed") or () if change.get("status") == "SWITCH_VIP_START"),
            None,
        ),
        "lag_seconds": next(
            (g.get("value") for g in evidence.get("guards") or () if g.get("name") == "lag_seconds"), None
        ),
        "downtime_seconds": measured.get("seconds"),
        "decided_by": "person" if by_person else evidence.get("decided_by"),
        "certain": _certain(outcome, evidence),
        "runbook": RUNBOOK.get(outcome),
        "evidence": dict(evidence),
    }


def _certain(outcome: str, evidence: Mapping[str, Any]) -> str:
    if outcome == protocol.Phase.DONE and evidence.get("decided_by") == "witness":
        return DONE_BY_WITNESS
    return CERTAIN.get(outcome, CERTAIN["unknown"])


def _serves(evidence: Mapping[str, Any]) -> str | None:
    """Return who serves by the witness's last word, None where no witness has told."""
    told = _last_word(evidence)
    if not told:
        return None
    value = told.get("value")
    return f"{told['side']} ({value})" if value is not None else str(told["side"])


def _last_word(evidence: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the witness has told last; {} where it has not told which side serves."""
    witness = evidence.get("witness") or {}
    told = witness.get("at_end") or witness.get("at_start") or {}
    return told if told.get("side") else {}


def _approver(approval: Mapping[str, Any]) -> str:
    answer, by, at = approval.get("answer"), approval.get("by"), approval.get("at")
    return " ".join(str(x) for x in (by or "unknown", f"({answer})" if answer else "", at or "") if x)


def newest_first(rows: Iterable[Row]) -> list[Row]:
    """Return the rows in the order of the table: those that need a person first, then the newest."""
    return sorted(rows, key=lambda one: (one["needs_person"], began(one)), reverse=True)


def began(one: Row) -> str:
    """Return when a switchover began, as text that sorts; "" where nothing tells."""
    return next((str(one[key]) for key in ("guarded_at", "posted_at", "start_seen_at", "finished_at") if one[key]), "")


def matches(
    one: Row,
    *,
    outcome: str | None = None,
    job_id: str | None = None,
    dag_id: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> bool:
    """Tell whether a row fits all filters that are given.

    :param outcome: an outcome, or ``person`` for those that need one, or ``running``.
    :param job_id: a part of the job's id.
    :param dag_id: the DAG.
    :param since: the time it began at, or later; ISO 8601.
    :param until: the time it began at, or earlier; a day counts to its end.
    """
    by_outcome = {"person": one["needs_person"], "running": one["running"]}
    at = began(one)
    return (
        (not outcome or by_outcome.get(outcome, one["outcome"] == outcome))
        and (not job_id or job_id in str(one["job_id"]))
        and (not dag_id or one["dag_id"] == dag_id)
        and (not since or at >= since)
        and (not until or at[: len(until)] <= until)
    )


def to_csv(rows: Sequence[Row]) -> str:
    """Return the rows as CSV, one line each; a cell that a spreadsheet would calculate is text."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for one in rows:
        writer.writerow([_cell(one[key]) for key in COLUMNS])
    return out.getvalue()


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    # A text of DRS that begins like a formula must not become one on the reader's machine.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not isinstance(value, (int, float)) else text


def timeline(one: Row) -> list[tuple[str, str]]:
    """Return the moments of a switchover in their order: time (ISO 8601, UTC) and what happened."""
    evidence = one["evidence"]
    moments = [
        (
            guard["at"],
            f"guard {guard.get('name')}: {guard.get('value')} ({'holds' if guard.get('ok') else 'does not hold'})",
        )
        for guard in evidence.get("guards") or ()
        if guard.get("at")
    ]
    moments += [(a["at"], f"approval: {_approver(a)}") for a in evidence.get("approvals") or () if a.get("at")]
    if one["posted_at"]:
        moments.append((one["posted_at"], "DRS was asked"))
    if one["accepted_at"]:
        moments.append((one["accepted_at"], "DRS accepted"))
    moments += [(c["at"], f"status {c.get('status') or 'none'}") for c in evidence.get("observed") or () if c.get("at")]
    for when in ("at_start", "at_end"):
        told = (evidence.get("witness") or {}).get(when) or {}
        if told.get("at"):
            moments.append((told["at"], f"witness: {told.get('side') or 'nobody'} serves"))
    if one["finished_at"]:
        moments.append((one["finished_at"], f"outcome {one['outcome']}"))
    return sorted(moments, key=lambda moment: str(moment[0]))


def markdown(rows: Sequence[Row]) -> str:
    """Return a report of switchovers for a change ticket, in Markdown."""
    parts = []
    for one in rows:
        facts = [
            ("Job", one["job_id"]),
            ("Mode", one["mode"] or "not known (joined)"),
            ("Outcome", one["outcome"]),
            ("Certain", one["certain"]),
            ("Decided by", one["decided_by"]),
            ("Who served, by the witness", one["serves"] and f"{one['serves']} at {one['serves_at']}"),
            ("DAG run", f"{one['dag_id']} / {one['run_id']} / {one['task_id']}" + _index(one)),
            ("Started by", one["started_by"]),
            ("Approved by", one["approved_by"]),
            ("Lag when asked", None if one["lag_seconds"] is None else f"{one['lag_seconds']} s"),
            ("Measured downtime", None if one["downtime_seconds"] is None else f"{one['downtime_seconds']} s"),
            ("DRS's code", one["error_code"]),
            ("DRS's text", one["error_msg"]),
            ("Reason", one["reason"]),
        ]
        lines = [f"## Switchover of job {_escape(one['job_id'])}: {one['outcome']}", "", "| what | |", "|---|---|"]
        lines += [f"| {name} | {_escape(value)} |" for name, value in facts if value not in (None, "")]
        lines += ["", "| when (UTC) | what |", "|---|---|"]
        lines += [f"| {_escape(at)} | {_escape(what)} |" for at, what in timeline(one)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n" if parts else "No switchover.\n"


def _index(one: Row) -> str:
    return f" [{one['map_index']}]" if one["map_index"] >= 0 else ""


def _escape(value: Any) -> str:
    """Return text of whoever for a cell of a Markdown table: no markup of its own, no line of its own."""
    text = " ".join(str(value).split())
    for mark in ("\\", "|", "`", "*", "_", "[", "]", "<", ">", "#"):
        text = text.replace(mark, f"\\{mark}")
    return text
