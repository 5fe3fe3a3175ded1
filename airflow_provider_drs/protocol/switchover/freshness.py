"""Is this status the outcome of our switchover, or of another one? The only place that decides it.

DRS's response carries no time, no direction and no id of the operation: the COMPLETE of last week looks like that of
today. What is not certain is undecidable, and never a success or a failure.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum

from airflow_provider_drs.protocol.errors import Json
from airflow_provider_drs.protocol.polling import Instant
from airflow_provider_drs.protocol.switchover.status import SwitchoverState, switchover_state

DEFAULT_SETTLE = 30.0
DEFAULT_DECIDE_WITHIN = 300.0
DEFAULT_MAX_GAP = 3600.0
# "Has stood unchanged" takes two polls.
MIN_SETTLE_POLLS = 2
# A status counts once a second read, about this much later, shows it too: a stale one would be gone by then.
CONFIRM_AFTER = 1.0
_CONFIRMED_AFTER = 0.75 * CONFIRM_AFTER


class Confidence(Enum):
    """What a status is worth."""

    FRESH = "the outcome of this switchover"
    UNCONFIRMED = "something, if a second read shows it too"
    NOT_YET = "nothing, so far"
    UNDECIDABLE = "nothing, and waiting longer would not change that"


@dataclass
class Freshness:
    """What is known about one switchover besides its status.

    :param baseline: the status before it, None for none.
    :param posted_at: seconds since the epoch when it was asked for.
    :param accepted_at: when DRS accepted it; None where that is not known.
    :param settle: seconds for which an unchanged COMPLETE must stand, seen so, to be trusted where DRS accepted; None:
        it never is. An unchanged FAILED never is.
    :param decide_within: seconds after the request, or its acceptance, within which it must show itself to be ours.
    :param started: SWITCH_VIP_START was seen since.
    :param empty_since: DRS has said about the job that it has no status, before the switchover or since.
    :param max_gap: seconds for which nobody may have watched, after START was seen, for an end to be ours.
    :param posted_by_server: the service's own time when it was asked for, or accepted; None: not known.
    :param watched: the last good response, as ``Instant.to_list`` writes it; None for none since the request.
    :param standing: since when an unchanged COMPLETE has stood, likewise; None: it does not.
    :param standing_polls: polls that have seen it so.
    :param seen: the status that reads have shown last, and since when: ``{"status", "since", "in_time"}``.
    :param request_state: what is known about the request, for messages; "" for what the times tell.
    :param why: why no status can be ours any more; "" while one can. What was lost once is not found again.
    """

    baseline: str | None
    posted_at: float
    accepted_at: float | None
    settle: float | None = DEFAULT_SETTLE
    decide_within: float = DEFAULT_DECIDE_WITHIN
    started: bool = False
    empty_since: bool = False
    max_gap: float = DEFAULT_MAX_GAP
    posted_by_server: float | None = None
    watched: list[float | None] | None = None
    standing: list[float | None] | None = None
    standing_polls: int = 0
    seen: Json | None = None
    request_state: str = ""
    why: str = ""
    _asked: tuple[Instant, float] | None = field(default=None, init=False, repr=False, compare=False)
    _watched: Instant | None = field(default=None, init=False, repr=False, compare=False)
    _standing: Instant | None = field(default=None, init=False, repr=False, compare=False)
    _seen: Instant | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._watched, self._standing = Instant.from_list(self.watched), Instant.from_list(self.standing)
        self._seen = Instant.from_list(self.seen["since"]) if self.seen else None

    def judge(self, status: str | None, sent: Instant, *, names_job: bool = True, interval: float = 5.0) -> Confidence:
        """Tell what ``status`` is worth. Nothing rests on one read: a second one must show the same.

        START, or a final status that differs from the baseline, is ours if it is seen within ``decide_within`` of the
        request or its acceptance. After START, an end is ours unless nobody watched for longer than ``max_gap``. Where
        DRS accepted, an unchanged COMPLETE is trusted once it has been seen to stand for ``settle``.

        :param sent: when the request for it went out: the status is no older than that.
        :param names_job: the response named the job, which DRS's "empty result" does not.
        :param interval: seconds between polls.
        """
        state = switchover_state(status)
        in_time, confirmed = self._seen_twice(status, state, sent, names_job, interval)
        gap = self._gap(sent)
        watched_on = not self.started or gap is None or gap <= self.max_gap
        standing = self._stands(status, state, sent, gap, interval)
        self._watched, self.watched = sent, sent.to_list()
        self.empty_since = self.empty_since or (state is SwitchoverState.NOT_BEGUN and names_job and confirmed)
        if self.why:
            return Confidence.UNDECIDABLE
        if not watched_on:
            return self._undecidable(
                f"nobody watched for {gap:.0f} seconds, so that {status or 'no status'} may be another's"
            )
        if state is SwitchoverState.RUNNING and not self.started and in_time and self._began_since():
            self.started = confirmed
            return Confidence.NOT_YET if confirmed else Confidence.UNCONFIRMED
        final = state in (SwitchoverState.DONE, SwitchoverState.FAILED)
        if final and (self.started or (in_time and self._differs(status)) or standing is Confidence.FRESH):
            return Confidence.FRESH if confirmed else Confidence.UNCONFIRMED
        if self.started or in_time or standing is Confidence.NOT_YET:
            return Confidence.NOT_YET
        return self._undecidable(self._nothing_seen(status))

    @property
    def _window(self) -> float:
        return max(self.decide_within, self.settle or 0.0)

    def _since_asked(self, sent: Instant) -> float:
        """Return the seconds that may have passed since the request, or since its acceptance."""
        if self._asked is None:
            since = self.posted_at if self.accepted_at is None else self.accepted_at
            self._asked = sent, sent.most_since(Instant(since, server=self.posted_by_server))
        first, before = self._asked
        return before + sent.most_since(first)

    def _seen_twice(
        self, status: str | None, state: SwitchoverState, sent: Instant, names_job: bool, interval: float
    ) -> tuple[bool, bool]:
        """Tell whether the status came in time, and whether a second read shows it.

        Where the second one comes soon after, the first one counts: the time may have run out in between.
        """
        in_time = self._since_asked(sent) <= self._window
        if state is SwitchoverState.NOT_BEGUN and not names_job:
            return in_time, False  # it says nothing either way
        if self._seen is None or self.seen is None or self.seen["status"] != (status or ""):
            self._seen = sent
            self.seen = {"status": status or "", "since": sent.to_list(), "in_time": in_time}
            return in_time, False
        soon = sent.most_since(self._seen) <= 2 * max(interval, CONFIRM_AFTER)
        return in_time or (soon and self.seen["in_time"]), sent.least_since(self._seen) >= _CONFIRMED_AFTER

    def _gap(self, sent: Instant) -> float | None:
        return None if self._watched is None else sent.most_since(self._watched)

    def _stands(
        self, status: str | None, state: SwitchoverState, sent: Instant, gap: float | None, interval: float
    ) -> Confidence:
        """Tell whether an unchanged COMPLETE has been seen to stand for ``settle``; NOT_YET: it is on its way."""
        may_settle = self.accepted_at is not None and self.settle is not None
        if not may_settle or self.started or state is not SwitchoverState.DONE or status != self.baseline:
            self._standing, self.standing, self.standing_polls = None, None, 0
            return Confidence.UNDECIDABLE
        settle = self.settle or 0.0
        if self._standing is None or gap is None or gap > max(settle, 2 * interval):
            if self._since_asked(sent) > self._window:
                return Confidence.UNDECIDABLE
            self._standing, self.standing, self.standing_polls = sent, sent.to_list(), 0
        self.standing_polls += 1
        stood = sent.least_since(self._standing) >= settle and self.standing_polls >= MIN_SETTLE_POLLS
        return Confidence.FRESH if stood else Confidence.NOT_YET

    def _began_since(self) -> bool:
        """Tell whether a START is later than the request: DRS accepts none while another runs."""
        return self.accepted_at is not None or bool(self.baseline) or self.empty_since

    def _differs(self, status: str | None) -> bool:
        return status != self.baseline and (bool(self.baseline) or self.empty_since)

    def _undecidable(self, why: str) -> Confidence:
        self.why = why
        return Confidence.UNDECIDABLE

    def _nothing_seen(self, status: str | None) -> str:
        by_times = "DRS accepted it" if self.accepted_at is not None else "DRS's response to it was lost"
        request = self.request_state or by_times
        if not self.baseline and not self.empty_since:
            return f"{request}; DRS says {status or 'nothing'} now, and nothing tells whether that is new"
        as_before = " as before" if status == self.baseline else ""
        return f"{request}, and the status stands at {status or 'nothing'}{as_before}, with no START seen in time"

    def progress(self) -> Json:
        """Return what was seen so far, as plain JSON, for the wait in another process."""
        names = ("started", "empty_since", "watched", "standing", "standing_polls", "seen", "why")
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> Json:
        """Return it as plain JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}

    @classmethod
    def from_dict(cls, data: Json) -> Freshness:
        """Rebuild what :meth:`to_dict` wrote; fields of other versions are ignored."""
        return cls(**{f.name: data[f.name] for f in fields(cls) if f.init and f.name in data})
