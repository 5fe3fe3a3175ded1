"""What all triggers of this provider do alike: poll over the shared client, log, fire one event."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import abstractmethod
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import XCom
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_provider_drs import __version__, protocol
from airflow_provider_drs.hooks.drs import DrsHook
from airflow_provider_drs.task import MIN_INTERVAL, interval
from airflow_provider_drs.triggers.shared import shared_polls

if TYPE_CHECKING:
    from airflow_provider_drs import clients
    from airflow_provider_drs.clients.polling.follower import Follower


def _is_late(result: protocol.GiveUp) -> bool:
    return isinstance(result.error, protocol.DrsTimeoutError)


class DrsTrigger(BaseTrigger):
    """Base of the triggers. They only ever read: neither their end nor their removal changes anything at DRS.

    :param drs_conn_id: id of the connection.
    :param project_id: project to work in, instead of the connection's.
    :param poke_interval: seconds or timedelta between polls.
    :param exponential_backoff: let the interval grow from poll to poll.
    :param max_wait: seconds it may grow to.
    :param transient_error_timeout: seconds of trouble without one good response after which to give up; None: never.
    :param silent_fail: log errors that would end the wait, and go on.
    :param handover: what the worker that deferred hands over: ``memory``, what its own polls saw; ``poll_at``, when the
        next poll is due; ``hold_until``, before which no end resumes the task; ``ends_task``, that the triggerer may
        end the task of an operator. Times in seconds since the epoch.
    :param newer: what a worker with a newer version of the provider has stored, and this version does not know. Such a
        wait is not begun: it ends with an error that says so.

    Whatever goes wrong is an event too, ``{"outcome": "error", "error": {...}}``, so that the task ends as it would in
    poke mode.
    """

    supports_triggerer_queue = True

    def __init__(
        self,
        drs_conn_id: str = DrsHook.default_conn_name,
        project_id: str | None = None,
        poke_interval: timedelta | float = 5.0,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        transient_error_timeout: float | None = protocol.DEFAULT_TRANSIENT_ERROR_TIMEOUT,
        silent_fail: bool = False,
        handover: dict[str, Any] | None = None,
        **newer: Any,
    ) -> None:
        super().__init__()
        self.drs_conn_id = drs_conn_id
        self.project_id = project_id
        # Tasks of versions up to 0.2 may have stored 0.
        self.poke_interval = interval("poke_interval", MIN_INTERVAL if poke_interval == 0 else poke_interval)
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.transient_error_timeout = transient_error_timeout
        self.silent_fail = silent_fail
        self.handover = handover
        self.newer = newer

    @abstractmethod
    def _serialized(self) -> dict[str, Any]:
        """Return the arguments of the kind of wait, beside those of this class; plain JSON, no secret."""

    def _echo(self) -> dict[str, Any]:
        """Return what every event of this trigger holds besides its outcome."""
        return {}

    async def _begin(self, settings: protocol.Settings) -> None:
        """Do what is to be done before the first poll."""

    async def _to_event(self, event: dict[str, Any]) -> TriggerEvent:
        """Return what is fired for ``event``."""
        return TriggerEvent(event)

    async def _push(self, key: str, value: Any) -> bool:
        """Write down an XCom of the task, as a worker would; tell whether that went well."""
        ti = self.task_instance
        if ti is None:  # dag.test() runs triggers without one
            return False
        place = {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": ti.map_index}
        try:
            # Shielded: before Airflow 3.2 a request to its supervisor that is cancelled half way ends the triggerer.
            await asyncio.shield(sync_to_async(XCom.set, thread_sensitive=False)(key=key, value=value, **place))
        except Exception as error:
            # Whatever a backend of XComs raises: a worker can still write it down.
            self.logger().warning("the triggerer cannot push the XCom %r: %s", key, type(error).__name__)
            return False
        return True

    @abstractmethod
    def new_wait(self, seed: str = "", memory: dict[str, Any] | None = None) -> protocol.PollingWait:
        """Return the state machine of this wait: the one description of it, for poke loop, operator and triggerer.

        :param seed: what the jitter of an exponential backoff is made from.
        :param memory: what earlier pokes saw, as ``PollMemory.to_dict`` writes it.
        """

    def event_of(self, result: protocol.PollResult) -> dict[str, Any]:
        """Return the event of an end."""
        return {**result.event(), **self._echo()}

    def _pace(self, seed: str) -> protocol.Pace:
        return protocol.Pace(self.poke_interval, self.exponential_backoff, self.max_wait, seed)

    def _error_context(self, subject: str) -> str:
        return protocol.error_context(self.drs_conn_id, subject)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and what ``__init__`` takes."""
        return (
            f"{type(self).__module__}.{type(self).__name__}",
            {
                **self._serialized(),
                "drs_conn_id": self.drs_conn_id,
                "project_id": self.project_id,
                "poke_interval": self.poke_interval,
                "exponential_backoff": self.exponential_backoff,
                "max_wait": self.max_wait,
                "transient_error_timeout": self.transient_error_timeout,
                "silent_fail": self.silent_fail,
                # Left out unless it is set, so that an older triggerer can still load what needs none.
                **({} if self.handover is None else {"handover": self.handover}),
                **self.newer,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until the wait is over and fire one event."""
        try:
            result = await self._until_over()
        except protocol.DrsError as error:  # a connection that cannot be used
            result = protocol.GiveUp(error=error)
        except Exception as error:
            # Left to Airflow, this would skip a task with soft_fail, as if what it waits for had been seen to fail.
            self.log.exception("%s broke", type(self).__name__)
            text = f"the trigger broke: {type(error).__name__}: {protocol.one_line(error)}"
            result = protocol.GiveUp(error=protocol.DrsError(text))
        event = self.event_of(result)
        try:
            fired = await self._to_event(event)
        except Exception:
            self.logger().exception("%s leaves the end to a worker", type(self).__name__)
            fired = TriggerEvent(event)
        if not isinstance(fired, TaskSuccessEvent):  # that one resumes nothing
            await self._until("hold_until")
        yield fired

    async def _until(self, name: str) -> None:
        """Wait for a time that the worker has handed over."""
        at = (self.handover or {}).get(name)
        if at is not None:
            await asyncio.sleep(max(at - time.time(), 0.0))

    def _memory(self, memory: dict[str, Any] | None) -> dict[str, Any]:
        """Return what was seen before: by earlier pokes, or by the worker that deferred."""
        return memory or (self.handover or {}).get("memory") or {}

    async def _until_over(self) -> protocol.PollResult:
        if self.newer:
            raise protocol.DrsError(
                f"this triggerer has version {__version__} of airflow-provider-drs, and the wait was stored by a newer "
                f"one: {', '.join(sorted(self.newer))} is not known here. Nothing was polled. "
                "Upgrade the triggerer, then clear the task"
            )
        wait = self.new_wait(seed=str(id(self)))
        refused: protocol.Settings | None = None
        await self._until("poll_at")
        while True:
            try:
                async with shared_polls(self.drs_conn_id, self.project_id) as polls:
                    settings = polls.client.settings
                    await self._begin(settings)
                    with polls.follow(wait) as follower:
                        result = await self._until_end(follower, polls)
                if isinstance(result, protocol.GiveUp) and polls.stale and settings != refused:
                    # IAM has refused the log-in: before the wait fails, the connection is read anew, once.
                    refused = settings
                    continue
            except protocol.DrsTransientError as error:  # Airflow does not tell the connection now
                result = wait.failed(error, time.time())
                self._tell(result)
            if isinstance(result, protocol.GiveUp):
                if not self.silent_fail or _is_late(result):
                    return result
                # The connection is read anew: to go on with a password that IAM has refused would lock the user out.
                self.logger().log(logging.ERROR, "%s (silent_fail: the wait goes on)", result.error)
            elif not isinstance(result, protocol.KeepPolling):
                return result
            await asyncio.sleep(result.delay)

    async def _until_end(self, follower: Follower, polls: clients.PollStreams) -> protocol.PollResult:
        """Poll until an end, or until the connection is to be read anew."""
        while True:
            result = await follower.next()
            self._tell(result)
            if isinstance(result, protocol.GiveUp) and self.silent_fail and not polls.stale and not _is_late(result):
                self.logger().log(logging.ERROR, "%s (silent_fail: the wait goes on)", result.error)
                follower.again(result.delay)
            elif not isinstance(result, protocol.KeepPolling):
                return result

    def _tell(self, result: protocol.PollResult) -> None:
        for line in result.lines:
            # One logger for all: one of its own weighs 1 KiB.
            self.logger().log(line.level, line.text)
