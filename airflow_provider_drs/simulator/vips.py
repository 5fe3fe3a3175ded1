"""A virtual IP address as its owner describes it: where it may lead, and how it behaves at a switchover."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from airflow_provider_drs.simulator import validation as kinds
from airflow_provider_drs.simulator.validation import Kind

_ENDPOINT: Final = re.compile(r"(?:(?P<host>[^:\s]+|\[[^]\s]+\]):)?(?P<port>\d{1,5})")


@dataclass
class Vip:
    """One virtual IP address: a port of loopback that leads to the source until a switchover of a job moves it.

    At START every connection through it is cut, and nobody answers until the end. At COMPLETE it leads to the other
    database, at FAILED back to the one it led to. The fields may be set while it serves. Times are in seconds.

    :param port: 0 takes a free one, which then stands here
    :param source: where the source listens, as ``HOST:PORT``; a number is a port of loopback
    :param target: where the target listens
    :param job_id: the job whose switchovers move it; None: the job that was added first
    :param moves: ``complete``; ``never``: not even when DRS says COMPLETE; ``always``: also when it says FAILED;
        ``at_once``: as soon as a switchover is accepted, whatever becomes of it
    :param silent: for how long nobody answers after the end
    :param flaps: for how long it changes to and fro after the end, twice a second
    :param hangs: where nobody answers, a connection stays open without a word, instead of being reset
    :param down: nobody answers, until this is false again
    :raises ValueError: a value makes no sense; the message names the field
    """

    port: int
    source: str
    target: str
    job_id: str | None = None
    moves: str = "complete"
    silent: float = 0.0
    flaps: float = 0.0
    hangs: bool = False
    down: bool = False

    def __post_init__(self) -> None:
        """Refuse values that make no sense, naming the field; a number is taken for a port of loopback."""
        self.source, self.target = str(self.source), str(self.target)
        for kind, names in FIELDS:
            for name in names:
                kind.check(name, getattr(self, name))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Vip:
        """A virtual IP address from its JSON form; raises ValueError for an unknown or missing key and a wrong type."""
        kinds.only_known("a virtual IP address", values, [known.name for known in fields(cls)])
        if not {"port", "source", "target"} <= set(values):
            raise ValueError("a virtual IP address needs port, source and target")
        return cls(**values)

    def endpoint(self, side: str) -> tuple[str, int]:
        """Host and port of the ``source`` or the ``target``."""
        found = _ENDPOINT.fullmatch(self.source if side == "source" else self.target)
        if found is None:
            raise ValueError(f"no HOST:PORT: {side}")
        return (found["host"] or "127.0.0.1").strip("[]"), int(found["port"])


def _is_port(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65535


def _is_endpoint(value: object) -> bool:
    found = _ENDPOINT.fullmatch(str(value))
    return found is not None and 0 < int(found["port"]) <= 65535


#: Every field of a virtual IP address, by the kind of value it takes.
FIELDS: Final[tuple[tuple[Kind, tuple[str, ...]], ...]] = (
    (Kind(_is_port, "a number from 0 to 65535"), ("port",)),
    (Kind(_is_endpoint, "HOST:PORT or a port"), ("source", "target")),
    (kinds.OPTIONAL_TEXT, ("job_id",)),
    (kinds.one_of("complete", "never", "always", "at_once"), ("moves",)),
    (kinds.SECONDS, ("silent", "flaps")),
    (kinds.FLAG, ("hangs", "down")),
)
