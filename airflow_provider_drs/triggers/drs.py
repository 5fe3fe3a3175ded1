"""The trigger: waits for a switchover in the triggerer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_drs.hooks.drs import DrsHook, shared_async_client

if TYPE_CHECKING:
    from airflow_provider_drs.protocol.waiting import SwitchoverWait, Verdict


class DrsSwitchoverTrigger(BaseTrigger):
    """Waits until DRS says that a job's switchover is complete or failed, and fires one event.

    It only ever reads: neither its end nor its removal changes anything at DRS. What it stores holds no secret.

    :param job_id: the job.
    :param drs_conn_id: id of the connection.
    :param project_id: project to work in, instead of the connection's.
    :param poke_interval: seconds between polls.
    :param exponential_backoff: let the interval grow from poll to poll.
    :param max_wait: seconds it may grow to.
    :param transient_error_timeout: seconds of trouble without one good answer after which to give up.
    :param verify_job_id: fail when the answer is about another job.
    :param silent_fail: log errors that would end the wait, and go on.

    The event is plain JSON: ``{"outcome": "done", "result": {...}}`` with the task's XCom, ``{"outcome": "failed",
    "switchover": {job_id, error_code, error_msg}}``, or ``{"outcome": "error", "error": {...}}``.
    """

    supports_triggerer_queue = True

    def __init__(
        self,
        job_id: str,
        drs_conn_id: str = DrsHook.default_conn_name,
        project_id: str | None = None,
        poke_interval: float = 5.0,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        transient_error_timeout: float = 900.0,
        verify_job_id: bool = True,
        silent_fail: bool = False,
    ) -> None:
        super().__init__()
        self.job_id = job_id
        self.drs_conn_id = drs_conn_id
        self.project_id = project_id
        self.poke_interval = poke_interval
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.transient_error_timeout = transient_error_timeout
        self.verify_job_id = verify_job_id
        self.silent_fail = silent_fail

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and what :meth:`__init__` takes."""
        return (
            f"{type(self).__module__}.{type(self).__name__}",
            {
                "job_id": self.job_id,
                "drs_conn_id": self.drs_conn_id,
                "project_id": self.project_id,
                "poke_interval": self.poke_interval,
                "exponential_backoff": self.exponential_backoff,
                "max_wait": self.max_wait,
                "transient_error_timeout": self.transient_error_timeout,
                "verify_job_id": self.verify_job_id,
                "silent_fail": self.silent_fail,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until the wait is over and fire one event."""
        from airflow_provider_drs.protocol.errors import DrsError, readable
        from airflow_provider_drs.protocol.waiting import GiveUp

        try:
            event = await self._wait()
        except DrsError as error:  # a connection that cannot be used
            event = GiveUp(error=error).event()
        except Exception as error:
            # Left to Airflow, this would skip a task with soft_fail, as if the switchover had been seen to fail.
            self.log.exception("The wait for job %s broke", self.job_id)
            broken = DrsError(f"the trigger broke: {type(error).__name__}: {readable(error)}")
            event = GiveUp(error=broken).event()
        yield TriggerEvent(event)

    async def _wait(self) -> dict[str, Any]:
        from airflow_provider_drs.protocol.calls import about_job
        from airflow_provider_drs.protocol.settings import where
        from airflow_provider_drs.protocol.waiting import GiveUp, Pace, SwitchoverWait, Wait

        seed = f"{self.job_id}#{id(self)}"
        wait = SwitchoverWait(
            self.job_id,
            Pace(self.poke_interval, self.exponential_backoff, self.max_wait, seed),
            verify_job_id=self.verify_job_id,
            transient_error_timeout=self.transient_error_timeout,
            where=where(self.drs_conn_id, about_job(self.job_id)),
        )
        async with shared_async_client(self.drs_conn_id, self.project_id) as client:
            while True:
                verdict = await self._poll(client, wait)
                for line in verdict.lines:
                    self.log.log(line.level, line.text)
                if isinstance(verdict, GiveUp) and self.silent_fail:
                    self.log.log(logging.ERROR, "%s (silent_fail: the wait goes on)", verdict.error)
                elif not isinstance(verdict, Wait):
                    return verdict.event()
                await asyncio.sleep(verdict.delay)

    async def _poll(self, client: Any, wait: SwitchoverWait) -> Verdict:
        from airflow_provider_drs.protocol.calls import get_switchover_status
        from airflow_provider_drs.protocol.errors import DrsError

        try:
            reply = await client.call(get_switchover_status(self.job_id))
        except DrsError as error:
            return wait.failed(error, time.time())
        return wait.answered(reply, time.time())
