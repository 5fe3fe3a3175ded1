"""The relay before a server that counts what reaches it: at a chosen write the server is away, for one run only."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests

from tests.airflow.api_faults import FAULTS
from tests.cluster.relay import ApiRelay, Moment

RUNS = {"a": ("run-1", "cutover.switchover"), "b": ("run-2", "cutover.switchover")}


class Server(BaseHTTPRequestHandler):
    """Takes whatever comes."""

    taken: list[tuple[str, Any]]

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.taken.append((self.path, body))
        self.send_response(204)
        self.end_headers()

    do_POST = do_PUT

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), type("Taking", (Server,), {"taken": []}))
    thread = Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def relay(server: ThreadingHTTPServer) -> Iterator[ApiRelay]:
    with ApiRelay(RUNS.get) as made:
        made.upstream = f"http://127.0.0.1:{server.server_port}"
        yield made


def write(relay: ApiRelay, instance: str, phase: str, key: str = "") -> bool:
    """Save a record, or push one under a key; return whether that was confirmed."""
    claims = base64.urlsafe_b64encode(json.dumps({"sub": instance}).encode()).decode().rstrip("=")
    run, task = RUNS[instance]
    path, body = f"/execution/store/ti/{instance}/drs_switchover", {"value": {"phase": phase}}
    if key:
        path, body = f"/execution/xcoms/dag/{run}/{task}/{key}", {"outcome": phase}  # type: ignore[dict-item]
    with requests.Session() as session:
        session.trust_env = False
        try:
            response = session.request(
                "POST" if key else "PUT", f"{relay.url}{path}", json=body, timeout=10,
                headers={"Authorization": f"Bearer head.{claims}.signature"},
            )  # fmt: skip
        except requests.ConnectionError:
            return False
    return response.ok


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("write_name", "key"), [("saved: accepted", ""), ("switchover: accepted", "switchover")])
def test_at_its_moment_the_server_is_away_for_that_run(
    relay: ApiRelay, server: ThreadingHTTPServer, fault: str, write_name: str, key: str
) -> None:
    taken = server.RequestHandlerClass.taken  # type: ignore[attr-defined]
    relay.plan("run-1", Moment("cutover.switchover", write_name, fault, lasts=3600))
    assert write(relay, "a", "intended", key)
    assert write(relay, "a", "accepted", key) is (fault == "away after")
    assert len(taken) == (1 if fault == "away before" else 2)
    assert not write(relay, "a", "accepted", key)
    assert not write(relay, "a", "done", key)
    assert write(relay, "b", "accepted", key)
    assert len(taken) == (2 if fault == "away before" else 3)


def test_it_comes_back_and_is_away_no_second_time(relay: ApiRelay) -> None:
    moment = Moment("cutover.switchover", "saved: accepted", "away before", lasts=0)
    relay.plan("run-1", moment)
    assert [write(relay, "a", "accepted") for _ in range(3)] == [True, True, True]
    assert moment.hits == 1
    assert moment.writes == ["cutover.switchover saved: accepted"] * 3


def test_another_task_of_the_run_does_not_meet_it(relay: ApiRelay) -> None:
    moment = Moment("back", "saved: accepted", "away before", lasts=3600)
    relay.plan("run-1", moment)
    assert write(relay, "a", "accepted")
    assert not moment.hits


def test_a_cut_relay_serves_nobody(relay: ApiRelay) -> None:
    relay.is_cut = True
    assert not write(relay, "a", "accepted")
    relay.is_cut = False
    assert write(relay, "a", "accepted")
