"""What is counted rather than timed: log-ins, look-ups, log lines. One round tells as much as many."""

from __future__ import annotations

from tests.benchmarks.goals import Row
from tests.benchmarks.groups import Session
from tests.benchmarks.groups.many_waits import all_well

INTERVAL = 5.0
# The provider renews a token two minutes before it expires.
RENEWED_BEFORE, RENEWED_EVERY = 120.0, 15.0


def tokens(session: Session) -> list[Row]:
    """5000 waits outlive two tokens."""
    session.say("tokens: 5000 waits, a new token due every 15 s")
    control = session.stub.control
    control.configure(token_life=RENEWED_BEFORE + RENEWED_EVERY)
    try:
        # One interval to start, one to settle, and so until 40 s: tokens are due at 0, 15 and 30 s.
        run = session.stub.measure(
            "waits", 180, contender="ours", waits=5000, interval=INTERVAL, steady=30.0, warm_up=False, drain=False
        )
    finally:
        control.configure(token_life=86400.0)
    session.raw["tokens"] = run
    counts = run["counts"]
    return [
        Row(
            "tokens",
            "IAM log-ins of 5000 waits in 40 s, token renewed twice",
            [counts.get("log_in") if all_well(run, 5000) else None],
            3,
            exactly=True,
            note="a token lives 135 s and is renewed 120 s before its end",
        ),
        Row("tokens", "polls refused for their token", [counts["refused_tokens"]], 0),
    ]


def lookups(session: Session) -> list[Row]:
    """1000 waits need one connection."""
    session.say("lookups: 1000 waits")
    run = session.stub.measure(
        "waits",
        90,
        contender="ours",
        waits=1000,
        interval=INTERVAL,
        steady=5.0,
        warm_up=False,
        drain=False,
        counting="lookups",
    )
    session.raw["lookups"] = run
    looked_up = len(run["lookups"]) if all_well(run, 1000) else None
    return [Row("lookups", "connection look-ups of 1000 waits", [looked_up], 1, exactly=True)]


def logs(session: Session) -> list[Row]:
    """Polls that change nothing log nothing."""
    session.say("logs: 1000 waits")
    run = session.stub.measure(
        "waits",
        120,
        contender="ours",
        waits=1000,
        interval=INTERVAL,
        steady=8.0 if session.quick else 20.0,
        warm_up=True,
        drain=False,
        counting="log_lines",
    )
    polls = run["polls_per_second"] * (run["window"][1] - run["window"][0])
    # Each wait tells how it begins; had that not been caught, an empty window would say nothing.
    caught = run["log_lines_of_triggers"] >= 1000 and all_well(run, 1000)
    session.raw["logs"] = {**run, "log_lines": run["log_lines"][:20]}
    return [
        Row(
            "logs",
            "log lines per 1000 unchanged polls",
            [len(run["log_lines"]) / polls * 1000 if caught else None],
            0,
            note=f"from level INFO on, in {polls:.0f} polls; {run['log_lines_at_all']} lines before and after",
        )
    ]
