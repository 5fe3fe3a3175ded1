"""``python -m tests.cluster``: run the waves on an Airflow of many parts, and print a table of waves and figures."""

from __future__ import annotations

import argparse
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.cluster import moments
from tests.cluster.judge import Run
from tests.cluster.relay import Moment
from tests.cluster.stage import Stage
from tests.cluster.waves import WAVES, Wave

# A night's cutovers come in waves of this many.
AT_ONCE = 40
# Of all cutovers, how many Airflow itself may fail; one of a few is no more than that.
AIRFLOWS_SHARE = 0.01


@dataclass
class Figures:
    """What came of a wave."""

    name: str
    runs: list[Run] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    broke: str = ""
    seconds: float = 0.0
    memory: float = 0.0

    @property
    def failed(self) -> list[str]:
        """What failed: a line for each run, and for what no run is to blame for."""
        return [
            *(f"{run.run_id} ({run.kind.name}): {'; '.join(run.misses)}" for run in self.runs if run.misses),
            *(f"of our code: {found}" for found in self.tracebacks),
            *(f"still waits: {found}" for found in self.waiting),
            *([self.broke] if self.broke else []),
        ]


def main() -> int:
    """Run the waves; return 1 where something missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--ci", action="store_true", help="the part that CI runs")
    parser.add_argument("--only", default="", help="a regular expression for the names of the waves")
    parser.add_argument("--more", type=int, default=0, metavar="N", help="that many cutovers more")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    arguments = parser.parse_args()
    # A terminated run ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    done: list[Figures] = []
    with Stage(keep=arguments.keep, seed=arguments.seed) as stage:
        memory = stage.cluster.memory()
        print(f"healthy {stage.cluster.healthy_after:.0f} s after its start, {memory:.1f} GiB", flush=True)
        for wave in waves(arguments.more, arguments.ci):
            if re.search(arguments.only, wave.name):
                done.append(run(stage, wave))
        if re.search(arguments.only, "moments"):
            done.append(run_moments(stage, arguments.ci))
    return report(done, time.monotonic() - began)


def waves(more: int, ci: bool) -> Iterator[Wave]:
    """Return the waves; those of a night again and again, until there were so many cutovers more."""
    if ci:
        yield from (wave for wave in WAVES if wave.ci)
        return
    yield from WAVES
    number = 0
    while more > 0:
        wave = WAVES[number % len(WAVES)]
        yield Wave(f"{wave.name}-{number // len(WAVES) + 2}", min(more, AT_ONCE), wave.act, wave.job)
        more -= AT_ONCE
        number += 1


def run(stage: Stage, wave: Wave) -> Figures:
    """Run a wave and judge it."""
    figures, began = Figures(wave.name), time.monotonic()
    figures.runs = stage.start(wave.name, wave.kinds, **wave.job)
    with stage.weather(figures.runs):
        try:
            wave.act(stage, figures.runs)
        except AssertionError as error:  # what was to happen meanwhile did not: the wave has not shown it
            figures.broke = f"{wave.name}: {error}"
        figures.memory = stage.cluster.memory()
        stage.finish(figures.runs)
    return _judged(stage, figures, began)


def run_moments(stage: Stage, ci: bool) -> Figures:
    """Run a cutover for each moment, all at once, and judge them."""
    figures, began = Figures("moments"), time.monotonic()
    rows = moments.table(ci)
    planned = [moment for _, moment in rows]
    figures.runs = stage.start("moments", [kind for kind, _ in rows], planned, start_lasts=4)
    figures.memory = stage.cluster.memory()
    stage.finish(figures.runs)
    figures = _judged(stage, figures, began)
    for one, moment in zip(figures.runs, planned, strict=True):
        _name(one, moment)
    return figures


def _name(run: Run, moment: Moment) -> None:
    run.run_id += f" [{moment.task} {moment.write}, {moment.fault}]"
    if not moment.hits:
        run.wrong.append(f"that write never came; these did: {moment.writes}")


def _judged(stage: Stage, figures: Figures, began: float) -> Figures:
    stage.judge(figures.runs)
    written = stage.logs.new()
    stage.heal(figures.runs, written)
    figures.waiting = stage.waiting(figures.runs)
    later = stage.logs.new()
    figures.tracebacks = [*stage.tracebacks(written), *stage.tracebacks(later)]
    figures.seconds = time.monotonic() - began
    if dead := stage.cluster.dead():
        figures.broke += f" ended by themselves: {dead}"
    for line in figures.failed:
        print(f"{figures.name}: {line}", flush=True)
    print(
        f"{figures.name}: {len(figures.runs)} cutovers in {figures.seconds:.0f} s, {len(figures.failed)} failed",
        flush=True,
    )
    return figures


COLUMNS = ("cutovers", "wrong", "twice", "no evidence", "waiting", "ours", "cleared", "GiB", "seconds")


def report(done: Sequence[Figures], seconds: float) -> int:
    """Print the table, and what failed; return the exit code."""
    print(f"\n{'wave':<16}" + "".join(f"{name:>13}" for name in COLUMNS))
    for figures in done:
        runs = figures.runs
        cells = [
            len(runs), sum(bool(one.wrong) for one in runs), sum(bool(one.switched_twice) for one in runs),
            sum(bool(one.no_evidence) for one in runs),
            sum(bool(one.waiting) for one in runs) + len(figures.waiting), len(figures.tracebacks),
            sum(bool(one.healed) for one in runs), f"{figures.memory:.1f}", f"{figures.seconds:.0f}",
        ]  # fmt: skip
        print(f"{figures.name:<16}" + "".join(f"{cell:>13}" for cell in cells))
    healed = [one for figures in done for one in figures.runs if one.healed]
    for one in healed:
        mended = "one clear did not mend it" if one.misses else "one clear mended it"
        print(f"Airflow failed {one.run_id} ({one.kind.name}), {mended}: {one.healed}")
    for figures in done:
        for line in figures.failed:
            print(f"FAILED {figures.name}: {line}")
    total = sum(len(figures.runs) for figures in done)
    allowed = max(int(total * AIRFLOWS_SHARE), 1)
    failed = sum(len(figures.failed) for figures in done)
    if len(healed) > allowed:
        print(f"FAILED: Airflow itself failed {len(healed)} of {total}, more than {allowed}")
        failed += 1
    good = sum(not one.misses for figures in done for one in figures.runs)
    print(f"\n{total} cutovers in {seconds:.0f} s")
    print(f"cluster: {good} passed, {failed} failed")
    return 1 if failed or not good else 0


if __name__ == "__main__":
    sys.exit(main())
