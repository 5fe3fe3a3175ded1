"""A simulated DRS job as its owner describes it: what it is called and how it behaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from airflow_provider_drs.simulator import validation as kinds
from airflow_provider_drs.simulator.statuses import BEFORE_ANY_SWITCHOVER, JobStatus, SwitchoverStatus
from airflow_provider_drs.simulator.validation import Kind

Lag = int | float | str | None


@dataclass
class Job:
    """One DRS job and how it behaves. Times are in seconds.

    **The switchover.** Without a script its status follows the clock. It is ``leftover``, the result of an earlier
    switchover, or else ``no_switchover`` (``"empty"``, ``"null"`` or ``"absent"``), until DRS accepts a switchover;
    with ``running=True`` one was accepted when the job was added. ``start_after`` seconds later the status becomes
    SWITCH_VIP_START for ``start_lasts`` seconds, then ``final``.

    ``status_script`` lists the statuses instead: one item for each ``get-switch-vip-status`` that the job serves (a
    fault uses up none), the last one for ever. An item is a status, None, ``"ABSENT"`` or ``"EMPTY"``.
    ``status_after_switch`` is such a script that starts again with each accepted switchover.

    ``error_code`` and ``error_msg`` go with any status but START and COMPLETE, and with the refusal of
    ``on_switch="refused"`` (there DRS.M01504 unless given). A job that is not INCRE_TRANSFER_STARTED refuses to switch
    with HTTP 400 DRS.M00304 unless ``switch_in_any_status``. ``answers_as`` is the id in the responses of the two
    calls, as a cross-AZ parent may report the id of its child.

    **Its own status and lag.** The status is ``status``; or it follows ``task_status_series``, pairs of seconds since
    the job was added and the status from then on; or ``task_status_script``, one item for each ``batch-status`` that
    shows the job, the last one for ever (a status, None, ``"ABSENT"``, or ``"MISSING"``: not among the results).
    The lag in ``batch-progress`` is ``"0"`` in INCRE_TRANSFER_STARTED and ``"-1"`` in any other status, or follows
    ``lag_series`` or ``lag_script`` in the same two ways (numbers are sent as strings; any string, None, ``"ABSENT"``).
    ``task_error_code`` and ``task_error_msg`` go with any failed status.

    An accepted job control (start, pause, retry, terminate) overrides all three: over ``transition_seconds`` the status
    goes through what is usual after that call, or through ``transition``, whose last item stays. ``control_refused``
    is a code with which every job control is refused, inside a 2xx.

    **Comparison.** One runs for ``compare_seconds`` and ends as ``compare_final``. A successful one shows
    ``compare_results``: ``{"database.table": "CONSISTENT" | "INCONSISTENT" | ...}``. ``compare_refused`` is a code with
    which none can be created, with ``compare_refused_msg``: as HTTP 400, or inside the 2xx with
    ``compare_refused_inside``.

    The rest is what the list of jobs and ``batch-detail`` show.

    :raises ValueError: if a value makes no sense; the message names the field
    """

    job_id: str
    status_script: list[str | None] | None = None
    start_after: float = 0.0
    start_lasts: float = 3.0
    final: str = SwitchoverStatus.COMPLETE.value
    error_code: str | None = None
    error_msg: str | None = None
    leftover: str | None = None
    no_switchover: str = "empty"
    answers_as: str | None = None
    running: bool = False
    on_switch: str = "success"
    status_after_switch: list[str | None] | None = None
    switch_in_any_status: bool = False

    status: str = JobStatus.REPLICATING.value
    task_status_script: list[str | None] | None = None
    task_status_series: list[tuple[float, str | None]] | None = None
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
        for kind, names in FIELDS:
            for name in names:
                kind.check(name, getattr(self, name))
        for what in ("task_status", "lag"):
            if getattr(self, f"{what}_script") is not None and getattr(self, f"{what}_series") is not None:
                raise ValueError(f"a job has a {what}_script or a {what}_series, not both")
        # JSON has no tuples, and a job is the same whether it was written in JSON or in Python.
        if self.task_status_series is not None:
            self.task_status_series = [(seconds, status) for seconds, status in self.task_status_series]
        if self.lag_series is not None:
            self.lag_series = [(seconds, lag) for seconds, lag in self.lag_series]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Job:
        """A job from its JSON form; raises ValueError for an unknown or missing key and a wrong type."""
        kinds.only_known("a job", values, [known.name for known in fields(cls)])
        if "job_id" not in values:
            raise ValueError("a job needs a job_id")
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """The job's JSON form, as `from_dict` reads it."""
        return asdict(self)


#: Every field of a job, by the kind of value it takes.
FIELDS: Final[tuple[tuple[Kind, tuple[str, ...]], ...]] = (
    (kinds.NONEMPTY_TEXT, ("job_id",)),
    (kinds.SWITCHOVER_STATUS, ("final",)),
    (kinds.TEXT, ("status", "compare_final")),
    (kinds.TEXT, ("db_use_type", "task_type", "engine_type", "job_direction", "net_type")),
    (kinds.OPTIONAL_TEXT, ("error_code", "error_msg", "task_error_code", "task_error_msg", "control_refused")),
    (kinds.OPTIONAL_TEXT, ("leftover", "answers_as", "compare_refused", "compare_refused_msg", "name")),
    (kinds.FLAG, ("running", "switch_in_any_status", "compare_refused_inside")),
    (kinds.SECONDS, ("start_after", "start_lasts", "transition_seconds", "compare_seconds")),
    (kinds.one_of(*BEFORE_ANY_SWITCHOVER), ("no_switchover",)),
    (kinds.one_of("success", "refused"), ("on_switch",)),
    (kinds.STATUS_SCRIPT, ("status_script", "status_after_switch", "task_status_script")),
    (kinds.STATUS_SERIES, ("task_status_series",)),
    (kinds.LAG_SCRIPT, ("lag_script",)),
    (kinds.LAG_SERIES, ("lag_series",)),
    (kinds.TEXTS, ("transition",)),
    (kinds.TEXT_TO_TEXT, ("compare_results",)),
)
