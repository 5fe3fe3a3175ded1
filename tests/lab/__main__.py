"""A whole cutover between two real databases, in a real Airflow against a simulated DRS: ``make lab``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.lab.results import Result
from tests.lab.run import Lab
from tests.lab.variants import VARIANTS

BROKEN = 2
WIDTH_WITHOUT_TERMINAL = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one cutover and print what became of it.

    :param arguments: the command line, default that of the process.
    :return: 0 where the cutover is done and no row is lost, 1 where it is not, 2 where the lab itself did not work.
    """
    parser = argparse.ArgumentParser(
        prog="make lab",
        description=__doc__,
        epilog="The exit code is 0 only if the cutover is done, and each row that was written is found once at the "
        "side that serves; else it is 1. It is 2 if the lab itself did not work.",
    )
    parser.add_argument("variant", choices=VARIANTS, nargs="?", default="complete", help="default: %(default)s")
    parser.add_argument("--rate", type=float, default=200, help="rows a second (%(default)g)")
    parser.add_argument("--deferrable", action="store_true", help="wait in the triggerer")
    asked = parser.parse_args(arguments)
    # A lab that is terminated ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    variant = VARIANTS[asked.variant]
    say("Starting two PostgreSQL servers with replication between them, an application, and an Airflow of its own ...")
    try:
        with Lab(rate=asked.rate) as lab:
            say(f"Running a cutover while the application writes {asked.rate:g} rows a second ...")
            [result] = lab.run([variant], "deferrable" if asked.deferrable else "poke")
    except (AssertionError, OSError, RuntimeError) as error:
        say(f"The lab did not work: {error}")
        return BROKEN
    show(result)
    return 0 if result.is_done else 1


def show(result: Result) -> None:
    """Print the timeline, the times without service, and the rows."""
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH_WITHOUT_TERMINAL)
    table = Table("when", "what", title="Timeline, from the start of the first task", title_justify="left")
    began = result.moments[0][0]
    for at, what in result.moments:
        table.add_row(f"{at - began:+.1f} s", what)
    console.print(table, markup=False)
    for name, seconds in result.gaps.items():
        say(f"{name}: {'-' if seconds is None else f'{seconds:.1f} s'}")
    say(f"Outcome: {result.outcome}, decided by: {result.evidence.get('decided_by')}")
    say(f"At the address: {result.serves or 'nobody'}; the application {'writes' if result.thawed else 'is frozen'}.")
    count = result.count
    say(
        f"Rows: {count.acknowledged} confirmed, {count.found} found at the {count.side}; "
        f"{count.lost} lost, {count.twice} twice."
    )
    say(f"DAG run: {result.state}")


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
