"""What can become of a cutover in the lab. It imports nothing of Airflow."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_drs.simulator import Job
from tests.constants import COMPLETE, FAILED, numbered_job


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
    :param killed: the worker of the switchover is killed while DRS switches.
    """

    outcome: str | None = None
    serves: str | None = None
    thawed: bool = True
    job: Mapping[str, Any] = field(default_factory=dict)
    address: Mapping[str, Any] = field(default_factory=dict)
    lost: bool = False
    silent: bool = False
    killed: bool = False

    def job_of(self, number: int, start_lasts: float) -> Job:
        """Return the job, which switches over for so many seconds."""
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
    "killed-worker": Variant("done", "target", killed=True),
}  # fmt: skip


def random_variant(chance: random.Random) -> Variant:
    """Return a variant of which nobody has said how it must end, see `wrongs`."""
    address = {
        "moves": chance.choice(("complete",) * 4 + ("never", "always", "at_once")),
        "silent": chance.choice((0, 0, 1, 10)),
        "flaps": chance.choice((0, 0, 1)),
        "hangs": chance.random() < 0.5,
    }
    return Variant(
        job={"final": FAILED if chance.random() < 0.3 else COMPLETE, "start_after": chance.choice((0, 1, 3))},
        address=address,
        lost=chance.random() < 0.2,
        silent=chance.random() < 0.1,
        killed=chance.random() < 0.25,
    )
