"""The trigger of an AssetWatcher: one event for each end, also over restarts."""

from __future__ import annotations

import asyncio
import json
import os
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from airflow_provider_drs.simulator import Fault, Job, Simulator
from airflow_provider_drs.triggers import events
from airflow_provider_drs.triggers.events import DrsSwitchoverEventTrigger
from tests.clock import FakeClock
from tests.constants import COMPLETE, FAILED, GET_STATUS, JOB, START


class Store:
    """Stands in for the asset's state store, which only a triggerer has."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    async def aget(self, key: str) -> Any:
        return self.kept.get(key)

    async def aset(self, key: str, value: Any) -> None:
        self.kept[key] = json.loads(json.dumps(value))


class SharedStore(Store):
    async def aget(self, key: str) -> Any:
        raise ValueError("Task has 2 concrete inlets")


def _watch(drs: Simulator, polls: int, store: Store | None = None, **kwargs: Any) -> list[Any]:
    """Run a new trigger, as a restarted triggerer does, for so many polls; return what it fired."""
    trigger = DrsSwitchoverEventTrigger(JOB, **kwargs)
    trigger.asset_state_store = cast("Any", store)
    fired: list[Any] = []
    until = len(drs.calls(GET_STATUS)) + polls

    async def watch() -> None:
        async for event in trigger.run():
            fired.append(event.payload)

    async def watch_for_so_long() -> None:
        watching = asyncio.ensure_future(watch())
        while len(drs.calls(GET_STATUS)) < until and not watching.done():
            await asyncio.sleep(0)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(watch_for_so_long())
    return fired


def _script(drs: Simulator, *statuses: str | None, **more: Any) -> None:
    drs.add_job(Job(JOB, status_script=list(statuses), **more))


pytestmark = pytest.mark.usefixtures("clock")


@pytest.mark.parametrize(
    ("statuses", "outcomes"),
    [
        ([COMPLETE], []),
        (["EMPTY", START, START, COMPLETE], ["done"]),
        ([None, FAILED], ["failed"]),
        ([START, COMPLETE], ["done"]),
        ([COMPLETE, START, START, COMPLETE], ["done"]),
        ([COMPLETE, START, COMPLETE], []),  # so may one read of a start
        ([COMPLETE, FAILED, FAILED, COMPLETE, COMPLETE], ["failed", "done"]),
        ([COMPLETE, FAILED, COMPLETE], []),  # one read that no second one confirms may be stale
        ([COMPLETE, None, COMPLETE], []),
        ([None, START, FAILED, FAILED, START, COMPLETE], ["failed", "done"]),
    ],
)
def test_one_event_for_each_end(statuses: list[str | None], outcomes: list[str], drs: Simulator) -> None:
    _script(drs, *statuses)
    assert [event["outcome"] for event in _watch(drs, len(statuses) + 4)] == outcomes


def test_an_end_that_stands_already_can_count(drs: Simulator) -> None:
    _script(drs, COMPLETE)
    assert len(_watch(drs, 5, fire_for_leftover=True)) == 1


def test_the_event_is_plain_json(drs: Simulator) -> None:
    _script(drs, None, START, FAILED, error_code="DRS.M9", error_msg="in use")
    [event] = _watch(drs, 6)
    assert json.loads(json.dumps(event)) == event
    assert {name: event[name] for name in ("job_id", "outcome", "status", "error_code", "error_msg")} == {
        "job_id": JOB,
        "outcome": "failed",
        "status": FAILED,
        "error_code": "DRS.M9",
        "error_msg": "in use",
    }
    assert [change["status"] for change in event["observed"]] == [None, START, FAILED]
    assert event["seen_at"].endswith("+00:00")


def test_a_restart_fires_nothing_again_and_misses_nothing(drs: Simulator) -> None:
    store = Store()
    _script(drs, None, START, COMPLETE)
    assert len(_watch(drs, 6, store)) == 1
    assert _watch(drs, 3, store) == [], "the same end, seen by another triggerer"

    _script(drs, FAILED)
    assert [event["outcome"] for event in _watch(drs, 3, store)] == ["failed"], "it ended while none was running"

    _script(drs, START)
    assert _watch(drs, 4, store) == []
    _script(drs, FAILED)
    assert [event["outcome"] for event in _watch(drs, 3, store)] == ["failed"], "the start was seen before the restart"


def test_without_a_store_a_restart_begins_anew(drs: Simulator) -> None:
    for store in (None, SharedStore()):
        _script(drs, None, COMPLETE)
        assert len(_watch(drs, 4, store)) == 1
        assert _watch(drs, 3, store) == []


@pytest.mark.parametrize(
    ("fault", "said", "pauses"),
    [
        (Fault.status(503), 0, 0),
        (Fault.no_permission(), 1, 3),
        (Fault.json({"id": "other", "status": START}), 1, 0),
    ],
)
def test_no_error_ends_the_watch(fault: Fault, said: int, pauses: int, drs: Simulator, clock: FakeClock) -> None:
    _script(drs, None, START, COMPLETE)
    drs.fault(GET_STATUS, fault, times=3)
    with capture_logs() as captured:
        fired = _watch(drs, 8)
    assert [event["outcome"] for event in fired] == ["done"]
    errors = [line["event"] for line in captured if line["log_level"] == "error"]
    assert len(errors) == said, "said once"
    assert sum(slept >= 60.0 for slept in clock.slept) == pauses
    assert all(slept >= 2.5 for slept in clock.slept), "it asks no faster than it is to, but for the first time"


def test_it_stores_what_it_takes_and_no_secret(drs: Simulator) -> None:
    from airflow.triggers.base import BaseEventTrigger

    trigger = DrsSwitchoverEventTrigger(JOB, "drs_default", "p", 7.0, False, True)
    path, kwargs = trigger.serialize()
    assert path == "airflow_provider_drs.triggers.events.DrsSwitchoverEventTrigger"
    assert DrsSwitchoverEventTrigger(**json.loads(json.dumps(kwargs))).serialize() == (path, kwargs)
    assert BaseEventTrigger.hash(path, kwargs) == BaseEventTrigger.hash(path, dict(kwargs))
    assert {"password", "token"}.isdisjoint(kwargs)
    assert drs.password not in repr(trigger)


def test_triggers_that_watch_the_same_job_share_its_polls(drs: Simulator, clock: FakeClock) -> None:
    """By way of Airflow's own shared stream; an error reaches all and ends none."""
    from airflow.triggers.shared_stream import SharedStreamManager

    _script(drs, FAILED, FAILED, START, COMPLETE)
    triggers = [DrsSwitchoverEventTrigger(JOB, fire_for_leftover=leftover) for leftover in (False, True)]
    fired: list[list[str]] = [[], []]

    async def watch(number: int, manager: SharedStreamManager) -> None:
        trigger = triggers[number]
        stream = manager.subscribe(trigger_id=number, trigger=trigger, key=trigger.shared_stream_key())
        async for event in trigger.filter_shared_stream(stream):
            fired[number].append(event.payload["outcome"])

    async def main() -> None:
        manager = SharedStreamManager()
        watches = [asyncio.ensure_future(watch(number, manager)) for number in (0, 1)]
        while len(drs.calls(GET_STATUS)) < 2:
            await asyncio.sleep(0)
        drs.fault(GET_STATUS, Fault.no_permission())
        drs.fault(GET_STATUS, Fault.status(503))
        while len(drs.calls(GET_STATUS)) < 10:
            await asyncio.sleep(0)
        assert not any(watching.done() for watching in watches)
        for number, watching in enumerate(watches):
            watching.cancel()
            await manager.unsubscribe(number, triggers[number].shared_stream_key())
        await asyncio.gather(*watches, return_exceptions=True)

    asyncio.run(main())
    assert fired == [["done"], ["failed", "done"]]
    assert len(drs.calls(GET_STATUS)) <= 11, "one poll an interval, not one for each trigger"
    assert len(drs.calls("tokens")) == 1


