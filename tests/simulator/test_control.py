from __future__ import annotations

import socket

import pytest
import requests

from airflow_provider_drs.simulator import Job, Simulator
from tests.constants import JOB

from .conftest import Api


def test_jobs_are_added_and_shown(simulator: Simulator, api: Api) -> None:
    added = api.request("POST", "/_sim/jobs", json={"job_id": "new", "status_script": ["SWITCH_VIP_START"]})
    assert (added.status_code, added.json()) == (201, {"jobs": ["new"]})
    assert api.status("new").json()["status"] == "SWITCH_VIP_START"
    assert api.request("POST", "/_sim/jobs", json=[{"job_id": "b"}, {"job_id": "c"}]).status_code == 201
    api.switch("b", "target")
    jobs = {job["job_id"]: job for job in api.request("GET", "/_sim/jobs").json()["jobs"]}
    assert set(jobs) == {JOB, "new", "b", "c"}
    assert jobs["b"].pop("switched") == ["target"]
    assert jobs["b"].pop("controlled") == []
    assert Job.from_dict(jobs["b"]) == Job("b")


def test_a_job_with_every_kind_of_field_survives_json(api: Api) -> None:
    job = Job(
        "all",
        task_status_series=[(0, "CONFIGURATION"), (1.5, None)],
        lag_script=[3, "-1", None],
        transition=["STARTJOBING"],
        compare_results={"a.b": "INCONSISTENT"},
        status_after_switch=["SWITCH_VIP_START", None],
    )
    assert api.request("POST", "/_sim/jobs", json=job.as_dict()).status_code == 201
    api.call("batch-jobs", {"jobs": [{"job_id": "all", "delete_type": "terminate"}]})
    shown = {job["job_id"]: job for job in api.request("GET", "/_sim/jobs").json()["jobs"]}["all"]
    assert (shown.pop("switched"), shown.pop("controlled")) == ([], ["terminate"])
    assert Job.from_dict(shown) == job


def test_faults_are_added_and_cleared(api: Api) -> None:
    fault = {"call": "get-switch-vip-status", "name": "too_many", "retry_after": 7, "times": None}
    assert api.request("POST", "/_sim/faults", json=fault).status_code == 201
    assert api.status().headers["Retry-After"] == "7"
    assert api.request("DELETE", "/_sim/faults").status_code == 204
    assert api.status().status_code == 422


def test_tokens_are_revoked(api: Api) -> None:
    assert api.request("POST", "/_sim/revoke").status_code == 204
    assert api.status().json()["error_code"] == "DRS.M00100"


def test_the_journal_is_read_and_does_not_list_the_control_api(api: Api) -> None:
    api.status()
    everything = api.request("GET", "/_sim/journal").json()["entries"]
    assert [entry["call"] for entry in everything] == ["tokens", "get-switch-vip-status"]
    one = api.request("GET", "/_sim/journal?call=tokens").json()["entries"]
    assert [entry["status"] for entry in one] == [201]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "jobs", b"{", 400),
        ("POST", "jobs", b"[1]", 400),
        ("POST", "jobs", b'{"job_id": "a", "colour": "red"}', 400),
        ("POST", "faults", b'{"call": "tokens", "name": "nothing"}', 400),
        ("POST", "faults", b'{"call": "tokens", "name": "reset", "times": 0}', 400),
        ("POST", "faults", b'{"call": "tokens", "name": "status", "colour": 1}', 400),
        ("POST", "faults", b'{"call": "tokens", "name": ["reset"]}', 400),
        ("DELETE", "jobs", b"", 405),
        ("GET", "nothing", b"", 404),
    ],
)
def test_what_is_wrong_is_said(api: Api, method: str, path: str, body: bytes, status: int) -> None:
    response = api.request(method, f"/_sim/{path}", data=body)
    assert response.status_code == status
    assert response.json()["error"]


def own_address() -> str | None:
    """An address of this machine that is not loopback; found without sending anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
        return None if address.startswith("127.") else address


def test_only_loopback_peers_are_answered() -> None:
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    with Simulator(tls=False, host="0.0.0.0") as simulator, requests.Session() as session:
        session.trust_env = False
        assert session.get(f"{simulator.url}/_sim/jobs", timeout=10).status_code == 200
        assert session.get(f"http://{address}:{simulator.port}/_sim/jobs", timeout=10).status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "OWN"}, 200),
        ({"Host": "localhost:PORT"}, 200),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "elsewhere.example:PORT"}, 403),
    ],
)
@pytest.mark.parametrize(("path", "accept"), [("/_sim/jobs", "*/*"), ("/", "text/html")])
def test_pages_of_other_sites_cannot_use_it(
    simulator: Simulator, api: Api, headers: dict[str, str], status: int, path: str, accept: str
) -> None:
    def filled(value: str) -> str:
        return value.replace("OWN", simulator.url).replace("PORT", str(simulator.port))

    sent = {name: filled(value) for name, value in headers.items()}
    assert api.request("GET", path, headers={"Accept": accept, **sent}).status_code == status


def test_the_page_for_a_browser_shows_jobs_and_requests(simulator: Simulator, api: Api) -> None:
    simulator.add_job(Job("<script>alert(1)</script>"))
    api.switch(JOB, "target")
    page = api.request("GET", f"/?job={JOB}", headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert f'<tr class="chosen"><td>{JOB}</td>' in page.text
    assert ("<td>target</td>" in page.text, "<td>switch-vip</td>" in page.text) == (True, True)
    assert ("<script>" in page.text, "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text) == (False, True)
    assert simulator.password not in page.text
    assert not [token for token in simulator.issued_tokens() if token in page.text]
    versions = api.request("GET", "/", headers={"Accept": "application/json"})
    assert (versions.status_code, "versions" in versions.json()) == (300, True), "a client of IAM still finds it"
