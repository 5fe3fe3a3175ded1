"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Container

from rich.console import Console

from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.goals import Row
from tests.benchmarks.groups import Group, Session, counted, cutover, faults, many_waits, sharing, single
from tests.benchmarks.processes import OUTPUT, MeasuringError, Stub
from tests.benchmarks.report import machine, show, write

GROUPS: dict[str, Group] = {
    "waits1000": many_waits.waits1000,
    "waits5000": many_waits.waits5000,
    "waits10000": many_waits.waits10000,
    "tokens": counted.tokens,
    "lookups": counted.lookups,
    "sharing": sharing.sharing,
    "faults": faults.faults,
    "logs": counted.logs,
    "poke": single.poke,
    "imports": single.imports,
    "cutover": cutover.cutover,
}


def main() -> int:
    """Measure; return 1 if a ratio or a count that is a goal was missed or could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=sys.modules[__package__].__doc__)
    parser.add_argument("--only", type=_names(GROUPS), default=tuple(GROUPS), help=f"of: {', '.join(GROUPS)}")
    parser.add_argument("--runs", type=int, default=3, help="rounds; in each, every contender is measured once")
    parser.add_argument("--quick", action="store_true", help="one short round, not judged")
    parser.add_argument(
        "--contenders", type=_names(CONTENDERS), default=tuple(CONTENDERS), help=f"of: {', '.join(CONTENDERS)}"
    )
    options = parser.parse_args()
    # So that a timeout around this ends the processes it started, too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(f"ended by signal {number}; nothing was written"))
    load = round(os.getloadavg()[0], 2)
    console, began = Console(stderr=True), time.monotonic()
    rows: list[Row] = []
    broken = False
    with Stub() as stub:
        session = Session(
            stub,
            rounds=1 if options.quick else options.runs,
            quick=options.quick,
            contenders=options.contenders,
            say=lambda what: console.print(f"[dim]{time.monotonic() - began:5.0f} s[/dim] {what}", highlight=False),
        )
        for name in options.only:
            try:
                rows += GROUPS[name](session)
            except (MeasuringError, OSError) as error:
                broken = True
                console.print(f"{name}: {error}", markup=False, style="red")
                rows.append(Row(name, "could not be measured", [None], 0))
    facts = {"runs": session.rounds, **machine(), "load_at_the_start": load}
    write(OUTPUT / "results.json", rows, session.raw, facts, options.quick)
    show(rows, facts, options.quick)
    return int(broken or (not options.quick and any(row.fails for row in rows)))


def _names(known: Container[str]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
        return names

    return read


if __name__ == "__main__":
    sys.exit(main())
