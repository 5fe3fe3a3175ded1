"""What the cutovers of the cluster are, and what must have come of each. It imports nothing of Airflow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.constants import FAILED


@dataclass(frozen=True)
class Kind:
    """A DAG of ``dags/cutovers.py``.

    :param modes: what DRS is to be asked for, in order: one request for each intent.
    :param states: the states of tasks that are no success.
    :param outcomes: what the evidence of each switchover may say.
    :param results: tasks that leave a return value.
    :param job: how DRS behaves.
    """

    name: str
    modes: tuple[str, ...] = ("target",)
    states: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"cutover.switchover": ("done",)})
    results: tuple[str, ...] = ("cutover.ready", "cutover.switchover", "cutover.done", "seen")
    job: dict[str, Any] = field(default_factory=dict)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("poke"),
        Kind("deferrable"),
        Kind(
            "rolled_back",
            ("target", "source"),
            {"cutover.does_not_serve": "failed", "cutover.done": "upstream_failed"},
            {"cutover.switchover": ("done",), "back": ("done",)},
            ("cutover.ready", "cutover.switchover", "cutover.rollback_gate", "back"),
        ),
        Kind(
            "told_failed",
            states=dict.fromkeys(("cutover.serves", "cutover.done"), "upstream_failed")
            | {"cutover.switchover": "failed"},
            outcomes={"cutover.switchover": ("failed",)},
            results=("cutover.ready",),
            job={"final": FAILED, "error_msg": "in use"},
        ),
        # Whoever could not ask DRS for a while sees the end at once.
        Kind("handed_over", outcomes={"switch": ("accepted", "done")}, results=("switch", "seen")),
    )
}
