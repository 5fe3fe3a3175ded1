"""Is this status the outcome of our switchover, or left over from an earlier one? The only place that decides it.

DRS's answer carries no time, no direction and no id of the operation: the COMPLETE of last week looks like that of
today.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import Any

from airflow_provider_drs.protocol.switchover.status import SwitchoverState, switchover_state

DEFAULT_SETTLE = 30.0
DEFAULT_DECIDE_WITHIN = 300.0


class Confidence(Enum):
    """What a status is worth."""

    FRESH = "the outcome of this switchover"
    NOT_YET = "nothing, so far"
    UNDECIDABLE = "nothing, and waiting longer would not change that"


@dataclass
class Freshness:
    """What is known about one switchover besides its status.

    :param baseline: the status before it, None for none.
    :param posted_at: seconds since the epoch when it was asked for.
    :param accepted_at: when DRS accepted it; None where the answer was lost.
    :param settle: seconds after the acceptance for which an unchanged final status is not trusted; None: it never is.
    :param decide_within: seconds after which a switchover that has not shown itself is undecidable.
    :param started: SWITCH_VIP_START was seen since.
    :param empty_since: DRS has answered about the job that it has no status, before the switchover or since.
    """

    baseline: str | None
    posted_at: float
    accepted_at: float | None
    settle: float | None = DEFAULT_SETTLE
    decide_within: float = DEFAULT_DECIDE_WITHIN
    started: bool = False
    empty_since: bool = False

    def judge(self, status: str | None, asked_at: float, *, names_job: bool = True) -> Confidence:
        """Tell what ``status`` is worth.

        A final status counts if START was seen since, or it differs from the baseline, or DRS had accepted the
        switchover and the status has stood unchanged for ``settle`` since. DRS's "empty result" is no
        baseline, because that answer says nothing either way; one without a status about the job is.

        :param asked_at: when the request for it went out: the status is no older than that.
        :param names_job: the answer named the job, which an empty result does not.
        """
        what = switchover_state(status)
        if what is SwitchoverState.RUNNING:
            self.started = True
            return Confidence.NOT_YET
        final = what in (SwitchoverState.DONE, SwitchoverState.FAILED)
        if final and (self.started or self._differs(status) or self._settled(asked_at)):
            return Confidence.FRESH
        self.empty_since = self.empty_since or (what is SwitchoverState.NOT_BEGUN and names_job)
        if self.started:
            return Confidence.NOT_YET
        return Confidence.UNDECIDABLE if asked_at >= self.decide_by else Confidence.NOT_YET

    @property
    def decide_by(self) -> float:
        """When a switchover that has not shown itself becomes undecidable."""
        since = self.posted_at if self.accepted_at is None else self.accepted_at
        return since + max(self.decide_within, self.settle or 0.0)

    def _differs(self, status: str | None) -> bool:
        return status != self.baseline and (bool(self.baseline) or self.empty_since)

    def _settled(self, asked_at: float) -> bool:
        return self.accepted_at is not None and self.settle is not None and asked_at >= self.accepted_at + self.settle

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Freshness:
        """Rebuild what :meth:`to_dict` wrote; fields of other versions are passed over."""
        return cls(**{f.name: data[f.name] for f in fields(cls) if f.name in data})
