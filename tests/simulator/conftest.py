from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_drs.simulator import Job, Simulator
from tests.clock import FakeClock
from tests.constants import JOB


class Api:
    """Calls a simulator over HTTP(S) as a client does, verifying its certificate."""

    def __init__(self, simulator: Simulator, token: str | None = None) -> None:
        self.simulator = simulator
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = simulator.ca_file or True
        self.token = token

    def request(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("timeout", 10)
        kwargs.setdefault("allow_redirects", False)
        headers = {"X-Auth-Token": self.token, **kwargs.pop("headers", {})}
        return self.session.request(method, self.simulator.url + path, headers=headers, **kwargs)

    def log_in(self, body: object = None) -> requests.Response:
        response = self.session.post(
            f"{self.simulator.auth_url}/auth/tokens", json=body or token_request(self.simulator), timeout=10
        )
        self.token = response.headers.get("X-Subject-Token")
        return response

    def status(self, job_id: str = JOB, **kwargs: Any) -> requests.Response:
        return self.request("GET", f"{self.jobs}/{job_id}/get-switch-vip-status", **kwargs)

    def switch(self, job_id: str = JOB, mode: object = "source") -> requests.Response:
        return self.request("POST", f"{self.jobs}/{job_id}/switch-vip", json={"mode": mode})

    def list(self, **body: object) -> requests.Response:
        return self.request("POST", self.jobs, json={"cur_page": 1, "per_page": 10, "db_use_type": "sync", **body})

    def call(self, name: str, body: object, **kwargs: Any) -> requests.Response:
        """A call that names no job in its path."""
        method = "DELETE" if name == "batch-jobs" else "POST"
        return self.request(method, f"{self.jobs}/{name}", json=body, **kwargs)

    def task_status(self, job_id: str = JOB) -> str | None:
        """What batch-status shows as a job's status."""
        return self.call("batch-status", {"jobs": [job_id]}).json()["results"][0]["status"]

    def lag(self, job_id: str = JOB) -> str | None:
        """What batch-progress shows as a job's lag."""
        return self.call("batch-progress", {"jobs": [job_id]}).json()["results"][0]["incre_trans_delay"]

    @property
    def jobs(self) -> str:
        return f"/v3/{self.simulator.project_id}/jobs"


def token_request(simulator: Simulator, scope: object = None, **user: object) -> dict[str, object]:
    who = {"name": simulator.user, "password": simulator.password, "domain": {"name": simulator.domain}, **user}
    who = {key: value for key, value in who.items() if value is not None}
    return {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": who}},
            "scope": scope or {"project": {"name": simulator.project_name}},
        }
    }


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def simulator(clock: FakeClock) -> Iterator[Simulator]:
    with Simulator(jobs=[Job(JOB)], clock=clock) as running:
        yield running


@pytest.fixture
def api(simulator: Simulator) -> Iterator[Api]:
    made = Api(simulator)
    made.log_in()
    with made.session:
        yield made
