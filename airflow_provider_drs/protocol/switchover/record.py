"""The record of a switchover: saved before DRS is asked, so that it is asked at most once; later it is the evidence.

``phases`` says how far a switchover has come, and what may follow what.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from airflow_provider_drs.protocol.errors import DrsArgumentError, DrsError, Json
from airflow_provider_drs.protocol.polling import Outcome, utc
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply
from airflow_provider_drs.protocol.switchover.freshness import (
    DEFAULT_DECIDE_WITHIN,
    DEFAULT_MAX_GAP,
    DEFAULT_SETTLE,
    Freshness,
)
from airflow_provider_drs.protocol.switchover.phases import (
    NEEDS_PERSON,
    TRANSITIONS,
    IllegalTransitionError,
    Phase,
    Step,
)
from airflow_provider_drs.protocol.switchover.status import SwitchoverState, SwitchoverStatus, switchover_state

_ENDS = {Outcome.DONE: Step.COMPLETE, Outcome.FAILED: Step.FAIL, Outcome.UNDECIDED: Step.GIVE_UP}
_NOT_TOLD: Json = {"at_start": None, "at_end": None, "decided": False}
_ACTOR = ("dag_id", "run_id", "task_id", "map_index", "try_number", "user")

# What the name of an XCom begins with that tells of an end: Airflow names to a try the XComs of the one before, which
# it wipes. The rest is what goes into the address of a request as it is.
END_MARK = "drs_switchover_done_"


@dataclass
class Record:
    """One switchover: the intent, what became of it, what that rests on. Plain JSON; times in seconds since the epoch.

    :param began_at: when the try began.
    :param guards: ``{"name", "ok", "value", "limit", "at"}`` of each guard.
    :param baseline: the status before it, None for none.
    :param baseline_known: the response it comes from named the job; DRS's "empty result" says nothing either way.
    :param posted_at: when it was asked for, saved before it was; None for one that was joined.
    :param posted_by_server: the service's own time by its last response before that; None: not known.
    :param accepted_at: when DRS accepted it; None where that is not known.
    :param attached: it was running already, and was joined; then the mode is not known.
    :param unsure: a try has ended between saving the intent and saving the response.
    :param observed: each change of the status: ``{"status", "at"}``.
    :param detection: seconds between the last poll that did not show the end and the one that did.
    :param started: START of this switchover was seen; None in records up to 0.2: then what was observed tells.
    :param watched: the last good response since it was asked for, as ``Instant.to_list`` writes it.
    :param seen: what reads have shown last, and since when, as ``Freshness.seen`` has it: a triggerer may confirm it.
    :param unattributable: why no status can be this switchover's any more; "" while one can.
    :param timeout: seconds for which nobody may have watched for an end still to be this switchover's.
    :param earlier: the evidence of the switchovers that this task has made in this run before.
    :param approvals: who approved it, and when: ``{"task_id", "by", "at", "answer"}``.
    :param order: the number of this switchover among those of the job in this run; 0 in records up to 0.2.
    :param max_tries: Airflow's number of tries granted when it began; it grows when a person clears the task.
    :param actor: dag_id, run_id, task_id, map_index, try_number, user.
    :param witness: who answered at the address before DRS was asked, and at the end, each ``{"side", "value", "at"}``
        or None, and whether that has decided the outcome; None: no witness was asked.
    """

    job_id: str
    mode: str
    phase: Phase = Phase.BEGUN
    began_at: float = 0.0
    guards: list[Json] = field(default_factory=list)
    guarded_at: float | None = None
    baseline: str | None = None
    baseline_known: bool = False
    posted_at: float | None = None
    posted_by_server: float | None = None
    accepted_at: float | None = None
    attached: bool = False
    unsure: bool = False
    status: str | None = None
    error_code: str | None = None
    error_msg: str | None = None
    reason: str | None = None
    observed: list[Json] = field(default_factory=list)
    finished_at: float | None = None
    detection: float | None = None
    settle: float | None = DEFAULT_SETTLE
    decide_within: float = DEFAULT_DECIDE_WITHIN
    timeout: float = DEFAULT_MAX_GAP
    started: bool | None = None
    watched: list[float | None] | None = None
    seen: Json | None = None
    unattributable: str = ""
    earlier: list[Json] = field(default_factory=list)
    approvals: list[Json] = field(default_factory=list)
    order: int = 0
    max_tries: int = 0
    actor: Json = field(default_factory=dict)
    witness: Json | None = None

    def apply(self, step: Step) -> None:
        """Move to the phase that follows from ``step``.

        :raises IllegalTransitionError: nothing follows.
        """
        try:
            self.phase = TRANSITIONS[self.phase, step]
        except KeyError:
            raise IllegalTransitionError(f"{step.name} cannot follow the phase {self.phase}") from None

    def read(self, reply: SwitchoverReply, guards: list[Json], at: float) -> None:
        """Note what was read before DRS is asked: the baseline, and how the guards stand."""
        self.apply(Step.READ)
        self.guards, self.guarded_at = guards, at
        self.baseline, self.baseline_known, self.status = reply.status, reply.job_id is not None, reply.status
        self.error_code = self.error_msg = self.reason = self.finished_at = self.posted_at = None
        self.observed = [{"status": reply.status, "at": utc(at)}]

    def intend(self, at: float, server: float | None = None) -> None:
        """Note that DRS is about to be asked."""
        self.apply(Step.INTEND)
        self.started = False
        self.posted_at, self.posted_by_server = at, server

    def unsend(self, reason: str) -> None:
        """Note that the request never left this machine, so that nothing was asked."""
        self.apply(Step.UNSEND)
        self.posted_at, self.posted_by_server, self.reason = None, None, reason

    def join(self) -> None:
        """Note that a running switchover is joined."""
        self.apply(Step.JOIN)
        self.attached = True

    def doubt(self, reason: str) -> None:
        """Note that nobody knows whether it was asked for, so that only the status may tell."""
        self.apply(Step.DOUBT)
        self.reason = reason

    def accept(self, at: float, server: float | None = None) -> None:
        """Note that DRS has accepted."""
        self.apply(Step.ACCEPT)
        self.accepted_at, self.posted_by_server = at, server if server is not None else self.posted_by_server

    def lose(self, reason: str) -> None:
        """Note that the response was lost."""
        self.apply(Step.LOSE)
        self.reason = reason

    def refuse(self, error: DrsError, at: float) -> None:
        """Note that DRS has refused."""
        self.apply(Step.REFUSE)
        self.error_code, self.error_msg, self.reason = error.error_code, error.error_msg, error.message
        self.finished_at = at

    def find(self, at: float) -> None:
        """Note that traffic is where it is to go already, so that DRS is not asked."""
        self.apply(Step.FIND)
        self.finished_at = at
        self.witness = {**(self.witness or _NOT_TOLD), "decided": True}

    def tell(self, when: str, look: Json) -> None:
        """Note who answered at the address.

        :param when: ``at_start`` or ``at_end``.
        :param look: ``{"side", "value", "at"}``.
        """
        self.witness = {**(self.witness or _NOT_TOLD), when: look}

    def resume(self, max_tries: int) -> None:
        """Note that a further try resumes it."""
        self.unsure = self.unsure or self.phase is Phase.INTENDED
        if self.phase is Phase.DISPUTED:  # its end was seen: what has another status since is another's
            self.unattributable = f"DRS has said {self.status} of it already, and of a later status nothing tells whose"
        self.apply(Step.RESUME)
        self.max_tries, self.finished_at, self.reason = max_tries, None, None

    def show(self) -> None:
        """Note that the status shows that DRS has taken it."""
        self.apply(Step.SHOW)

    def end(self, event: Json, step: Step | None = None, says: str = "") -> None:
        """Take the end of the wait as its event has it; an error leaves the switchover open.

        :param step: what follows where a witness was asked; None: none was.
        :param says: what that adds to the reason.
        """
        by_drs = _ENDS.get(event["outcome"])
        if by_drs is None:
            self.observe(event.get("observed", []))
            return
        seen = event["seen"]
        self.apply(step or by_drs)
        if step is Step.COMPLETE and by_drs is not step:
            self.witness = {**(self.witness or _NOT_TOLD), "decided": True}
        self.status, self.error_code, self.error_msg = seen["status"], seen["error_code"], seen["error_msg"]
        self.reason = "; ".join(text for text in (event.get("reason"), says) if text) or None
        self.finished_at, self.detection = seen["at"], seen["detection"]
        self.take_progress(seen.get("progress"))
        self.observe(seen["observed"])

    def end_by_mark(self, marks: Iterable[str]) -> bool:
        """Take the end of the wait as a triggerer has marked it that has ended the task; tell whether there is a mark.

        :param marks: names among which that of :func:`end_mark` may be.
        """
        if self.phase not in (Phase.ACCEPTED, Phase.LOST):
            return False
        asked = _asked_at(self)
        for mark in marks:
            _, _, numbers = mark.partition(END_MARK)
            of, _, rest = numbers.partition("_")
            if not mark.startswith(END_MARK) or of != asked:
                continue
            at, _, detection = rest.partition("_")
            self.apply(Step.COMPLETE)
            self.status, self.error_code = str(SwitchoverStatus.COMPLETE), None
            self.error_msg = self.reason = None
            self.finished_at, self.detection = float(at), float(detection) if detection else None
            self.observe([*self.observed, {"status": self.status, "at": utc(float(at))}])
            return True
        return False

    @property
    def is_doubt(self) -> bool:
        """Whether it says only that nothing is known: neither that DRS was asked, nor that it was not."""
        return self.phase is Phase.UNKNOWN and self.posted_at is None and not self.attached

    def observe(self, changes: Sequence[Json]) -> None:
        """Add what a wait has seen of the status, in order; what is known of it already is not added again.

        :param changes: all that the wait has seen so far.
        """
        # What is known of it ends with what was added last. A new change may look like an earlier one: a clock that was
        # set back comes to the same time again.
        known = 1 + max((place for place, change in enumerate(changes) if change in self.observed[-1:]), default=-1)
        for change in changes[known:]:
            if not self.observed or self.observed[-1]["status"] != change["status"]:
                self.observed.append(change)

    def take_progress(self, progress: Json | None) -> None:
        """Note what the freshness rule has seen, for the try that resumes."""
        if progress:
            self.started = progress["started"]
            self.watched, self.seen, self.unattributable = progress["watched"], progress.get("seen"), progress["why"]

    def freshness(self) -> Freshness:
        """Return what tells this switchover's outcome from an earlier one's."""
        return Freshness(
            baseline=self.baseline,
            posted_at=self.began_at if self.posted_at is None else self.posted_at,
            accepted_at=self.accepted_at,
            settle=self.settle,
            decide_within=self.decide_within,
            started=_started(self.attached, self.started, self.observed),
            empty_since=self.baseline_known,
            max_gap=self.timeout,
            posted_by_server=self.posted_by_server,
            watched=self.watched,
            seen=self.seen,
            why=self.unattributable,
            request_state="an earlier try was about to ask DRS, and nothing tells whether it did"
            if self.unsure
            else "",
        )

    def evidence(self) -> Json:
        """Return the evidence: plain JSON for XCom, times in UTC, ISO 8601."""
        asked = self.began_at if self.posted_at is None else self.posted_at
        return {
            "job_id": self.job_id,
            "mode": None if self.attached else self.mode,
            "outcome": str(self.phase),
            "status": self.status,
            "error_code": self.error_code,
            "error_msg": self.error_msg,
            "reason": self.reason,
            **{name: self.actor.get(name) for name in _ACTOR},
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
            "timeout": self.timeout,
            "posted_by_server": self.posted_by_server,
            "started": self.attached or self.started,
            "watched": self.watched,
            "order": self.order,
            "decided_by": self._decided_by(),
            "witness": self.witness,
            "earlier": self.earlier,
            "approvals": self.approvals,
            "seconds": {
                "guards": None if self.guarded_at is None else round(self.guarded_at - self.began_at, 3),
                "switchover": None if self.finished_at is None else round(self.finished_at - asked, 3),
                "detection": None if self.detection is None else round(self.detection, 3),
            },
        }

    def _decided_by(self) -> str | None:
        if self.witness is not None and self.witness["decided"]:
            return "witness"
        return "drs" if self.phase in (Phase.DONE, Phase.FAILED) else None

    def to_dict(self) -> Json:
        """Return the record as plain JSON, to be saved."""
        found = {name: list(value) if isinstance(value, list) else value for name, value in vars(self).items()}
        return {**found, "phase": str(self.phase)}

    @classmethod
    def from_dict(cls, data: Json) -> Record:
        """Rebuild what :meth:`to_dict` wrote, in this version or an earlier one; unknown fields are ignored."""
        known = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        if "who" in data:  # up to 0.2
            known["actor"] = data["who"]
        return cls(**{**known, "phase": Phase(data["phase"])})


def end_mark(record: Record) -> str:
    """Return the name that tells that a switchover is done, when, and which one: when it was asked for."""
    detection = "" if record.detection is None else f"_{record.detection:.3f}"
    return f"{END_MARK}{_asked_at(record)}_{record.finished_at or 0:.6f}{detection}"


def _asked_at(record: Record) -> str:
    return f"{record.began_at if record.posted_at is None else record.posted_at:.6f}"


def found_already(evidence: Any) -> Json | None:
    """Return the XCom of a sensor where an operator has found traffic there already: nothing was asked, nor polled.

    :param evidence: that of the operator.
    :return: ``{job_id, status, first_polled_at, done_at, polls}``, the times those of the finding; None where a
        switchover is to be waited for.
    :raises DrsArgumentError: it lacks what such evidence has.
    """
    if not isinstance(evidence, Mapping) or evidence.get("outcome") != Phase.ALREADY:
        return None
    try:
        at = utc(datetime.fromisoformat(evidence["finished_at"]).timestamp())
        return {
            "job_id": evidence["job_id"],
            "status": evidence["status"],
            "first_polled_at": at,
            "done_at": at,
            "polls": 0,
        }
    except (KeyError, TypeError, ValueError) as error:
        raise _no_evidence(error) from None


def freshness_of(evidence: Any) -> Freshness:
    """Return which switchover the evidence of an operator is about.

    :raises DrsArgumentError: it is not the evidence of a switchover that was asked for.
    """
    try:
        if evidence["outcome"] not in (Phase.ACCEPTED, Phase.LOST, Phase.DONE, Phase.FAILED, *NEEDS_PERSON):
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
            started=_started(evidence["attached"], evidence.get("started"), evidence["observed"]),
            empty_since=bool(evidence["baseline_known"]),
            max_gap=evidence.get("timeout", DEFAULT_MAX_GAP),
            posted_by_server=evidence.get("posted_by_server"),
            watched=evidence.get("watched"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _no_evidence(error) from None


def _no_evidence(error: Exception) -> DrsArgumentError:
    text = "switchover is not the XCom of a DrsSwitchoverOperator that has switched"
    return DrsArgumentError(f"{text} ({type(error).__name__}: {error})")


def _started(attached: bool, started: bool | None, observed: list[Json]) -> bool:
    if started is not None:
        return attached or started
    return attached or any(switchover_state(change["status"]) is SwitchoverState.RUNNING for change in observed)


def _time(at: float | None) -> str | None:
    return None if at is None else utc(at)
