"""A server in trouble: a wait must neither give it more to do nor be lost."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from tests.benchmarks.contenders import TITLES
from tests.benchmarks.control import Control, polls
from tests.benchmarks.goals import Row
from tests.benchmarks.groups import Session
from tests.benchmarks.processes import Stub, closed_port

INTERVAL, SECONDS = 5.0, 10.0
FAULTS = {"401": 401, "429": 429, "500": 500, "refused": None}
CONTENDERS = ("ours", "http_sensor", "dbt")


def faults(session: Session) -> list[Row]:
    """One wait, ten seconds, four kinds of trouble.

    With ``refused`` the attempts to connect are counted in the process that makes them, since a closed port cannot; IAM
    can be reached all the time. The others have one round, for the record.
    """
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {fault: {name: [] for name in CONTENDERS} for fault in FAULTS}
    for name in CONTENDERS:
        rounds = session.rounds if name == "ours" else 1
        # A contender that asks again without a pause takes a core for itself.
        together = [[fault] for fault in FAULTS] if name == "http_sensor" else [list(FAULTS)]
        for number in range(rounds):
            for some in together:
                session.say(f"faults: {', '.join(some)}; {TITLES[name]}, round {number + 1} of {rounds}")
                for fault, run in _run(name, some).items():
                    runs[fault][name].append(run)
    session.raw["faults"] = runs
    rows = []
    for fault, each in runs.items():
        for name, measured in each.items():
            ends = ", ".join(sorted({run["end"] for run in measured}))
            figure = f"{fault}: requests in {SECONDS:g} s, {TITLES[name]}"
            limit = 2 if name == "ours" else None
            # A wait that never asked has not been measured.
            requests: list[float | None] = [run["requests"] or None for run in measured]
            rows.append(Row("faults", figure, requests, limit, note=ends))
        if fault == "401":
            # The first is how the wait begins; one more is due to the 401.
            log_ins: list[float | None] = [run["log_ins"] - 1 for run in each["ours"]]
            rows.append(Row("faults", f"{fault}: log-ins beyond the first, {TITLES['ours']}", log_ins, 1))
    return rows


def _run(name: str, some: list[str]) -> dict[str, dict[str, Any]]:
    """Return what one wait does in each of some kinds of trouble, at the same time, each with a stub of its own."""
    with ExitStack() as stack:
        port = stack.enter_context(closed_port())
        stubs = {fault: stack.enter_context(Stub()) for fault in some}
        task: dict[str, Any] = {"contender": name, "interval": INTERVAL, "seconds": SECONDS, "refusing_port": port}
        running = {}
        for fault, stub in stubs.items():
            stub.control.configure(fault=FAULTS[fault])
            measuring = stub.measuring("faults", port if fault == "refused" else None, **task)
            running[fault] = stack.enter_context(measuring)
        return {fault: _told(fault, stubs[fault].control, running[fault].figures(60)) for fault in some}


def _told(fault: str, control: Control, run: dict[str, Any]) -> dict[str, Any]:
    """Return what a run's stub has to say about it."""
    counts = control.counts()
    requests = run["connects"] if fault == "refused" else polls(counts)
    return {**run, "log_ins": counts.get("log_in", 0), "requests": requests}
