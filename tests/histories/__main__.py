"""``python -m tests.histories [N]``: play N histories in two processes, and say how they ended."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from functools import partial

from tests.histories.histories import check, draw, smallest

BATCH = 500
MOST_SHOWN = 5


def run_batch(first: int, size: int = BATCH) -> tuple[Counter[str], list[tuple[int, str]]]:
    """Play the histories of ``size`` seeds from ``first`` on; return how they ended, and the seeds that fail."""
    count: Counter[str] = Counter()
    wrong = [(seed, why) for seed in range(first, first + size) if (why := check(seed, count))]
    return count, wrong


def show(seed: int) -> None:
    """Say the smallest history that fails as that of a seed does."""
    history, wrong = smallest(draw(seed))
    print(f"seed {seed}: {wrong or 'nothing is wrong'}\n{history if wrong else draw(seed)}")


def main() -> int:
    """Return 1 where a history fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("number", type=int, nargs="?", default=20000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="play the history of this seed alone")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    if options.seed is not None:
        show(options.seed)
        return 0
    began = time.monotonic()
    count: Counter[str] = Counter()
    wrong: list[tuple[int, str]] = []
    whole, rest = divmod(options.number, BATCH)
    firsts = [options.first + BATCH * place for place in range(whole)]
    with multiprocessing.Pool(options.processes) as pool:
        for ended, failed in pool.imap_unordered(run_batch, firsts):
            count += ended
            wrong += failed
        if rest:
            ended, failed = pool.apply(partial(run_batch, size=rest), (options.first + BATCH * whole,))
            count += ended
            wrong += failed
    for name, number in sorted(count.items()):
        print(f"{number:9} {name}")
    print(f"{options.number} histories in {time.monotonic() - began:.0f} s, {len(wrong)} of them wrong")
    for why, number in Counter(why for _, why in wrong).items():
        print(f"{number:9} {why}")
    for seed, _ in sorted(wrong)[:MOST_SHOWN]:
        show(seed)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
