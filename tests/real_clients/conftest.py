from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_drs.simulator import Job, Simulator
from tests.constants import JOB
from tests.waiting import PATIENCE

REPOSITORY = Path(__file__).resolve().parents[2]
RUNNING = JOB
WAITING, FAILING, ENDED, NOBODY = "waiting", "failing", "ended", "nobody"
RESULTS = {"shop.orders": "CONSISTENT", "shop.items": "INCONSISTENT", "shop.log": "CAN_NOT_COMPARE"}
JOBS = [
    Job(RUNNING, compare_seconds=0, compare_results=RESULTS, start_lasts=600),
    Job(WAITING, status="CONFIGURATION"),
    Job(FAILING, status="INCRE_TRANSFER_FAILED", task_error_code="DRS.M01501", task_error_msg="Service error."),
    Job(ENDED, status="RELEASE_RESOURCE_COMPLETE"),
]


def clients_bin() -> Path:
    """Return where the programs of the clients' environment are; without it the tests fail."""
    path = REPOSITORY / ".venv-clients" / "bin"
    if not path.exists():
        raise FileNotFoundError(f"the clients are not in {path}: run 'make test', which installs them")
    return path


def run_script(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Run a script of this folder in the clients' environment and return what it prints."""
    script = Path(__file__).with_name(name)
    ended = subprocess.run(
        # -I: nothing of the environment that the tests run in.
        [clients_bin() / "python", "-I", script],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={"PATH": os.defpath, "NO_PROXY": "127.0.0.1"},
    )
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


@pytest.fixture(scope="module")
def cloud() -> Iterator[Simulator]:
    with Simulator(jobs=JOBS) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def login(cloud: Simulator) -> dict[str, str]:
    return {
        "auth_url": cloud.auth_url,
        "username": cloud.user,
        "password": cloud.password,
        "user_domain_name": cloud.domain,
        "project_name": cloud.project_name,
        "project_domain_name": cloud.domain,
    }


Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def openstack(cloud: Simulator, login: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """The command ``openstack``; returns the process after it has ended."""
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path_factory.mktemp("home")),
        "NO_PROXY": "127.0.0.1",
        "OS_CACERT": str(cloud.ca_file),
        "OS_IDENTITY_API_VERSION": "3",
        **{f"OS_{name.upper()}": value for name, value in login.items()},
    }

    def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [clients_bin() / "openstack", *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env={**environment, **changes},
        )

    return run
