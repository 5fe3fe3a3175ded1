"""Over any history: one POST per intent, no false "nothing was changed", no end that is another switchover's."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.histories.__main__ import run_batch
from tests.histories.histories import EXCEPTIONS, draw, smallest

# `make histories N=1000000` plays as many as one has time for.
HISTORIES = 20_000
# So that the workers of a run share them.
SHARDS = 4


@pytest.mark.parametrize("shard", range(SHARDS))
def test_at_most_once_and_never_a_false_end(shard: int) -> None:
    size = HISTORIES // SHARDS
    count, wrong = run_batch(shard * size, size)
    for seed, why in wrong[:3]:
        print(f"python -m tests.histories --seed {seed}: {why}\n{smallest(draw(seed))[0]}")
    assert not wrong, f"{len(wrong)} histories, the first of them of the seed {wrong[0][0]}: {wrong[0][1]}"
    print(count)
    _check_that_it_means_something(count)


def _check_that_it_means_something(count: Counter[str]) -> None:
    """Check that the histories go everywhere, and that what is excepted stays rare."""
    tries = sum(number for name, number in count.items() if name.startswith("outcome"))
    told = count["outcome: done"] + count["outcome: failed"]
    assert told > tries / 5
    outcomes = (
        "begun",
        "read",
        "intended",
        "accepted",
        "lost",
        "refused",
        "done",
        "failed",
        "disputed",
        "unknown",
        "no evidence",
    )
    assert {name for name in outcomes if not count[f"outcome: {name}"]} == set()
    excepted = {name.removeprefix("excepted: "): number for name, number in count.items() if name.startswith("exc")}
    assert excepted.keys() <= set(EXCEPTIONS)
    assert sum(excepted.values()) < told / 10, excepted
