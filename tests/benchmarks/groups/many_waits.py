"""1000, 5000 and 10,000 waits in one event loop."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.contenders import AIRFLOWS, TITLES
from tests.benchmarks.goals import Kind, Row, ratios
from tests.benchmarks.groups import Session

INTERVAL = 5.0
STEADY = 15.0  # seconds of the window: three polls of each wait
LATE = 0.1  # seconds after an interval within which an end is to be seen
POLL_LATE = 0.5  # seconds by which a poll among 10,000 may come late

# By the number of waits: the share of a bare loop's CPU, that of the cheapest Airflow trigger's CPU, and the lag in ms.
SHARE_OF_BARE = {1000: 0.7, 5000: 1.15}
SHARE_OF_BEST = {1000: 1 / 4, 5000: 1 / 7}
LAG = {1000: 10.0, 5000: 50.0}


def waits1000(session: Session) -> list[Row]:
    """1000 waits, an interval of 5 s."""
    return _compared(session, "waits1000", 1000)


def waits5000(session: Session) -> list[Row]:
    """5000 waits, an interval of 5 s."""
    return _compared(session, "waits5000", 5000)


def waits10000(session: Session) -> list[Row]:
    """10,000 waits, an interval of 10 s, this provider alone."""
    interval = 10.0
    runs = []
    for number in range(session.rounds):
        session.say(f"waits10000: round {number + 1} of {session.rounds}")
        runs.append(_run(session, "ours", 10_000, interval, 2 * interval if session.quick else 3 * interval, False))
    session.raw["waits10000"] = {"ours": runs}
    group = "waits10000"
    return [
        Row(
            group,
            "largest gap between two polls of one job",
            [run["largest_gap"] if all_well(run, 10_000) else None for run in runs],
            interval + POLL_LATE,
            Kind.COUNT,
            " s",
            f"all of 10,000 jobs, from the first poll on; the interval is {interval:g} s, tolerance {POLL_LATE:g} s",
        ),
        Row(group, "CPU, cores (one process)", [run["cpu_cores"] for run in runs], 1.0),
        Row(group, "event-loop lag p99", [run["lag_p99_ms"] for run in runs], unit=" ms"),
        Row(group, "memory per wait", [run["kib_per_wait"] for run in runs], unit=" KiB"),
    ]


def _compared(session: Session, group: str, waits: int) -> list[Row]:
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in session.contenders}
    for number in range(session.rounds):
        for name in session.contenders:
            session.say(f"{group}: round {number + 1} of {session.rounds}, {TITLES[name]}")
            run = _run(session, name, waits, INTERVAL, 8.0 if session.quick else STEADY, True)
            runs[name].append(run)
            if not all_well(run, waits):
                told = ("wrong", "ended_early", "not_seen", "jobs_polled")
                session.say(f"not all waits of {TITLES[name]} did well: { ({what: run[what] for what in told}) }")
    session.raw[group] = runs
    rows = _ours(group, waits, runs) if "ours" in runs else []
    return rows + _for_the_record(group, runs)


def _run(session: Session, name: str, waits: int, interval: float, steady: float, drain: bool) -> dict[str, Any]:
    # Those that cannot keep up need long to start, too.
    patience = 120 + 8 * interval + steady
    return session.stub.measure(
        "waits", patience, contender=name, waits=waits, interval=interval, steady=steady, warm_up=True, drain=drain
    )


def all_well(run: dict[str, Any], waits: int) -> bool:
    """Tell whether all waited as they should; figures of a run where some did not say nothing."""
    well = not run["wrong"] and not run["ended_early"] and not run.get("not_seen")
    return well and run["jobs_polled"] == waits


def _ours(group: str, waits: int, runs: dict[str, list[dict[str, Any]]]) -> list[Row]:
    ours = [run if all_well(run, waits) else {} for run in runs["ours"]]

    def figures(name: str) -> list[float | None]:
        return [run.get(name) for run in ours]

    rows = [Row(group, "TLS connections per poll", figures("tls_per_poll"), 0.01)]
    if "bare" in runs:
        bare = ratios(ours, [run if all_well(run, waits) else {} for run in runs["bare"]], "cpu_per_1000")
        rows.append(Row(group, f"CPU per 1000 polls / {TITLES['bare']}", bare, SHARE_OF_BARE[waits], Kind.RATIO))
    if all(name in runs for name in AIRFLOWS):
        cheapest = [
            min((runs[name][number] for name in AIRFLOWS), key=lambda run: run["cpu_per_1000"] or float("inf"))
            for number in range(len(ours))
        ]
        best = ratios(ours, cheapest, "cpu_per_1000")
        rows.append(
            Row(group, "CPU per 1000 polls / best of Airflow's triggers", best, SHARE_OF_BEST[waits], Kind.RATIO)
        )
    if waits == 5000:
        rows.append(Row(group, "memory per wait", figures("kib_per_wait"), 15.0, Kind.COUNT, " KiB"))
        if "dbt" in runs:
            memory = ratios(ours, runs["dbt"], "kib_per_wait")
            rows.append(Row(group, f"memory per wait / {TITLES['dbt']}", memory, 1 / 10, Kind.RATIO))
    rows.append(Row(group, "event-loop lag p99", figures("lag_p99_ms"), LAG[waits], Kind.TIME, " ms"))
    rows.append(Row(group, "detection p99", figures("detection_p99"), INTERVAL + LATE, Kind.TIME, " s"))
    return rows


def _for_the_record(group: str, runs: dict[str, list[dict[str, Any]]]) -> list[Row]:
    """Return what there is no goal for: the figures behind the ratios."""
    shown = {
        "cpu_per_1000": ("CPU per 1000 polls", " s"),
        "polls_per_second": ("polls per second", ""),
        "tls_per_poll": ("TLS connections per poll", ""),
        "kib_per_wait": ("memory per wait", " KiB"),
        "lag_p99_ms": ("event-loop lag p99", " ms"),
        "detection_p99": ("detection p99", " s"),
    }
    rows = []
    for key, (figure, unit) in shown.items():
        for name, each in runs.items():
            unseen = [run["not_seen"] for run in each]
            note = f"not seen by then: {max(unseen)}" if key == "detection_p99" and any(unseen) else ""
            rows.append(Row(group, f"{figure}: {TITLES[name]}", [run[key] for run in each], unit=unit, note=note))
    # Near one, it would be the stub that is measured.
    busiest = [max(run["stub_cores"] for run in of_one_round) for of_one_round in zip(*runs.values(), strict=True)]
    return [*rows, Row(group, "CPU of the stub meanwhile, cores: the most", busiest)]
