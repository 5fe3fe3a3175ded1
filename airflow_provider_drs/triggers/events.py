"""The trigger that starts DAGs: an ``AssetWatcher`` with it fires each time a switchover ends."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers import base as airflow_triggers
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_drs import protocol
from airflow_provider_drs.hooks.drs import DrsHook
from airflow_provider_drs.task import check_flags, checked_now, interval
from airflow_provider_drs.triggers.drs import DrsSwitchoverTrigger
from airflow_provider_drs.triggers.shared import shared_polls

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger

else:
    # Airflow 2 has no AssetWatcher either, so that nothing can use the trigger there; this module still loads.
    BaseEventTrigger = getattr(airflow_triggers, "BaseEventTrigger", BaseTrigger)


@dataclass
class Seen:
    """What was last seen of a job: an end that is the same, with no start between, is not a new one.

    :param status: the last end, None for none yet.
    :param started: a switchover has begun since.
    """

    status: str | None
    started: bool = False


class DrsSwitchoverEventTrigger(DrsSwitchoverTrigger, BaseEventTrigger):
    """Fires each time a switchover of a job ends, for as long as it is watched; for ``AssetWatcher`` (Airflow 3.0+).

    DRS's response carries no time and no id, so that an end is a new one if a start was seen since the last, or if
    it differs from it. What was last seen is kept in the asset's state store (Airflow 3.3 and later), so that an end
    is not fired again after a restart of the triggerer, and one that came meanwhile is not missed. It is written down
    one poll after the event was fired: a triggerer that dies in between fires it again rather than never.
    Before Airflow 3.3 a restart begins from nothing.

    Trouble is waited out without end; any other error is logged, once, and DRS is asked again a minute later. Triggers
    that watch the same job share its polls (on Airflow 3.3 and later by way of a shared stream).

    :param job_id: the job; of a cross-AZ job, the parent's. No template.
    :param drs_conn_id: id of the connection.
    :param project_id: project to work in, instead of the connection's.
    :param poke_interval: seconds or timedelta between polls, None for 5 seconds; a switchover that takes less may be
        missed if it ends as the last did.
    :param verify_job_id: as for ``DrsSwitchoverSensor``.
    :param fire_for_leftover: an end that stands already when the watching begins is fired too.

    The event is plain JSON: ``{"job_id", "outcome": "done" | "failed", "status", "error_code", "error_msg",
    "observed": [{"status", "at"}], "seen_at"}``, the times in UTC, ISO 8601.
    """

    def __init__(
        self,
        job_id: str,
        drs_conn_id: str = DrsHook.default_conn_name,
        project_id: str | None = None,
        poke_interval: timedelta | float | None = 5.0,
        verify_job_id: bool = True,
        fire_for_leftover: bool = False,
    ) -> None:
        # It is read with the DAG file: nothing is rendered, and what is wrong would only be seen in a triggerer's log.
        checked_now(lambda _, value: protocol.checked_job_id(value), "job_id", job_id)
        check_flags(verify_job_id=verify_job_id, fire_for_leftover=fire_for_leftover)
        super().__init__(
            job_id,
            verify_job_id=verify_job_id,
            drs_conn_id=drs_conn_id,
            project_id=project_id,
            poke_interval=interval("poke_interval", 5.0 if poke_interval is None else poke_interval),
            transient_error_timeout=None,
        )
        self.fire_for_leftover = fire_for_leftover
        self._seen: Seen | None = None
        self._kept: Seen | None = None
        self._recalled = False
        self._last_error = ""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and what ``__init__`` takes."""
        return (
            f"{type(self).__module__}.{type(self).__name__}",
            {
                "job_id": self.job_id,
                "drs_conn_id": self.drs_conn_id,
                "project_id": self.project_id,
                "poke_interval": self.poke_interval,
                "verify_job_id": self.verify_job_id,
                "fire_for_leftover": self.fire_for_leftover,
            },
        )

    def shared_stream_key(self) -> tuple[str, ...]:
        """Return what triggers that watch the same job have in common (Airflow 3.3+)."""
        return ("drs_switchover", self.drs_conn_id, self.project_id or "", self.job_id, str(self.poke_interval))

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncGenerator[protocol.Snapshot, None]:
        """Poll for ever: each poll is a snapshot, and so is each error, which must not end the others' watching.

        :param kwargs: as :meth:`serialize` returns them.
        """
        while True:
            try:
                watch = protocol.SwitchoverWatch(kwargs["job_id"], protocol.Pace(kwargs["poke_interval"]))
                async with shared_polls(kwargs["drs_conn_id"], kwargs["project_id"]) as polls:
                    with polls.follow(watch) as follower:
                        while True:
                            snapshot = await follower.next()
                            if isinstance(snapshot, protocol.Snapshot):  # the watch makes nothing else
                                yield snapshot
                                if polls.stale:  # its password would be refused again: read the connection again
                                    break
                                follower.again(snapshot.delay)
            except protocol.DrsError as error:  # a connection, or a job id, that cannot be used
                yield protocol.Snapshot(error=error)
            except Exception as error:
                # Left to Airflow, the trigger would be started again at once, and for ever.
                yield protocol.Snapshot(
                    error=protocol.DrsError(f"{cls.__name__} broke: {type(error).__name__}: {protocol.one_line(error)}")
                )
            await asyncio.sleep(protocol.PAUSE_AFTER_ERROR)

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[protocol.Snapshot]
    ) -> AsyncIterator[TriggerEvent]:
        """Fire an event for each end among the snapshots."""
        wait: protocol.SwitchoverWait | None = None
        async for snapshot in shared_stream:
            try:
                # What was seen, and if it was an end fired, a poll ago has reached Airflow by now.
                await self._recall()
                await self._keep()
                wait = wait or self._next_wait()
                event = self._judge(wait, snapshot)
            except protocol.DrsError as error:
                self._say(str(error))
                wait = None
            except Exception as error:
                self._say(f"{type(self).__name__} broke: {type(error).__name__}: {protocol.one_line(error)}")
                wait = None
            else:
                if event is not None:
                    self._last_error = ""
                    wait = None
                    yield TriggerEvent(event)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch for ever and fire an event for each end (where Airflow shares no streams, before 3.3)."""
        async with aclosing(self.open_shared_stream(self.serialize()[1])) as snapshots:
            async for event in self.filter_shared_stream(snapshots):
                yield event

    def _judge(self, wait: protocol.SwitchoverWait, snapshot: protocol.Snapshot) -> dict[str, Any] | None:
        """Return the event of a snapshot that shows a new end; raise the error of one that shows no status."""
        if snapshot.reply is None:
            result: protocol.PollResult = wait.failed(snapshot.error or protocol.DrsError(""), snapshot.at)
        else:
            if self._seen is None and not self.fire_for_leftover and wait.freshness is not None:
                wait.freshness.baseline = snapshot.reply.status
            result = wait.take([snapshot.reply], snapshot.at, protocol.Instant(snapshot.asked_at))
        for line in result.lines:
            self.log.log(line.level, line.text)
        if isinstance(result, protocol.GiveUp):
            raise result.error
        self._note(wait)
        if isinstance(result, protocol.KeepPolling):
            return None
        event = result.event()
        seen = event["seen"]
        self._seen = Seen(seen["status"])
        found = {name: seen[name] for name in ("status", "error_code", "error_msg", "observed")}
        return {"job_id": self.job_id, "outcome": event["outcome"], **found, "seen_at": protocol.utc(seen["at"])}

    def _next_wait(self) -> protocol.SwitchoverWait:
        """Return the wait for the next end: of any switchover but the one seen last."""
        last = self._seen or Seen(None)
        self.freshness = protocol.Freshness(
            baseline=last.status,
            posted_at=0.0,
            accepted_at=None,
            settle=None,
            decide_within=math.inf,
            max_gap=math.inf,
            started=last.started,
            empty_since=True,  # nobody asked for a switchover here, so that any change is one
        ).to_dict()
        return self.new_wait()

    def _note(self, wait: protocol.SwitchoverWait) -> None:
        """Remember what stands, once there was a good response."""
        if wait.freshness is not None and wait.memory.last_seen is not None:
            self._seen = Seen(wait.freshness.baseline, wait.freshness.started)

    async def _recall(self) -> None:
        """Read, once, what this trigger wrote down before the triggerer was restarted."""
        if self._recalled:
            return
        store = getattr(self, "asset_state_store", None)
        if store is not None:
            try:
                kept = await store.aget(self._key)
            except ValueError as error:  # one trigger that watches for several assets
                self.log.warning("Job %s: what was seen is not kept over restarts: %s", self.job_id, error)
                self.asset_state_store = None
            else:
                if isinstance(kept, dict):
                    self._seen = self._kept = Seen(kept["status"], kept["started"])
        self._recalled = True

    async def _keep(self) -> None:
        """Write down what was seen, if that is new."""
        store = getattr(self, "asset_state_store", None)
        if store is not None and self._seen is not None and self._seen != self._kept:
            seen = self._seen
            await store.aset(self._key, asdict(seen))
            self._kept = seen

    @property
    def _key(self) -> str:
        return f"drs_switchover_{self.job_id}"

    def _say(self, error: str) -> None:
        if error != self._last_error:
            self.log.error("%s (tried again every minute)", error)
            self._last_error = error
