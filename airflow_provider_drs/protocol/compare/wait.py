"""When a comparison of source and target is over, and what it found: a state machine fed with pages of its result."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_drs.protocol.compare.calls import ComparedItem, ComparePage, query_compare_result
from airflow_provider_drs.protocol.errors import DrsError, Json
from airflow_provider_drs.protocol.jobs.query import CallQuery
from airflow_provider_drs.protocol.polling import (
    DEFAULT_TRANSIENT_ERROR_TIMEOUT,
    GiveUp,
    Instant,
    KeepPolling,
    LogLine,
    Outcome,
    Pace,
    PollingWait,
    PollMemory,
    PollResult,
    info,
    utc,
)

CONSISTENT = "CONSISTENT"
CAN_NOT_COMPARE = "CAN_NOT_COMPARE"

_RUNNING_TASKS = frozenset({"RUNNING", "WAITING_FOR_RUNNING", "FULL_DOING", "INCRE_DOING"})
_RUNNING_ITEMS = frozenset({"COMPARING", "WAITING_FOR_COMPARISON"})
_SUCCESSFUL = "SUCCESSFUL"
MAX_PAGES = 1000


@dataclass(frozen=True)
class Compared(PollResult):
    """The comparison has ended; ``result`` is ``{compare_id, compared, not_consistent, done_at, polls}``."""

    result: Json = field(default_factory=dict)

    def event(self) -> Json:
        """Return ``{"outcome": "compared", "result": {...}}``."""
        return {"outcome": str(Outcome.COMPARED), "result": dict(self.result)}


class CompareWait(PollingWait):
    """The wait for one comparison.

    :param job_id: the job.
    :param compare: what is compared.
    :param compare_id: the comparison.
    :param pace: how often to poll while all is well.
    :param transient_error_timeout: seconds of trouble without one good response after which to give up; None: never.
    :param error_context: what its own errors are about, such as the connection and the job.
    :param deadline: seconds since the epoch after which to give up; None: never.
    :param rng: numbers from 0 to 1, for the jitter.
    """

    def __init__(
        self,
        job_id: str,
        compare: str,
        compare_id: str,
        pace: Pace,
        *,
        transient_error_timeout: float | None = DEFAULT_TRANSIENT_ERROR_TIMEOUT,
        error_context: str = "",
        deadline: float | None = None,
        rng: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(
            f"Job {job_id}",
            pace,
            PollMemory(),
            transient_error_timeout=transient_error_timeout,
            error_context=error_context,
            deadline=deadline,
            rng=rng,
        )
        self.job_id = job_id
        self.compare = compare
        self.compare_id = compare_id
        self._page = 1
        self._status: str | None = None
        self._items: dict[str, ComparedItem] = {}
        self._differing: list[str] = []

    def query(self) -> CallQuery:
        """Return what the next poll asks; the pages one wait turns are no other's."""
        return CallQuery(query_compare_result(self.job_id, self.compare, self.compare_id, self._page), shared=False)

    def take(self, replies: Sequence[Any], at: float, sent: Instant) -> PollResult:
        """Take the reply to :meth:`query`, which came at ``at`` (seconds since the epoch)."""
        page: ComparePage = replies[0]
        self._count(at)
        lines = self.patience.recovered(at)
        self._status = page.status or self._status
        for item in page.items:
            self._items[item.name] = _worse(self._items.get(item.name), item)
        self._differing += [name for name in page.differing if name not in self._differing]
        over = self._is_over()
        if over and page.more and self._page < MAX_PAGES:
            self._page += 1
            return KeepPolling(tuple(lines), 0.0)
        if page.more and self._status is None and self._page < MAX_PAGES:
            self._page += 1  # the list of comparisons has this one on a later page
            return KeepPolling(tuple(lines), 0.0)
        status = self._status
        lines += self._changes(status or ("over" if over else "running"))
        if over:
            if self._items:
                return Compared(tuple(lines), self._result(at))
            return self._ends(lines, f"the comparison of {self.compare} has compared nothing")
        if status is not None and status not in _RUNNING_TASKS and status != _SUCCESSFUL:
            return self._ends(lines, f"the comparison of {self.compare} ended as {status}")
        self._begin()
        if self._late(at):
            return self._too_late(lines, at, f"it is {status or 'running'}")
        return KeepPolling(tuple(lines), self._until_deadline(self.pace.delay(self.memory.polls), at))

    def failed(self, error: DrsError, at: float) -> PollResult:
        """Take an error met at ``at`` instead of a page."""
        self._begin()
        return super().failed(error, at)

    def _begin(self) -> None:
        """Read from the first page again: what was read is of a time that is over."""
        self._page, self._status, self._items, self._differing = 1, None, {}, []

    def _is_over(self) -> bool:
        if any(item.result in _RUNNING_ITEMS for item in self._items.values()):
            return False
        # A comparison that the list leaves out is over once all it shows has a result.
        return bool(self._items) if self._status is None else self._status == _SUCCESSFUL

    def _changes(self, key: str) -> list[LogLine]:
        if self.memory.last_seen == key:
            return []
        self.memory.last_seen = key
        return [info(f"{self.subject}: comparison of {self.compare} is {key}")]

    def _result(self, at: float) -> Json:
        bad = [item for item in self._items.values() if item.result != CONSISTENT]
        found = [{"name": item.name, "result": item.result} for item in bad]
        if bad:  # objects that differ are named beside their type
            found += [{"name": name, "result": "INCONSISTENT"} for name in self._differing]
        return {
            "compare_id": self.compare_id,
            "compared": len(self._items),
            "not_consistent": found,
            "done_at": utc(at),
            "polls": self.memory.polls,
        }

    def _too_late(self, lines: Sequence[LogLine], at: float, last: str) -> GiveUp:
        return self._ends(lines, f"the comparison of {self.compare} did not end within the timeout, {last}")

    def _ends(self, lines: Sequence[LogLine], message: str) -> GiveUp:
        return self._give_up(DrsError(message), lines)


def _worse(known: ComparedItem | None, found: ComparedItem) -> ComparedItem:
    return known if known is not None and known.result != CONSISTENT else found
