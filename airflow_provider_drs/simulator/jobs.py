"""The life of simulated DRS tasks: what each answers, and when. No sockets; the clock is handed in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

START: Final = "SWITCH_VIP_START"
COMPLETE: Final = "SWITCH_VIP_COMPLETE"
FAILED: Final = "SWITCH_VIP_FAILED"

#: Items of a ``status_script`` beside status texts and None (a status of null): no status key, and error DRS.M00002.
ABSENT: Final = "ABSENT"
EMPTY: Final = "EMPTY"

_BEFORE_ANY_SWITCHOVER: Final[dict[str, str | None]] = {"empty": EMPTY, "null": None, "absent": ABSENT}


@dataclass
class Job:
    """One DRS task and how it behaves. Times are in seconds.

    What ``get-switch-vip-status`` answers follows ``status_script`` if there is one: one item for each call that the
    job itself answers (a fault uses up none), the last for ever. An item is a status, None, ``"ABSENT"`` or
    ``"EMPTY"``.

    Otherwise it follows the clock: ``leftover`` (the result of an earlier switchover) or, with none,
    ``no_switchover`` (``"empty"``, ``"null"`` or ``"absent"``) until a switchover is accepted, or from when the job was
    added with ``running=True``; ``start_after`` later SWITCH_VIP_START for ``start_lasts``; then ``final``.

    ``error_code`` and ``error_msg`` go with any status but START and COMPLETE, and with the refusal of
    ``on_switch="refused"`` (there DRS.M01504 unless given). ``answers_as`` is the id put in replies, as a cross-AZ
    parent answers with the id of its child. The rest is what the list of jobs shows.

    Raises ValueError where a value makes no sense.
    """

    job_id: str
    status_script: list[str | None] | None = None
    start_after: float = 0.0
    start_lasts: float = 3.0
    final: str = COMPLETE
    error_code: str | None = None
    error_msg: str | None = None
    leftover: str | None = None
    no_switchover: str = "empty"
    answers_as: str | None = None
    running: bool = False
    on_switch: str = "success"
    name: str | None = None
    status: str = "INCRE_TRANSFER_STARTED"
    db_use_type: str = "sync"
    task_type: str = "FULL_INCR_TRANS"
    engine_type: str = "mysql"
    job_direction: str = "non-dbs"
    net_type: str = "vpn"

    def __post_init__(self) -> None:
        """Refuse values that make no sense, naming the field."""
        _check_types(self)
        if not self.job_id:
            raise ValueError("job_id is empty")
        if self.status_script is not None and not self.status_script:
            raise ValueError("status_script has no item")
        if self.start_after < 0 or self.start_lasts < 0:
            raise ValueError("start_after and start_lasts are seconds from 0 on")
        if self.no_switchover not in _BEFORE_ANY_SWITCHOVER:
            raise ValueError(f"no_switchover is one of {', '.join(_BEFORE_ANY_SWITCHOVER)}, not {self.no_switchover!r}")
        if self.on_switch not in ("success", "refused"):
            raise ValueError(f"on_switch is success or refused, not {self.on_switch!r}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Job:
        """A job from its JSON form; raises ValueError for an unknown or missing key and a wrong type."""
        unknown = set(values) - {known.name for known in fields(cls)}
        if unknown:
            raise ValueError(f"a job has no {', '.join(sorted(unknown))}")
        if "job_id" not in values:
            raise ValueError("a job needs a job_id")
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """The job's JSON form, as `from_dict` reads it."""
        return asdict(self)


def _check_types(job: Job) -> None:
    for known in fields(job):
        value = getattr(job, known.name)
        kinds = str(known.type)
        if known.name == "status_script":
            right = value is None or (
                isinstance(value, list) and all(item is None or isinstance(item, str) for item in value)
            )
        elif kinds == "bool":
            right = isinstance(value, bool)
        elif kinds == "float":
            right = isinstance(value, (int, float)) and not isinstance(value, bool)
        else:
            right = isinstance(value, str) or (value is None and "None" in kinds)
        if not right:
            raise ValueError(f"{known.name} is {kinds}, not {value!r}")


@dataclass
class _Life:
    job: Job
    accepted_at: float | None  # when the switchover that counts now was accepted
    before: str | None  # the result that stood until then
    script_at: int = 0
    modes: list[str] = field(default_factory=list)


class JobBook:
    """All jobs of a simulator and the state each is in; safe to use from several threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lives: dict[str, _Life] = {}
        self._lock = threading.Lock()

    def add(self, job: Job) -> None:
        """Add a job, or replace the one with the same id and begin its life anew."""
        with self._lock:
            self._lives[job.job_id] = _Life(job, self._clock() if job.running else None, job.leftover)

    def get(self, job_id: str) -> Job | None:
        """The job with this id, or None."""
        life = self._lives.get(job_id)
        return life.job if life else None

    def all(self) -> list[Job]:
        """Every job, in the order they were added."""
        with self._lock:
            return [life.job for life in self._lives.values()]

    def switched(self, job_id: str) -> list[str]:
        """The modes of the switchovers that were accepted for a job, in order."""
        with self._lock:
            return list(self._lives[job_id].modes)

    def next_status(self, job_id: str) -> str | None:
        """What the status call says now: a status, None, `ABSENT` or `EMPTY`; goes one item on in a script."""
        with self._lock:
            life = self._lives[job_id]
            script = life.job.status_script
            if script is None:
                return self._timed_status(life)
            item = script[min(life.script_at, len(script) - 1)]
            life.script_at += 1
            return item

    def switch(self, job_id: str, mode: str) -> bool:
        """Ask for a switchover; False when it is refused: by ``on_switch``, or because one is under way."""
        with self._lock:
            life = self._lives[job_id]
            if life.job.on_switch == "refused" or (life.job.status_script is None and self._under_way(life)):
                return False
            if life.accepted_at is not None:
                life.before = life.job.final
            life.accepted_at = self._clock()
            life.modes.append(mode)
            return True

    def _under_way(self, life: _Life) -> bool:
        if life.accepted_at is None:
            return False
        return self._clock() - life.accepted_at < life.job.start_after + life.job.start_lasts

    def _timed_status(self, life: _Life) -> str | None:
        job = life.job
        elapsed = -1.0 if life.accepted_at is None else self._clock() - life.accepted_at
        if life.accepted_at is None or elapsed < job.start_after:
            return _BEFORE_ANY_SWITCHOVER[job.no_switchover] if life.before is None else life.before
        return START if elapsed < job.start_after + job.start_lasts else job.final
