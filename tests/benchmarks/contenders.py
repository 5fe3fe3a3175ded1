"""Who is measured: this provider's trigger, and what users would pick instead.

A contender is made in the process that is measured. Each is configured as its documentation says, none is patched.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from abc import ABC, abstractmethod
from typing import Any

from tests.benchmarks.jobs import job_id, run_id
from tests.benchmarks.stub.state import PROJECT_ID


class Contender(ABC):
    """Waits for jobs until they are done.

    :param interval: seconds between polls of one job.
    """

    def __init__(self, interval: float) -> None:
        self.interval = interval

    async def open(self) -> None:
        """Make what all waits share, where it is not the contender that does so."""
        return

    async def close(self) -> None:
        """Close it."""
        return

    def stub_job(self, index: int) -> str:
        """Return how the stub names a job."""
        return job_id(index)

    @abstractmethod
    async def wait(self, index: int) -> bool:
        """Wait for a job; return whether what came is that its switchover is complete."""


class BareLoop(Contender):
    """The practical limit: what an engineer writes who needs nothing but this, one session shared by all waits."""

    async def open(self) -> None:
        import aiohttp

        self._base = os.environ["BENCH_STUB"]
        context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=0))
        user = {"name": "bench", "password": "bench", "domain": {"name": "BENCH"}}
        auth = {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "bench"}},
        }
        async with self._session.post(f"{self._base}/v3/auth/tokens", json={"auth": auth}) as response:
            self._token = response.headers["X-Subject-Token"]

    async def close(self) -> None:
        await self._session.close()

    async def wait(self, index: int) -> bool:
        url = f"{self._base}/v3/{PROJECT_ID}/jobs/{job_id(index)}/get-switch-vip-status"
        headers = {
            "X-Auth-Token": self._token,
            "X-Language": "en-us",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        while True:
            async with self._session.get(url, headers=headers) as response:
                response.raise_for_status()
                body = await response.json()
            if body["status"] == "SWITCH_VIP_COMPLETE":
                return True
            if body["status"] == "SWITCH_VIP_FAILED":
                return False
            await asyncio.sleep(self.interval)


class TriggerContender(Contender):
    """A trigger of Airflow, iterated as the triggerer does."""

    @abstractmethod
    def trigger(self, index: int) -> Any:
        """Return the trigger for a job."""

    def is_done(self, event: Any) -> bool:
        """Tell whether an event says that the job is done."""
        return bool(event.payload["status"] == "success")

    async def wait(self, index: int) -> bool:
        done = False
        async for event in self.trigger(index).run():
            done = self.is_done(event)
        return done


class OurTrigger(TriggerContender):
    """``DrsSwitchoverTrigger``."""

    def __init__(self, interval: float) -> None:
        super().__init__(interval)
        from airflow_provider_drs.triggers.drs import DrsSwitchoverTrigger

        self._make = DrsSwitchoverTrigger

    def trigger(self, index: int) -> Any:
        return self._make(job_id=job_id(index), drs_conn_id="drs_bench", poke_interval=self.interval)

    def is_done(self, event: Any) -> bool:
        return bool(event.payload["outcome"] == "done")


class HttpSensorTrigger(TriggerContender):
    """The HTTP sensor's trigger; it fires on any 2xx, so that the stub responds with 404 until the job is done."""

    def __init__(self, interval: float) -> None:
        super().__init__(interval)
        from airflow.providers.http.triggers.http import HttpSensorTrigger as Trigger

        self._make = Trigger

    def trigger(self, index: int) -> Any:
        return self._make(
            endpoint=f"until-done/{job_id(index)}", http_conn_id="http_bench", poke_interval=self.interval
        )

    def is_done(self, event: Any) -> bool:
        return event.payload is True


class HttpEventTrigger(TriggerContender):
    """The HTTP provider's trigger for assets; with a check of the response it can do this very job."""

    def __init__(self, interval: float) -> None:
        super().__init__(interval)
        from airflow.providers.http.triggers.http import HttpEventTrigger as Trigger

        self._make = Trigger

    def trigger(self, index: int) -> Any:
        return self._make(
            response_check_path="tests.benchmarks.response_check.is_complete",
            http_conn_id="http_bench",
            method="GET",
            endpoint=f"v3/{PROJECT_ID}/jobs/{job_id(index)}/get-switch-vip-status",
            poll_interval=self.interval,
        )


class DbtTrigger(TriggerContender):
    """dbt Cloud's trigger, the same kind of wait at another service."""

    def __init__(self, interval: float) -> None:
        super().__init__(interval)
        from airflow.providers.dbt.cloud.triggers.dbt import DbtCloudRunJobTrigger

        self._make = DbtCloudRunJobTrigger

    def stub_job(self, index: int) -> str:
        return str(run_id(index))

    def trigger(self, index: int) -> Any:
        return self._make(
            conn_id="dbt_bench",
            run_id=run_id(index),
            end_time=time.time() + 86400,
            poll_interval=self.interval,
            account_id=1,
        )


CONTENDERS: dict[str, type[Contender]] = {
    "ours": OurTrigger,
    "bare": BareLoop,
    "http_sensor": HttpSensorTrigger,
    "http_event": HttpEventTrigger,
    "dbt": DbtTrigger,
}
TITLES = {
    "ours": "DrsSwitchoverTrigger",
    "bare": "bare shared loop",
    "http_sensor": "HttpSensorTrigger",
    "http_event": "HttpEventTrigger",
    "dbt": "DbtCloudRunJobTrigger",
}
AIRFLOWS = ("http_sensor", "http_event", "dbt")
