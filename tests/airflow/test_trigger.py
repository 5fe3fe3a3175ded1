"""The trigger: what it stores, that all of a process share one client, and that nothing it does changes anything."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest
from structlog.testing import capture_logs

from airflow_provider_drs.protocol.switchover.phases import Phase
from airflow_provider_drs.protocol.switchover.record import Record
from airflow_provider_drs.simulator import Fault, Job, Simulator
from airflow_provider_drs.triggers import base
from airflow_provider_drs.triggers.drs import DrsSwitchoverTrigger
from tests.clock import FakeClock
from tests.constants import GET_STATUS, JOB, numbered_job


async def _events(*triggers: DrsSwitchoverTrigger) -> list[Any]:
    async def first(trigger: DrsSwitchoverTrigger) -> list[Any]:
        return [event.payload async for event in trigger.run()]

    return await asyncio.gather(*(first(trigger) for trigger in triggers))


def test_it_stores_what_it_takes_and_no_secret(drs: Simulator) -> None:
    trigger = DrsSwitchoverTrigger(
        JOB,
        poke_interval=7.0,
        exponential_backoff=True,
        max_wait=60.0,
        transient_error_timeout=30.0,
        verify_job_id=False,
        silent_fail=True,
    )
    path, kwargs = trigger.serialize()
    assert path == "airflow_provider_drs.triggers.drs.DrsSwitchoverTrigger"
    assert DrsSwitchoverTrigger(**json.loads(json.dumps(kwargs))).serialize() == (path, kwargs)
    assert drs.password not in repr(trigger)
    assert {"password", "token"}.isdisjoint(kwargs)


def test_what_version_0_1_stored_still_loads() -> None:
    """Stored triggers outlive an upgrade: this row stands in somebody's database."""
    stored: dict[str, Any] = {
        "job_id": JOB,
        "drs_conn_id": "drs_default",
        "project_id": None,
        "poke_interval": 5.0,
        "exponential_backoff": False,
        "max_wait": None,
        "transient_error_timeout": 900.0,
        "verify_job_id": True,
        "silent_fail": False,
    }
    assert stored.items() <= DrsSwitchoverTrigger(**stored).serialize()[1].items()


def test_what_needs_nothing_new_can_be_loaded_by_a_triggerer_of_version_0_1() -> None:
    """While an upgrade goes on, a worker is ahead of a triggerer."""
    known = {
        *("job_id", "drs_conn_id", "project_id", "poke_interval", "exponential_backoff", "max_wait"),
        *("transient_error_timeout", "verify_job_id", "silent_fail", "freshness", "record", "deadline"),
    }
    assert set(DrsSwitchoverTrigger(JOB).serialize()[1]) == known
    stored = DrsSwitchoverTrigger(JOB, end_from_trigger=None, started_here=True).serialize()[1]
    assert (stored["end_from_trigger"], stored["started_here"]) == (None, True)


