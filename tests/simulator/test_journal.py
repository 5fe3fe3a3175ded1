from __future__ import annotations

import json

import pytest

from airflow_provider_drs.simulator import Simulator
from airflow_provider_drs.simulator.journal import Journal
from tests.clock import FakeClock
from tests.constants import JOB

from .conftest import Api, token_request


def test_an_entry_tells_what_was_asked_and_answered(simulator: Simulator, api: Api, clock: FakeClock) -> None:
    api.request("POST", f"{api.jobs}/{JOB}/switch-vip?why=test", json={"mode": "source"}, headers={"X-Test": "1"})
    entry = simulator.calls("switch-vip")[0]
    assert entry == simulator.journal[-1]
    assert (entry.at, entry.method, entry.status, entry.job_id) == (clock.now, "POST", 202, JOB)
    assert (entry.path, dict(entry.query)) == (f"{api.jobs}/{JOB}/switch-vip", {"why": "test"})
    assert entry.body == {"mode": "source"}
    assert entry.headers["x-test"] == "1"


def test_calls_have_names(simulator: Simulator, api: Api) -> None:
    api.request("GET", "/v3/auth/tokens", headers={"X-Subject-Token": api.token})
    api.list()
    api.switch()
    api.status()
    api.request("GET", "/v3")
    names = ["tokens", "validate-token", "list-jobs", "switch-vip", "get-switch-vip-status", "versions"]
    batch = [
        *("batch-status", "batch-progress", "batch-detail", "create-compare-task", "query-compare-result"),
        *("batch-starting", "batch-pause-task", "batch-retry-task", "batch-jobs"),
    ]
    for name in batch:
        api.call(name, {})
    names += batch
    for path in ("auth/projects", "auth/domains", "auth/catalog"):
        api.request("GET", f"/v3/{path}")
        names.append(path.removeprefix("auth/"))
    api.request("GET", "/v3/nothing")
    api.request("DELETE", "/v3/auth/tokens", headers={"X-Subject-Token": api.token})
    names += ["other", "revoke-token"]
    assert [entry.call for entry in simulator.journal] == names


def test_nothing_secret_is_written_down(simulator: Simulator, api: Api) -> None:
    first = str(api.token)
    api.request("GET", "/v3/auth/tokens", headers={"X-Subject-Token": first, "Authorization": "Basic c2VjcmV0"})
    by_token = {"auth": {"identity": {"methods": ["token"], "token": {"id": first}}}}
    api.log_in(by_token)
    api.token = first
    api.request(
        "POST", f"{api.jobs}?token={first}", json={"password": [simulator.password], "db": {"user_pwd": "p4ss"}}
    )
    api.log_in(token_request(simulator, password="almost-the-password"))
    written = json.dumps([entry.as_dict() for entry in simulator.journal])
    for secret in (simulator.password, first, "almost-the-password", "c2VjcmV0", "p4ss"):
        assert secret not in written
    user = simulator.calls("tokens")[0].body["auth"]["identity"]["password"]["user"]  # type: ignore[index]
    assert user == {"name": simulator.user, "password": "***", "domain": {"name": simulator.domain}}


def test_tokens_can_be_told_apart(simulator: Simulator, api: Api) -> None:
    api.status()
    api.status()
    api.log_in()
    api.status()
    first, second, third = (entry.token_id for entry in simulator.calls("get-switch-vip-status"))
    assert first == second != third
    assert simulator.calls("tokens")[0].token_id is None


def test_wait_for_gives_up(simulator: Simulator) -> None:
    with pytest.raises(TimeoutError, match="0 of 2 calls of tokens"):
        simulator.wait_for("tokens", count=2, timeout=0.01)


def test_the_journal_forgets_the_oldest_beyond_its_limit(simulator: Simulator, api: Api) -> None:
    entry = simulator.journal[0]
    journal = Journal(limit=2)
    places = [journal.add_request(entry) for _ in range(3)]
    for place in places:
        journal.add_status(place, 200 + place)
    assert [kept.status for kept in journal.entries()] == [201, 202]
