"""The groups of measurements that ``--only`` names: each runs its rounds and says what is to be held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.goals import Row
from tests.benchmarks.processes import Stub


@dataclass
class Session:
    """One call of ``make bench``.

    :param rounds: how often each contender is measured.
    :param quick: shorter, for developing; not judged.
    :param contenders: who takes part in the groups of many waits.
    :param say: tells whoever waits in front of the screen what is going on.
    :param raw: what each group measured, all rounds.
    """

    stub: Stub
    rounds: int
    quick: bool
    contenders: tuple[str, ...]
    say: Callable[[str], None]
    raw: dict[str, Any] = field(default_factory=dict)


Group = Callable[[Session], list[Row]]
