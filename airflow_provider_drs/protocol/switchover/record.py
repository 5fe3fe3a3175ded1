"""What is written down about a switchover: before it, so that it is never asked for twice; after it, as evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from airflow_provider_drs.protocol.errors import DrsArgumentError
from airflow_provider_drs.protocol.polling import utc
from airflow_provider_drs.protocol.switchover.freshness import DEFAULT_DECIDE_WITHIN, DEFAULT_SETTLE, Freshness
from airflow_provider_drs.protocol.switchover.status import SwitchoverState, switchover_state
from airflow_provider_drs.protocol.switchover.wait import DONE, FAILED, UNDECIDED


class Phase(StrEnum):
    """How far a switchover has come."""

    READ = "read"
    INTENDED = "intended"
    ACCEPTED = "accepted"
    LOST = "lost"
    REFUSED = "refused"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass
class Record:
    """One switchover: the intent, what became of it, what it rests on. Plain JSON; times in seconds since the epoch.

    :param began_at: when the job's state was first read.
    :param guards: ``{"name", "ok", "value", "limit", "at"}`` of each guard.
    :param baseline: the status before it, None for none.
    :param baseline_known: the answer it comes from was about the job; DRS's "empty result" says nothing either way.
    :param posted_at: when it was asked for, written down before it was; None for one that was joined.
    :param accepted_at: when DRS accepted it; None where the answer was lost.
    :param attached: it was running already, and was joined.
    :param observed: each change of the status: ``{"status", "at"}``.
    :param detection: seconds between the last poll that did not show the end and the one that did.
    :param max_tries: Airflow's number of tries granted when it began; it grows when a person clears the task.
    :param who: dag_id, run_id, task_id, map_index, try_number, user.
    """

    job_id: str
    mode: str
    phase: Phase = Phase.READ
    began_at: float = 0.0
    guards: list[dict[str, Any]] = field(default_factory=list)
    guarded_at: float | None = None
    baseline: str | None = None
    baseline_known: bool = False
    posted_at: float | None = None
    accepted_at: float | None = None
    attached: bool = False
    status: str | None = None
    error_code: str | None = None
    error_msg: str | None = None
    reason: str | None = None
    observed: list[dict[str, Any]] = field(default_factory=list)
    finished_at: float | None = None
    detection: float | None = None
    settle: float | None = DEFAULT_SETTLE
    decide_within: float = DEFAULT_DECIDE_WITHIN
    max_tries: int = 0
    who: dict[str, Any] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether DRS may have switched, or may be switching, without the end being known."""
        return self.phase in (Phase.INTENDED, Phase.ACCEPTED, Phase.LOST, Phase.UNKNOWN)

    def freshness(self) -> Freshness:
        """Return what tells this switchover's outcome from an earlier one's."""
        return Freshness(
            baseline=self.baseline,
            posted_at=self.began_at if self.posted_at is None else self.posted_at,
            accepted_at=self.accepted_at,
            settle=self.settle,
            decide_within=self.decide_within,
            started=_started(self.attached, self.observed),
            empty_since=self.baseline_known,
        )

    def ended(self, event: Mapping[str, Any]) -> None:
        """Take the end of the wait, as its verdict's event has it; an error leaves the switchover open."""
        phases = {DONE: Phase.DONE, FAILED: Phase.FAILED, UNDECIDED: Phase.UNKNOWN}
        if event["outcome"] not in phases:
            self.observe(event.get("observed", []))
            return
        seen = event["seen"]
        self.phase = phases[event["outcome"]]
        self.status, self.error_code, self.error_msg = seen["status"], seen["error_code"], seen["error_msg"]
        self.reason = event.get("reason")
        self.finished_at, self.detection = seen["at"], seen["detection"]
        self.observe(seen["observed"])

    def observe(self, changes: list[dict[str, Any]]) -> None:
        """Add what was seen of the status since: changes only, each once."""
        for change in changes:
            known = change in self.observed or (self.observed and self.observed[-1]["status"] == change["status"])
            if not known:
                self.observed.append(change)

    def evidence(self) -> dict[str, Any]:
        """Return the evidence: plain JSON for XCom, times in UTC, ISO 8601."""
        asked = self.began_at if self.posted_at is None else self.posted_at
        return {
            "job_id": self.job_id,
            "mode": self.mode,
            "outcome": str(self.phase),
            "status": self.status,
            "error_code": self.error_code,
            "error_msg": self.error_msg,
            "reason": self.reason,
            **{name: self.who.get(name) for name in ("dag_id", "run_id", "task_id", "map_index", "try_number", "user")},
            "guards": self.guards,
            "baseline": self.baseline,
            "baseline_known": self.baseline_known,
            "attached": self.attached,
            "posted_at": _time(self.posted_at),
            "accepted_at": _time(self.accepted_at),
            "observed": self.observed,
            "finished_at": _time(self.finished_at),
            "settle": self.settle,
            "decide_within": self.decide_within,
            "seconds": {
                "guards": None if self.guarded_at is None else round(self.guarded_at - self.began_at, 3),
                "switchover": None if self.finished_at is None else round(self.finished_at - asked, 3),
                "detection": None if self.detection is None else round(self.detection, 3),
            },
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON, to be written down."""
        return {**asdict(self), "phase": str(self.phase)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Record:
        """Rebuild what :meth:`to_dict` wrote; fields of other versions are passed over."""
        known = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        return cls(**{**known, "phase": Phase(data["phase"])})


def freshness_of(evidence: Any) -> Freshness:
    """Return which switchover the evidence of an operator is about.

    :raises DrsArgumentError: it is not the evidence of a switchover that was asked for.
    """
    try:
        if evidence["outcome"] not in (Phase.ACCEPTED, Phase.LOST, Phase.DONE, Phase.FAILED, Phase.UNKNOWN):
            raise ValueError(f"its outcome is {evidence['outcome']!r}")
        posted, accepted = evidence["posted_at"], evidence["accepted_at"]
        if posted is None and not evidence["attached"]:
            raise ValueError("it was not asked for")
        return Freshness(
            baseline=evidence["baseline"],
            posted_at=0.0 if posted is None else datetime.fromisoformat(posted).timestamp(),
            accepted_at=None if accepted is None else datetime.fromisoformat(accepted).timestamp(),
            settle=evidence["settle"],
            decide_within=evidence["decide_within"],
            started=_started(evidence["attached"], evidence["observed"]),
            empty_since=bool(evidence["baseline_known"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = (
            f"switchover is not the XCom of a DrsSwitchoverOperator that has switched ({type(error).__name__}: {error})"
        )
        raise DrsArgumentError(message) from None


def _started(attached: bool, observed: list[dict[str, Any]]) -> bool:
    return attached or any(switchover_state(change["status"]) is SwitchoverState.RUNNING for change in observed)


def _time(at: float | None) -> str | None:
    return None if at is None else utc(at)
