"""The page at ``/``: the jobs of a simulator and what was asked of it, for a browser on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape

from airflow_provider_drs.simulator.drs.state import JobStore
from airflow_provider_drs.simulator.journal import Entry, Journal
from airflow_provider_drs.simulator.responses import Response

_SHOWN_REQUESTS = 200
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    # It loads nothing, runs nothing, and no other site's page holds it in a frame.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
_STYLE = (
    ":root{color-scheme:light dark}body{font:15px sans-serif;margin:2rem}table{border-collapse:collapse}"
    "caption{text-align:left;font-weight:bold;padding:.5rem 0}th,td{text-align:left;padding:.25rem 1rem .25rem 0;"
    "border-bottom:1px solid #8886}td{font-family:monospace}tr.chosen td{font-weight:bold}"
)


def is_for_a_browser(method: str, path: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a request is one for the page; a client of IAM reads its versions at the same path."""
    return method == "GET" and path == "/" and "text/html" in headers.get("Accept", "")


def page(jobs: JobStore, journal: Journal, chosen: str | None) -> Response:
    """Return the page.

    :param chosen: the job that a link of Airflow leads to.
    """
    listed = [
        (
            job.job_id,
            jobs.status(job.job_id),
            jobs.traffic(job.job_id)[1],
            ", ".join(jobs.switched(job.job_id)),
            ", ".join(jobs.controlled(job.job_id)),
        )
        for job in jobs.all()
    ]
    asked = [_asked(entry) for entry in reversed(journal.entries()[-_SHOWN_REQUESTS:])]
    text = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">'
        f"<title>drs-simulator</title><style>{_STYLE}</style></head><body><h1>drs-simulator</h1>"
        + _table("Jobs", ("job", "status", "switchover", "switched (mode)", "controlled"), listed, chosen)
        + _table("Requests, newest first", ("time (UTC)", "call", "job", "HTTP status", "request"), asked, chosen)
        + "</body></html>"
    )
    return Response(200, text.encode(), _HEADERS)


def _asked(entry: Entry) -> tuple[object, ...]:
    at = datetime.fromtimestamp(entry.at, UTC).strftime("%H:%M:%S")
    return at, entry.call, entry.job_id, entry.status, f"{entry.method} {entry.path}"


def _table(title: str, columns: Iterable[str], rows: Iterable[tuple[object, ...]], chosen: str | None) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        ('<tr class="chosen">' if chosen is not None and chosen in row else "<tr>")
        + "".join(f"<td>{'-' if value in (None, '') else escape(str(value))}</td>" for value in row)
        + "</tr>"
        for row in rows
    )
    return f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
