"""A whole cutover between two real databases, in a real Airflow against a simulated DRS: ``make lab``."""

from __future__ import annotations

import argparse
import math
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from tests.lab.results import Result, wrongs
from tests.lab.run import Lab
from tests.lab.variants import VARIANTS, Variant, random_variant

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
    parser.add_argument("--rate", type=float, help="rows a second (200; of the random cutovers 20)")
    parser.add_argument("--runs", type=int, metavar="N", help="random cutovers instead, with faults and kills")
    parser.add_argument("--seed", type=int, default=0, help="of the random cutovers (%(default)d)")
    parser.add_argument("--at-once", type=int, default=6, metavar="N", help="of the random cutovers (%(default)d)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="no random cutover begins after so many")
    parser.add_argument("--netns", action="store_true", help="real addresses between network namespaces; needs root")
    asked = parser.parse_args(arguments)
    # A lab that is terminated ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    say("Starting two PostgreSQL servers with replication between them, an application, and an Airflow of its own ...")
    try:
        if asked.runs:
            return random_runs(asked.runs, asked.seed, asked.at_once, asked.rate or 20, asked.minutes * 60, asked.netns)
        rate = asked.rate or 200
        with Lab(rate=rate, namespaces=asked.netns) as lab:
            say(f"Running a cutover while the application writes {rate:g} rows a second ...")
            [(_, result)] = lab.run([VARIANTS[asked.variant]])
    except (AssertionError, OSError, RuntimeError) as error:
        say(f"The lab did not work: {error}")
        return BROKEN
    show(result)
    return 0 if result.is_done else 1


def random_runs(runs: int, seed: int, at_once: int, rate: float, seconds: float, netns: bool) -> int:
    """Run random cutovers, and print what each came to and what was wrong.

    :param seconds: after which none begins any more.
    :return: 0 where nothing was wrong with any, else 1.
    """
    ends_at, began = time.monotonic() + seconds, time.monotonic()

    def variants() -> Iterator[Variant]:
        chance = random.Random(seed)
        for _ in range(runs):
            if time.monotonic() < ends_at:
                yield random_variant(chance)

    wrong = 0
    ends: Counter[str] = Counter()
    kills: Counter[str] = Counter()
    with Lab(at_once, rate=rate, namespaces=netns) as lab:
        for number, (variant, result) in enumerate(lab.run(variants()), 1):
            bad = wrongs(variant, result)
            wrong += bool(bad)
            ends[f"{result.outcome or 'not started'}, {'thawed' if result.thawed else 'frozen'}"] += 1
            kills += Counter(_kills(variant))
            end = f"{result.outcome}, {result.serves or 'nobody'} serves, {'' if result.thawed else 'not '}thawed"
            say(f"{number}: {end}, {result.count}{''.join(f'; WRONG: {each}' for each in bad)}")
            if bad:
                say(f"   {variant}")
                for at, what in result.moments:
                    say(f"   {at - result.moments[0][0]:+.1f} s {what}")
                say(f"   {result.evidence}")
                say(f"   {result.alarms}")
    for what, counted in (("Ends", ends), ("Kills", kills)):
        say(f"{what}: " + "; ".join(f"{count} {name}" for name, count in counted.most_common()))
    minutes = (time.monotonic() - began) / 60
    say(f"{sum(ends.values())} cutovers in {minutes:.1f} minutes, wrong: {wrong} (seed {seed})")
    return 1 if wrong else 0


def _kills(variant: Variant) -> Iterator[str]:
    if variant.killed:
        yield f"worker of {variant.killed}"
    if variant.triggerer:
        yield "triggerer"
    if variant.forwarder:
        yield "forwarder"


def show(result: Result) -> None:
    """Print the timeline, the times without service, and the rows."""
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH_WITHOUT_TERMINAL)
    table = Table("when", "what")
    began = result.moments[0][0]
    for at, what in result.moments:
        table.add_row(f"{at - began:+.1f} s", what)
    say("Timeline, from the start of the first task")
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
