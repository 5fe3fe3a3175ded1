"""The waves: how many cutovers, of which kinds, and what is done to Airflow, Redis, DRS and IAM meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

from airflow_provider_drs.simulator import Fault
from tests.cluster.judge import Run
from tests.cluster.kinds import KINDS
from tests.cluster.stage import Stage
from tests.constants import TOKENS


@dataclass(frozen=True)
class Wave:
    """Cutovers at once.

    :param act: what is done meanwhile.
    :param job: how DRS behaves.
    """

    name: str
    count: int
    act: Callable[[Stage, Sequence[Run]], None]
    job: dict[str, Any] = field(default_factory=dict)
    ci: bool = False

    @property
    def kinds(self) -> list[str]:
        """The kinds of its cutovers, each as often as any."""
        return list(islice(cycle(KINDS), self.count))


def nothing(stage: Stage, runs: Sequence[Run]) -> None:
    """Do nothing but the faults of each wave."""


def kills(stage: Stage, runs: Sequence[Run]) -> None:
    """Kill a worker, a scheduler and the API server, and stop a triggerer until another has taken its waits over."""
    stage.until_posts(runs, 0.15)
    stage.kill_and_start("worker-1")
    stage.until_posts(runs, 0.3)
    stage.take_over()
    stage.until_posts(runs, 0.5)
    stage.kill_and_start("scheduler-1")
    stage.until_posts(runs, 0.7)
    stage.kill_and_start("api-server")


def redis_away(stage: Stage, runs: Sequence[Run]) -> None:
    """Kill Redis, and start it again after 20 seconds."""
    stage.until_posts(runs, 0.4)
    stage.redis.kill()
    stage.lasts(20)
    stage.redis.start()


def drs_away(stage: Stage, runs: Sequence[Run]) -> None:
    """Cut the way to DRS and IAM for a minute."""
    stage.until_posts(runs, 0.4)
    stage.is_drs_away = True
    stage.lasts(60)
    stage.is_drs_away = False


def iam_fails(stage: Stage, runs: Sequence[Run]) -> None:
    """Let IAM refuse to serve while no token is good any more."""
    stage.until_posts(runs, 0.4)
    stage.simulator.fault(TOKENS, Fault.status(503), times=None)
    stage.simulator.revoke_tokens()
    stage.lasts(30)
    stage.simulator.clear_faults()


# Waits that last: longer than a triggerer is missed.
LONG = {"start_lasts": 45}
WAVES = (
    Wave("faults", 20, nothing, ci=True),
    Wave("kills", 40, kills, LONG),
    Wave("redis-away", 20, redis_away, {"start_lasts": 15}),
    Wave("drs-away", 20, drs_away, {"start_lasts": 15}),
    Wave("iam-fails", 20, iam_fails, {"start_lasts": 15}),
)
