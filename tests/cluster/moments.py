"""The API server away at each write of the operator, the sensor, the gate and ``done``."""

from __future__ import annotations

from tests.airflow.api_faults import FAULTS
from tests.cluster.relay import Moment

# Longer than a worker's own attempts at one request last, shorter than an end that its evidence waits for.
AWAY_SECONDS = 35.0
WAYS = ("saved", "switchover", "return_value")
SWITCHOVER = "cutover.switchover"

# Kind, task, write: all that the tasks of a cutover write on their way.
WRITES: tuple[tuple[str, str, str], ...] = (
    *(
        ("deferrable", SWITCHOVER, f"{way}: {phase}")
        for phase in ("begun", "intended", "accepted", "START")
        for way in WAYS
    ),
    *(("told_failed", SWITCHOVER, f"{way}: failed") for way in WAYS),
    # The end of the other is a triggerer's to write, which needs no API server.
    *(("poke", SWITCHOVER, f"{way}: done") for way in WAYS),
    ("handed_over", "switch", "saved: accepted"),
    ("rolled_back", "back", "saved: intended"),
    # Resumed from the triggerer.
    *(("rolled_back", "back", f"{way}: done") for way in WAYS),
    ("deferrable", "cutover.ready", "return_value: "),
    ("poke", "seen", "drs_console_link"),
    ("rolled_back", "cutover.rollback_gate", "return_value: done"),
    ("deferrable", "cutover.done", "return_value: done"),
)


def table(ci: bool = False) -> list[tuple[str, Moment]]:
    """Return the kind of each run, and the moment that it meets: each write with each fault.

    :param ci: each write once, with the faults in turn.
    """
    return [
        (kind, Moment(task, write, fault, AWAY_SECONDS))
        for number, (kind, task, write) in enumerate(WRITES)
        for fault in (FAULTS[number % len(FAULTS) :][:1] if ci else FAULTS)
    ]
