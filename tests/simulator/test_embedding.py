from __future__ import annotations

import gc
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from airflow_provider_drs.simulator import Job, Simulator
from airflow_provider_drs.simulator.serving.certificates import is_loopback, is_wildcard
from tests.constants import JOB

from .conftest import Api


def test_it_serves_https_on_loopback_by_default(simulator: Simulator) -> None:
    assert simulator.url == f"https://127.0.0.1:{simulator.port}"
    assert simulator.auth_url == f"{simulator.url}/v3"
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(simulator.auth_url, timeout=10)  # its CA is not among the system's


def test_its_files_go_with_it_and_its_journal_stays() -> None:
    simulator = Simulator()
    with simulator:
        ca_file = Path(str(simulator.ca_file))
        assert ca_file.read_text().startswith("-----BEGIN CERTIFICATE-----")
        with Api(simulator).session as session:
            session.get(simulator.auth_url, timeout=10)
    assert not ca_file.parent.exists()
    assert len(simulator.journal) == 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", simulator.port), timeout=10).close()
    with simulator, Api(simulator).session as session:  # and again, on the port it had
        assert session.get(simulator.auth_url, timeout=10).status_code == 200


@pytest.mark.parametrize("tls", [True, False])
def test_it_ends_while_clients_are_connected_and_leaves_nothing_open(tls: bool) -> None:
    with Simulator(tls=tls) as simulator:
        api = Api(simulator)
        api.log_in()
        silent = [socket.create_connection(("127.0.0.1", simulator.port), timeout=10) for _ in range(3)]
    gc.collect()  # what was left open warns now, and warnings are errors
    for connection in silent:
        connection.close()
    api.session.close()


def test_http_has_no_certificate() -> None:
    with Simulator(tls=False) as simulator:
        assert simulator.url.startswith("http://127.0.0.1:")
        assert simulator.ca_file is None
        assert "verify" not in simulator.connection()["extra"]


def test_the_connection_is_ready_for_airflow_and_can_be_changed(simulator: Simulator) -> None:
    assert simulator.connection() == {
        "conn_type": "drs",
        "host": simulator.url,
        "login": "drs-demo",
        "password": "demo-password",
        "extra": {
            "auth_url": simulator.auth_url,
            "domain_name": "OTC-DEMO",
            "project_name": "eu-de_demo",
            "verify": simulator.ca_file,
        },
    }
    changed = simulator.connection(login=None, password=None, token="t", project_name=None, timeout=5)
    assert set(changed) == {"conn_type", "host", "extra"}
    assert set(changed["extra"]) == {"auth_url", "domain_name", "verify", "token", "timeout"}


@pytest.mark.parametrize("host", ["::1", "localhost", "0.0.0.0"])
def test_other_addresses(host: str) -> None:
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    with Simulator(host=host) as simulator, Api(simulator).session as session:
        assert session.get(simulator.auth_url, timeout=10).status_code == 200


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_a_taken_port_is_an_oserror_and_leaves_nothing_behind(simulator: Simulator) -> None:
    second = Simulator(port=simulator.port)
    with pytest.raises(OSError, match="in use"):
        second.start()
    assert not Path(str(second.ca_file)).exists()
    with pytest.raises(RuntimeError, match="is running"):
        simulator.start()


def test_a_long_token_is_read(api: Api) -> None:
    api.token = "M" * 20_000
    assert api.status().json()["error_code"] == "DRS.M00100"


def test_it_needs_no_airflow() -> None:
    program = "import sys, airflow_provider_drs.simulator.__main__; sys.exit('airflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


def test_without_trustme_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(RuntimeError, match="pip install trustme"):
        Simulator().start()


class TestOutsideIam:
    @pytest.fixture
    def outside(self) -> Iterator[Simulator]:
        with Simulator() as running:
            yield running

    @pytest.fixture
    def inside(self, outside: Simulator) -> Iterator[Api]:
        jobs = [Job(JOB, status_script=["SWITCH_VIP_START"])]
        with Simulator(iam=outside.auth_url, iam_verify=outside.ca_file, jobs=jobs) as running:
            api = Api(running)
            with Api(outside).session as session:
                response = session.post(f"{outside.auth_url}/auth/tokens", json=_log_in(outside), timeout=10)
                api.token = response.headers["X-Subject-Token"]
            with api.session:
                yield api

    def test_a_token_is_good_while_the_other_says_so(self, outside: Simulator, inside: Api) -> None:
        assert inside.status().json()["status"] == "SWITCH_VIP_START"
        outside.revoke_tokens()
        assert inside.status().json()["error_code"] == "DRS.M00100"
        asked = outside.calls("validate-token")
        assert [entry.status for entry in asked] == [200, 401]
        assert asked[0].token_id == inside.simulator.journal[0].token_id

    def test_the_projects_must_be_the_same(self, inside: Api) -> None:
        other = inside.request("GET", f"/v3/other/jobs/{JOB}/get-switch-vip-status")
        assert other.json()["error_code"] == "DRS.M00261"

    def test_it_issues_no_tokens_of_its_own(self, outside: Simulator, inside: Api) -> None:
        assert inside.simulator.auth_url == outside.auth_url
        assert inside.simulator.connection()["extra"]["auth_url"] == outside.auth_url
        for method in ("POST", "GET"):
            assert inside.request(method, "/v3/auth/tokens").status_code == 404
        with pytest.raises(RuntimeError, match="outside IAM"):
            inside.simulator.revoke_tokens()
        assert inside.request("POST", "/_sim/revoke").status_code == 400

    def test_an_iam_that_cannot_be_asked_is_an_error_of_the_service(self, outside: Simulator, inside: Api) -> None:
        with outside.down():
            response = inside.status()
        assert (response.status_code, response.json()["error_code"]) == (500, "DRS.M00004")


def _log_in(simulator: Simulator) -> dict[str, object]:
    from .conftest import token_request

    return token_request(simulator)


@pytest.mark.parametrize(
    ("host", "loopback", "wildcard"),
    [
        ("127.0.0.1", True, False),
        ("127.8.8.8", True, False),
        ("::1", True, False),
        ("::ffff:127.0.0.1", True, False),
        ("localhost", True, False),
        ("0.0.0.0", False, True),
        ("::", False, True),
        ("", False, True),
        ("192.0.2.1", False, False),
        ("example.org", False, False),
    ],
)
def test_which_hosts_are_this_machine(host: str, loopback: bool, wildcard: bool) -> None:
    assert (is_loopback(host), is_wildcard(host)) == (loopback, wildcard)
