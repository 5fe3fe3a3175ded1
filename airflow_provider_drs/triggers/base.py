"""What all triggers of this provider do alike: poll over the shared client, log, fire one event."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_drs.hooks.drs import DrsHook, shared_polls

if TYPE_CHECKING:
    from airflow_provider_drs.clients.polling.follower import Pollable
    from airflow_provider_drs.protocol.polling import Pace
    from airflow_provider_drs.protocol.settings import Settings


class DrsTrigger(BaseTrigger):
    """Base of the triggers. They only ever read: neither their end nor their removal changes anything at DRS.

    :param drs_conn_id: id of the connection.
    :param project_id: project to work in, instead of the connection's.
    :param poke_interval: seconds between polls.
    :param exponential_backoff: let the interval grow from poll to poll.
    :param max_wait: seconds it may grow to.
    :param transient_error_timeout: seconds of trouble without one good answer after which to give up.
    :param silent_fail: log errors that would end the wait, and go on.

    Whatever goes wrong is an event too, ``{"outcome": "error", "error": {...}}``, so that the task ends as it would in
    poke mode.
    """

    supports_triggerer_queue = True

    def __init__(
        self,
        drs_conn_id: str = DrsHook.default_conn_name,
        project_id: str | None = None,
        poke_interval: float = 5.0,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        transient_error_timeout: float = 900.0,
        silent_fail: bool = False,
    ) -> None:
        super().__init__()
        self.drs_conn_id = drs_conn_id
        self.project_id = project_id
        self.poke_interval = poke_interval
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.transient_error_timeout = transient_error_timeout
        self.silent_fail = silent_fail

    @abstractmethod
    def _serialized(self) -> dict[str, Any]:
        """Return the arguments of the kind of wait, beside those of this class; plain JSON, no secret."""

    def _echo(self) -> dict[str, Any]:
        """Return what every event of this trigger holds besides its outcome."""
        return {}

    async def _begin(self, settings: Settings) -> None:
        """Do what is to be done before the first poll."""

    async def _to_event(self, event: dict[str, Any]) -> TriggerEvent:
        """Return what is fired for ``event``."""
        return TriggerEvent(event)

    async def _push(self, key: str, value: Any) -> bool:
        """Write down an XCom of the task, as a worker would; tell whether that went well."""
        from airflow.providers.common.compat.sdk import XCom
        from asgiref.sync import sync_to_async

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
    def _new_wait(self, pace: Pace) -> Pollable:
        """Return the state machine of this wait."""

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
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until the wait is over and fire one event."""
        from airflow_provider_drs.protocol.errors import DrsError, one_line
        from airflow_provider_drs.protocol.polling import GiveUp

        try:
            event = await self._until_over()
        except DrsError as error:  # a connection that cannot be used
            event = GiveUp(error=error).event()
        except Exception as error:
            # Left to Airflow, this would skip a task with soft_fail, as if what it waits for had been seen to fail.
            self.log.exception("%s broke", type(self).__name__)
            broken = DrsError(f"the trigger broke: {type(error).__name__}: {one_line(error)}")
            event = GiveUp(error=broken).event()
        event = {**event, **self._echo()}
        try:
            fired = await self._to_event(event)
        except Exception:
            self.logger().exception("%s leaves the end to a worker", type(self).__name__)
            fired = TriggerEvent(event)
        yield fired

    async def _until_over(self) -> dict[str, Any]:
        from airflow_provider_drs.protocol.polling import GiveUp, KeepPolling, Pace

        wait = self._new_wait(Pace(self.poke_interval, self.exponential_backoff, self.max_wait, str(id(self))))
        while True:
            async with shared_polls(self.drs_conn_id, self.project_id) as polls:
                await self._begin(polls.client.settings)
                with polls.follow(wait) as follower:
                    while True:
                        verdict = await follower.next()
                        for line in verdict.lines:
                            # One logger for all: one of its own weighs 1 KiB.
                            self.logger().log(line.level, line.text)
                        if isinstance(verdict, GiveUp) and self.silent_fail:
                            self.logger().log(logging.ERROR, "%s (silent_fail: the wait goes on)", verdict.error)
                            if polls.stale:
                                break
                            follower.again(verdict.delay)
                        elif not isinstance(verdict, KeepPolling):
                            return verdict.event()
            # The connection is read anew: to go on with a password that IAM has refused would lock the user out.
            await asyncio.sleep(verdict.delay)
