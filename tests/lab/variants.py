"""What can become of a cutover in the lab. It imports nothing of Airflow."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_drs.simulator import Job
from tests.constants import COMPLETE, FAILED, numbered_job

# The tasks that can be told to kill their own worker, at the worst moment: when half of what they do is done.
KILL_THEMSELVES = ("freeze", "caught_up", "verify", "thaw")


@dataclass(frozen=True)
class Variant:
    """One way in which a cutover goes, and how it must end.

    :param outcome: what the evidence of the switchover says; None: not said beforehand.
    :param serves: which side answers at the address afterwards; None: nobody.
    :param thawed: whether the application writes again.
    :param job: how DRS behaves, as `Job` takes it.
    :param address: how the virtual IP address behaves, as `Vip` takes it.
    :param lost: the response to the request to switch is lost.
    :param silent: from that request on, nobody answers at the address.
    :param killed: the task whose worker is killed on its first try: ``switchover``, or one of `KILL_THEMSELVES`.
    :param killed_after: seconds after its begin that the worker of ``switchover`` is killed; None: while DRS switches.
    :param forwarder: seconds after the begin of ``switchover`` that the forwarder of the address is killed, and for how
        long it is away; None: it is not.
    :param triggerer: the triggerer is killed while ``caught_up`` is deferred.
    :param way: how the cutover waits: ``poke`` or ``deferrable``.
    """

    outcome: str | None = None
    serves: str | None = None
    thawed: bool = True
    job: Mapping[str, Any] = field(default_factory=dict)
    address: Mapping[str, Any] = field(default_factory=dict)
    lost: bool = False
    silent: bool = False
    killed: str | None = None
    killed_after: float | None = None
    forwarder: tuple[float, float] | None = None
    triggerer: bool = False
    way: str = "poke"

    def job_of(self, number: int, start_lasts: float) -> Job:
        """Return the job, which switches over for so many seconds unless the variant says for how many."""
        given = {"no_switchover": "null", "start_after": 1, "start_lasts": start_lasts, **self.job}
        return Job(numbered_job(number), **given)


VARIANTS = {
    "complete": Variant("done", "target"),
    "disputed": Variant("disputed", "source", address={"moves": "never"}),
    "unknown": Variant(
        "unknown", None, thawed=False, job={"status_after_switch": [None]}, lost=True, silent=True
    ),
    "failed": Variant(
        "failed", "source",
        job={"final": FAILED, "error_code": "DRS.M01501", "error_msg": "The virtual IP address could not be switched."},
    ),
    "flapping": Variant("done", "target", address={"silent": 1, "flaps": 1.5}),
    "killed-worker": Variant("done", "target", killed="switchover"),
    "killed-triggerer": Variant("done", "target", triggerer=True, way="deferrable"),
    "killed-forwarder": Variant("done", "target", forwarder=(4, 3)),
}  # fmt: skip


def random_variant(chance: random.Random) -> Variant:
    """Return a variant of which nobody has said how it must end, see `wrongs`."""
    address = {
        "moves": chance.choice(("complete",) * 4 + ("never", "always", "at_once")),
        "silent": chance.choice((0, 0, 1, 10)),
        "flaps": chance.choice((0, 0, 1)),
        "hangs": chance.random() < 0.5,
    }
    job = {
        "final": FAILED if chance.random() < 0.3 else COMPLETE,
        "start_after": chance.choice((0, 1, 3)),
        "start_lasts": chance.choice((0.5, 2, 4)),
    }
    killed = chance.choice((None,) * 8 + ("switchover",) * 8 + KILL_THEMSELVES)
    triggerer = chance.random() < 0.15
    return Variant(
        job=job,
        address=address,
        lost=chance.random() < 0.2,
        silent=chance.random() < 0.1,
        killed=killed,
        killed_after=chance.uniform(0, 10) if killed else None,
        forwarder=(chance.uniform(0, 10), chance.uniform(0.3, 6)) if chance.random() < 0.3 else None,
        triggerer=triggerer,
        way="deferrable" if triggerer or chance.random() < 0.3 else "poke",
    )
