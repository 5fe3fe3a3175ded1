"""The trigger that waits for a switchover."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_provider_drs import protocol
from airflow_provider_drs.links.drs import DrsConsoleLink
from airflow_provider_drs.metrics import metrics
from airflow_provider_drs.triggers.base import DrsTrigger
from airflow_provider_drs.triggers.without_worker import needs_a_worker


class DrsSwitchoverTrigger(DrsTrigger):
    """Waits until DRS says that a job's switchover is complete or failed, and fires one event.

    :param job_id: the job.
    :param verify_job_id: fail when the response is about another job.
    :param freshness: which switchover is meant, as ``protocol.Freshness.to_dict`` writes it; None: any.
    :param record: the record of an operator's switchover, handed back with the event; it says which
        switchover is meant, in place of ``freshness``.
    :param deadline: seconds since the epoch after which the outcome is undecided; None: never.
    :param end_from_trigger: a switchover that is complete ends the task from here, with the sensor's XCom; every other
        end resumes it on a worker. None: unless the task has something that needs a worker.
    :param started_here: the task was not on a worker before, so that its link to the console is published from here.

    The other parameters are those of :class:`~airflow_provider_drs.triggers.base.DrsTrigger`.

    The event is plain JSON: ``{"outcome": "done", "result": {...}, "seen": {...}}`` with the sensor's XCom,
    ``{"outcome": "failed", "switchover": {job_id, error_code, error_msg}, "seen": {...}}``, ``{"outcome": "undecided",
    "reason": "...", "seen": {...}}`` or ``{"outcome": "error", "error": {...}}``.
    """

    def __init__(
        self,
        job_id: str,
        *,
        verify_job_id: bool = True,
        freshness: dict[str, Any] | None = None,
        record: dict[str, Any] | None = None,
        deadline: float | None = None,
        end_from_trigger: bool | None = False,
        started_here: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        self.verify_job_id = verify_job_id
        self.freshness = freshness
        self.record = record
        self.deadline = deadline
        self.end_from_trigger = end_from_trigger
        self.started_here = started_here

    def _serialized(self) -> dict[str, Any]:
        return {
            "job_id": self.job_id,
            "verify_job_id": self.verify_job_id,
            "freshness": self.freshness,
            "record": self.record,
            "deadline": self.deadline,
            # Left out unless they are set, so that a triggerer of version 0.1 can still load what needs neither.
            **({} if self.end_from_trigger is False else {"end_from_trigger": self.end_from_trigger}),
            **({"started_here": True} if self.started_here else {}),
        }

    def _echo(self) -> dict[str, Any]:
        return {} if self.record is None else {"record": self.record}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until the wait is over and fire one event."""
        try:
            async for event in super().run():
                yield event
        except asyncio.CancelledError:
            # By a person who marks or clears the task, by a timeout of Airflow's, or with the triggerer.
            if self.record is not None:
                self.logger().warning(
                    "Job %s: the wait was cancelled, the switchover is not: it goes on at DRS", self.job_id
                )
            raise

    async def _begin(self, settings: protocol.Settings) -> None:
        link = settings.console_link(self.job_id) if self.started_here else None
        if link:
            await self._push(DrsConsoleLink.key, link)

    async def _to_event(self, event: dict[str, Any]) -> TriggerEvent:
        metrics().ended(event)
        if self._ends_task and event["outcome"] == protocol.Outcome.DONE:
            # Not left to the event: from 3.0 to 3.3 Airflow encodes its XComs twice, so that a dict becomes a string.
            pushed = [await self._push(key, value) for key, value in self.left_behind(event).items()]
            if all(pushed):
                if self.record is not None:
                    metrics().switched(protocol.Phase.DONE)
                return TaskSuccessEvent()
        return await super()._to_event(event)

    @property
    def _ends_task(self) -> bool:
        if self.record is not None:
            # Not in an argument of its own: a triggerer of an earlier version would leave a sensor's XCom.
            return bool((self.handover or {}).get("ends_task"))
        if self.end_from_trigger is None:
            task = getattr(self, "task", None)
            return task is not None and not needs_a_worker(task)
        return self.end_from_trigger

    def left_behind(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return the XComs of a task that ends here, in the order in which they are pushed.

        :param event: the end, which is a good one.
        """
        if self.record is None:
            return {"return_value": event["result"]}
        record = protocol.Record.from_dict(self.record)
        record.end(event)
        evidence = record.evidence()
        # The state store is out of a triggerer's reach: the name of an XCom tells a try that follows.
        return {"switchover": evidence, protocol.end_mark(record): True, "return_value": evidence}

    def new_wait(self, seed: str = "", memory: dict[str, Any] | None = None) -> protocol.SwitchoverWait:
        """Return the state machine of this wait."""
        freshness = protocol.Freshness.from_dict(self.freshness) if self.freshness else None
        if self.record is not None:
            freshness = protocol.Record.from_dict(self.record).freshness()
        return protocol.SwitchoverWait(
            self.job_id,
            self._pace(seed),
            verify_job_id=self.verify_job_id,
            transient_error_timeout=self.transient_error_timeout,
            memory=protocol.SwitchoverMemory.from_dict(self._memory(memory)),
            error_context=self._error_context(protocol.describe_job(self.job_id)),
            freshness=freshness,
            fast=memory is None,  # a wait that lives from one process to the next polls when it is scheduled
            deadline=self.deadline,
        )
