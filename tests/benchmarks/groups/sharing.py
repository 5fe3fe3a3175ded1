"""Waits that share their requests: how many there are in an interval."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from tests.benchmarks.control import Control
from tests.benchmarks.goals import Row
from tests.benchmarks.groups import Session
from tests.benchmarks.processes import Stub

INTERVAL, WAITS = 5.0, 100
# What clocks round, and the 20 ms of a response; one request more in twenty intervals would be over it.
TOLERANCE = 0.05

KINDS = {
    "one job": ("100 DrsSwitchoverTriggers on one job", ("status",)),
    "status": ("100 DrsJobsTriggers, status only", ("batch_status",)),
    "status and lag": ("100 DrsJobsTriggers, status and lag", ("batch_status", "batch_progress")),
}


def sharing(session: Session) -> list[Row]:
    """100 waits at once, of three kinds."""
    session.say("sharing: 100 waits that share requests, three kinds at the same time")
    intervals = 4 if session.quick else 8
    # They do next to nothing, so that they do not disturb each other; each has a stub of its own.
    with ExitStack() as stack:
        stubs = {kind: stack.enter_context(Stub()) for kind in KINDS}
        task: dict[str, Any] = {"waits": WAITS, "interval": INTERVAL, "intervals": intervals}
        running = {kind: stack.enter_context(stubs[kind].measuring("sharing", kind=kind, **task)) for kind in KINDS}
        runs = {kind: _told(kind, stubs[kind].control, running[kind].figures(120)) for kind in KINDS}
    session.raw["sharing"] = runs
    rows = []
    for kind, (title, asked) in KINDS.items():
        run = runs[kind]
        for request in asked:
            rows.append(
                Row(
                    "sharing",
                    f"{title}: {request.replace('_', '-')} requests per interval",
                    [run["rates"][request]],
                    1 + TOLERANCE,
                    note=f"1, tolerance {TOLERANCE:g}; over {intervals} intervals after the first two",
                )
            )
        rows.append(Row("sharing", f"{title}: other requests", [run["others"]], 0, note="log-in not counted"))
        rows.append(
            Row(
                "sharing",
                f"{title}: largest gap between two polls of one job",
                [run["gaps"]["largest_gap"]],
                INTERVAL + 0.5,
                unit=" s",
            )
        )
    return rows


def _told(kind: str, control: Control, run: dict[str, Any]) -> dict[str, Any]:
    """Return what a run's stub has to say about it."""
    counts, gaps = control.counts(), control.gaps()
    times = {request: control.times(request) for request in KINDS[kind][1]}
    begin, end = run["window"]
    rates = {request: _per_interval([at for at in all_ if begin <= at <= end]) for request, all_ in times.items()}
    if run["ended"]:  # then these are not the requests of 100 waits
        rates = dict.fromkeys(rates)
    known = (*KINDS[kind][1], "log_in", "at", "cpu", "tls")
    others = sum(count for name, count in counts.items() if name not in known)
    return {**run, "rates": rates, "others": others, "counts": counts, "gaps": gaps, "times": times}


def _per_interval(times: list[float]) -> float | None:
    """Return how many came in an interval, from the first to the last: where the window ends does not matter."""
    if len(times) < 3:
        return None
    return (len(times) - 1) * INTERVAL / (times[-1] - times[0])