def test_a_connection_that_is_not_there_is_looked_up_again(drs: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = os.environ.pop("AIRFLOW_CONN_DRS_DEFAULT")
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            monkeypatch.setenv("AIRFLOW_CONN_DRS_DEFAULT", connection)

    monkeypatch.setattr(events, "asyncio", SimpleNamespace(sleep=pause))
    _script(drs, None, START, COMPLETE)
    with capture_logs() as captured:
        assert [event["outcome"] for event in _watch(drs, 5)] == ["done"]
    assert pauses == [60.0, 60.0]
    [error] = [line["event"] for line in captured if line["log_level"] == "error"]
    assert "is not defined" in error


def test_after_a_refused_log_in_the_connection_is_read_anew(drs: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    good = json.loads(os.environ["AIRFLOW_CONN_DRS_DEFAULT"])
    monkeypatch.setenv("AIRFLOW_CONN_DRS_DEFAULT", json.dumps({**good, "password": "of yesterday"}))
    _script(drs, None, START, COMPLETE)

    async def changed_meanwhile(seconds: float) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_DRS_DEFAULT", json.dumps(good))

    monkeypatch.setattr(events, "asyncio", SimpleNamespace(sleep=changed_meanwhile))
    assert [event["outcome"] for event in _watch(drs, 5)] == ["done"]
    assert [entry.status for entry in drs.calls("tokens")] == [401, 201]
