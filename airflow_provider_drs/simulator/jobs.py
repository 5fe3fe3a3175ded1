"""A simulated DRS job as its owner describes it: what it is called and how it behaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from typing import Any, Final

START: Final = "SWITCH_VIP_START"
COMPLETE: Final = "SWITCH_VIP_COMPLETE"
FAILED: Final = "SWITCH_VIP_FAILED"

#: Items of a script beside texts and None (null): the field is left out; in a ``status_script`` error DRS.M00002; in a
#: ``task_status_script`` the job is left out of the response.
ABSENT: Final = "ABSENT"
EMPTY: Final = "EMPTY"
MISSING: Final = "MISSING"

#: ``no_switchover`` -> the item of a script that says the same.
BEFORE_ANY_SWITCHOVER: Final[dict[str, str | None]] = {"empty": EMPTY, "null": None, "absent": ABSENT}

Series = list[tuple[float, str | None]]
Lag = int | float | str | None


@dataclass
class Job:
    """One DRS job and how it behaves. Times are in seconds.

    **The switchover.** The status in ``get-switch-vip-status`` follows ``status_script`` if there is one: one item for
    each call that the job itself serves (a fault uses up none), the last for ever. An item is a status, None,
    ``"ABSENT"`` or ``"EMPTY"``. Otherwise it follows the clock: ``leftover`` (the result of an earlier switchover) or,
    with none, ``no_switchover`` (``"empty"``, ``"null"`` or ``"absent"``) until a switchover is accepted, or from when
    the job was added with ``running=True``; ``start_after`` later SWITCH_VIP_START for ``start_lasts``; then ``final``.
    ``status_after_switch`` is a script that begins with each accepted switchover and takes the place of all that.

    ``error_code`` and ``error_msg`` go with any status but START and COMPLETE, and with the refusal of
    ``on_switch="refused"`` (there DRS.M01504 unless given). A job that is not INCRE_TRANSFER_STARTED refuses to switch
    with HTTP 400 DRS.M00304 unless ``switch_in_any_status``. ``answers_as`` is the id put in the responses of the two
    calls, as a cross-AZ parent may report the id of its child.

    **Its status and lag.** The status is ``status``; or that of ``task_status_series``: pairs of seconds since the job was added
    and the status from then on; or of ``task_status_script``: one item for each ``batch-status`` that shows the job,
    the last for ever (a status, None, ``"ABSENT"``, or ``"MISSING"``: not among the results). The lag in
    ``batch-progress`` is ``"0"`` in INCRE_TRANSFER_STARTED and ``"-1"`` in any other status, or follows ``lag_series``
    or ``lag_script`` in the same two ways (numbers are sent as strings; any string, None or ``"ABSENT"``).
    ``task_error_code`` and ``task_error_msg`` go with any failed status.

    An accepted job control (start, pause, retry, terminate) takes the place of all three: over
    ``transition_seconds`` the status goes through what is usual after that call, or through ``transition``, whose last
    stays. ``control_refused`` is a code with which every job control is refused, inside a 2xx.

    **Comparison.** One runs for ``compare_seconds`` and ends as ``compare_final``; successful, it shows
    ``compare_results``: ``{"database.table": "CONSISTENT" | "INCONSISTENT" | ...}``. ``compare_refused`` is a code with
    which none can be created, with ``compare_refused_msg`` as HTTP 400, or within the 2xx with
    ``compare_refused_inside``.

    The rest is what the list of jobs and ``batch-detail`` show. Raises ValueError where a value makes no sense.
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
    status_after_switch: list[str | None] | None = None
    switch_in_any_status: bool = False

    status: str = "INCRE_TRANSFER_STARTED"
    task_status_script: list[str | None] | None = None
    task_status_series: Series | None = None
    task_error_code: str | None = None
    task_error_msg: str | None = None
    lag_script: list[Lag] | None = None
    lag_series: list[tuple[float, Lag]] | None = None
    transition_seconds: float = 1.0
    transition: list[str] | None = None
    control_refused: str | None = None

    compare_seconds: float = 1.0
    compare_final: str = "SUCCESSFUL"
    compare_results: dict[str, str] = field(default_factory=lambda: {"demo.orders": "CONSISTENT"})
    compare_refused: str | None = None
    compare_refused_msg: str | None = None
    compare_refused_inside: bool = False

    name: str | None = None
    db_use_type: str = "sync"
    task_type: str = "FULL_INCR_TRANS"
    engine_type: str = "mysql"
    job_direction: str = "non-dbs"
    net_type: str = "vpn"

    def __post_init__(self) -> None:
        """Refuse values that make no sense, naming the field."""
        for known in fields(self):
            value, (right, told) = getattr(self, known.name), _KINDS[str(known.type)]
            if not right(value):
                raise ValueError(f"{known.name} is {told}, not {value!r}")
        if not self.job_id:
            raise ValueError("job_id is empty")
        for name in ("start_after", "start_lasts", "transition_seconds", "compare_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is seconds from 0 on")
        if self.no_switchover not in BEFORE_ANY_SWITCHOVER:
            raise ValueError(f"no_switchover is one of {', '.join(BEFORE_ANY_SWITCHOVER)}, not {self.no_switchover!r}")
        if self.on_switch not in ("success", "refused"):
            raise ValueError(f"on_switch is success or refused, not {self.on_switch!r}")
        for what in ("task_status", "lag"):
            if getattr(self, f"{what}_script") is not None and getattr(self, f"{what}_series") is not None:
                raise ValueError(f"a job has a {what}_script or a {what}_series, not both")
        # JSON has no tuples, and a job is the same whether it was written in JSON or in Python.
        self.task_status_series = _pairs(self.task_status_series)
        self.lag_series = _pairs(self.lag_series)

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


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_lag(value: Any) -> bool:
    return _is_text_or_none(value) or _is_number(value)


def _list_of(right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or (isinstance(value, list) and len(value) > 0 and all(map(right, value)))


def _series_of(right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def is_pair(value: Any) -> bool:
        return isinstance(value, (list, tuple)) and len(value) == 2 and _is_number(value[0]) and right(value[1])

    def is_series(value: Any) -> bool:
        if value is None or not _list_of(is_pair)(value):
            return value is None
        return value[0][0] >= 0 and all(first[0] < second[0] for first, second in pairwise(value))

    return is_series


def _is_results(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, [*value, *value.values()]))


def _pairs(series: Any) -> Any:
    return series and [(seconds, value) for seconds, value in series]


_SERIES: Final = "a list of pairs of seconds, rising from 0 on, and"
#: annotation of a field -> what tells a right value, and how an error message calls one.
_KINDS: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "str": (_is_text, "a string"),
    "str | None": (_is_text_or_none, "a string or None"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "float": (_is_number, "a number"),
    "list[str] | None": (_list_of(_is_text), "a list of one or more strings"),
    "list[str | None] | None": (_list_of(_is_text_or_none), "a list of one or more strings and nulls"),
    "list[Lag] | None": (_list_of(_is_lag), "a list of one or more numbers, strings and nulls"),
    "Series | None": (_series_of(_is_text_or_none), f"{_SERIES} strings"),
    "list[tuple[float, Lag]] | None": (_series_of(_is_lag), f"{_SERIES} numbers or strings"),
    "dict[str, str]": (_is_results, "an object of strings"),
}