def test_a_hundred_triggers_share_look_up_token_and_connections(
    drs: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_drs.triggers import shared

    looked_up = []
    look_up = shared.get_async_connection

    async def counted(conn_id: str) -> Any:
        looked_up.append(conn_id)
        return await look_up(conn_id)

    monkeypatch.setattr(shared, "get_async_connection", counted)
    jobs = [f"{JOB[:-3]}{n:03}" for n in range(100)]
    for job in jobs:
        drs.add_job(Job(job, status_script=["SWITCH_VIP_START", "SWITCH_VIP_COMPLETE"]))
    events = asyncio.run(_events(*(DrsSwitchoverTrigger(job, poke_interval=0.2) for job in jobs)))
    assert [event[0]["result"]["job_id"] for event in events] == jobs
    assert looked_up == ["drs_default"]
    assert len(drs.calls("tokens")) == 1
    assert len(drs.calls(GET_STATUS)) == 200


def test_it_fires_once_and_ends(drs: Simulator) -> None:
    drs.add_job(Job(JOB, status_script=["SWITCH_VIP_FAILED"], error_code="E", error_msg="M"))
    assert asyncio.run(_events(DrsSwitchoverTrigger(JOB))) == [
        [{"outcome": "failed", "switchover": {"job_id": JOB, "error_code": "E", "error_msg": "M"}, "seen": ANY}]
    ]


def test_a_bug_of_ours_is_an_error_not_a_skipped_task(drs: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_drs.clients.async_client import AsyncDrsClient
    from airflow_provider_drs.protocol.switchover.wait import SwitchoverWait

    drs.add_job(Job(JOB, status_script=["SWITCH_VIP_COMPLETE"]))
    broken: list[tuple[type, str]] = [(SwitchoverWait, "take"), (SwitchoverWait, "query"), (AsyncDrsClient, "call")]
    for kind, method in broken:
        with monkeypatch.context() as patch:
            patch.setattr(kind, method, lambda *args: 1 / 0)
            [[event]] = asyncio.run(_events(DrsSwitchoverTrigger(JOB)))
        assert event["outcome"] == "error"
        assert "ZeroDivisionError" in event["error"]["message"]


def test_its_end_changes_nothing_at_drs(drs: Simulator) -> None:
    drs.add_job(Job(JOB, status_script=["SWITCH_VIP_START"]))

    async def cut_short() -> None:
        trigger = DrsSwitchoverTrigger(JOB, poke_interval=0.05)
        wait = asyncio.ensure_future(_events(trigger))
        await asyncio.to_thread(drs.wait_for, GET_STATUS, 3)
        wait.cancel()
        await asyncio.gather(wait, return_exceptions=True)
        await trigger.cleanup()
        await trigger.on_kill()

    asyncio.run(cut_short())
    assert {entry.call for entry in drs.journal} == {"tokens", GET_STATUS}


@pytest.mark.parametrize("of_an_operator", [True, False])
def test_a_cancelled_wait_says_that_the_switchover_goes_on(of_an_operator: bool, drs: Simulator) -> None:
    """A person who marks a deferred task has not stopped anything at DRS."""
    accepted = Record(JOB, "target", phase=Phase.ACCEPTED, posted_at=time.time(), accepted_at=time.time())
    record = accepted.to_dict() if of_an_operator else None
    drs.add_job(Job(JOB, status_script=["SWITCH_VIP_START"]))

    async def cancelled() -> None:
        wait = asyncio.ensure_future(_events(DrsSwitchoverTrigger(JOB, poke_interval=0.05, record=record)))
        await asyncio.to_thread(drs.wait_for, GET_STATUS, 2)
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait

    with capture_logs() as captured:
        asyncio.run(cancelled())
    told = [line for line in captured if "it goes on at DRS" in str(line["event"])]
    assert len(told) == (1 if of_an_operator else 0)
    assert all(line["log_level"] == "warning" for line in told)


def test_a_wait_that_goes_on_after_a_refused_log_in_reads_the_connection_anew(
    drs: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old password, tried again and again, would lock the user out."""
    good = json.loads(os.environ["AIRFLOW_CONN_DRS_DEFAULT"])
    monkeypatch.setenv("AIRFLOW_CONN_DRS_DEFAULT", json.dumps({**good, "password": "of yesterday"}))
    drs.add_job(Job(JOB, status_script=["SWITCH_VIP_COMPLETE"]))

    async def changed_meanwhile(seconds: float) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_DRS_DEFAULT", json.dumps(good))

    monkeypatch.setattr(base, "asyncio", SimpleNamespace(sleep=changed_meanwhile, shield=asyncio.shield))
    [[event]] = asyncio.run(_events(DrsSwitchoverTrigger(JOB, silent_fail=True)))
    assert event["outcome"] == "done"
    assert [entry.status for entry in drs.calls("tokens")] == [401, 201]


# Many waits, one IAM


def _many_waits(drs: Simulator, between: Callable[[], None], count: int = 300, **kwargs: Any) -> list[Any]:
    """Let many waits go on through what happens ``between`` two of their polls; return their events."""
    jobs = [numbered_job(n) for n in range(count)]
    for job in jobs:
        drs.add_job(Job(job, status_script=["SWITCH_VIP_START", "SWITCH_VIP_START", "SWITCH_VIP_COMPLETE"]))

    async def main() -> list[Any]:
        waits = asyncio.ensure_future(
            _events(*(DrsSwitchoverTrigger(job, poke_interval=0.5, **kwargs) for job in jobs))
        )
        await asyncio.to_thread(drs.wait_for, GET_STATUS, count)
        between()
        return [events[0] for events in await waits]

    return asyncio.run(main())


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was looked up of Airflow's connections."""
    from airflow_provider_drs.triggers import shared

    seen: list[str] = []
    look_up = shared.get_async_connection

    async def counted(conn_id: str) -> Any:
        seen.append(conn_id)
        return await look_up(conn_id)

    monkeypatch.setattr(shared, "get_async_connection", counted)
    return seen


@pytest.mark.parametrize("connection_is_right", [True, False])
def test_a_password_that_is_rotated_goes_out_once(
    connection_is_right: bool, drs: Simulator, looked_up: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def rotate() -> None:
        if connection_is_right:  # before a wait can find the other one refused
            connection = {**drs.connection(), "password": "of tomorrow"}
            monkeypatch.setenv("AIRFLOW_CONN_DRS_DEFAULT", json.dumps(connection))
        drs.change_password("of tomorrow")

    ended = _many_waits(drs, rotate)
    log_ins = [entry.status for entry in drs.calls("tokens")]
    if connection_is_right:
        assert {event["outcome"] for event in ended} == {"done"}
        assert log_ins == [201, 401, 201]
    else:
        assert {event["error"]["type"] for event in ended} == {"DrsAuthenticationError"}
        assert log_ins == [201, 401]
    # Before it fails, each wait has the connection read anew; those that come at once share that.
    assert len(looked_up) < 100


def test_an_iam_in_trouble_is_asked_once_per_pause_not_once_per_wait(drs: Simulator) -> None:
    def trouble() -> None:
        drs.fault("tokens", Fault.status(503), times=2)
        drs.revoke_tokens()

    ended = _many_waits(drs, trouble)
    assert {event["outcome"] for event in ended} == {"done"}
    assert [entry.status for entry in drs.calls("tokens")] == [201, 503, 503, 201]


@pytest.mark.parametrize("for_good", [False, True])
def test_a_look_up_that_fails_is_trouble_like_any_other(
    for_good: bool, drs: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_drs.triggers import shared

    look_up, failures = shared.get_async_connection, list[str]()

    async def flaky(conn_id: str) -> Any:
        if for_good or not failures:
            failures.append(conn_id)
            raise RuntimeError("the API server is away; it said 's3cret'")
        return await look_up(conn_id)

    async def no_time(seconds: float) -> None:
        clock.sleep(seconds)

    clock = FakeClock(time.time())
    monkeypatch.setattr(shared, "get_async_connection", flaky)
    monkeypatch.setattr(base, "time", clock)
    monkeypatch.setattr(base, "asyncio", SimpleNamespace(sleep=no_time, shield=asyncio.shield))
    drs.add_job(Job(JOB, status_script=["SWITCH_VIP_COMPLETE"]))
    with capture_logs() as captured:
        events = asyncio.run(_events(*(DrsSwitchoverTrigger(JOB) for _ in range(10))))
    told = [str(line["event"]) for line in captured if line["log_level"] == "warning"]
    assert len(told) == 10
    assert told[0].startswith(
        "Airflow does not tell what this connection holds: RuntimeError [Connection 'drs_default']. Polling more slowly"
    )
    if for_good:
        assert {event["error"]["type"] for [event] in events} == {"DrsUnavailableError"}
        assert clock.now - clock.started >= 900
        assert "s3cret" not in json.dumps(events)
    else:
        assert {event["outcome"] for [event] in events} == {"done"}
        assert len(failures) == 1
