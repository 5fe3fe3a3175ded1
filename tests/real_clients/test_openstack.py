"""OpenStack's SDK with OTC's extensions, and its command line, against the simulator over TLS."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_drs.simulator import Simulator

from .conftest import RUNNING, Cli, run_script


@pytest.fixture(scope="module")
def told(cloud: Simulator, login: dict[str, str]) -> dict[str, Any]:
    """What the SDK read."""
    given = {"auth": login, "ca_file": cloud.ca_file, "job_id": RUNNING, "root": f"{cloud.url}/"}
    return run_script("openstack_sdk.py", given)


def test_the_sdk_finds_its_project_and_the_services(told: dict[str, Any], cloud: Simulator) -> None:
    assert told["projects"] == [cloud.project_name]
    assert told["found"] == cloud.project_id
    assert told["user_projects"] == [cloud.project_id]
    assert told["catalog"] == ["drs", "iam", "identity"]
    assert told["drs"] == f"{cloud.url}/v3/{cloud.project_id}"
    assert told["versions"] == ["v3.14"]


def test_the_sdk_switches_and_stops_a_job(told: dict[str, Any], cloud: Simulator) -> None:
    assert told["switch-vip"] == [202, {"id": RUNNING, "status": "success"}]
    assert told["get-switch-vip-status"] == [200, {"id": RUNNING, "status": "SWITCH_VIP_START"}]
    assert told["batch-jobs"] == [202, {"count": 1, "results": [{"id": RUNNING, "status": "success"}]}]
    assert (cloud.switched(RUNNING), cloud.controlled(RUNNING)) == (["target"], ["terminate"])


def test_the_sdk_revokes_its_token(told: dict[str, Any]) -> None:
    assert (told["revoke"], told["after revocation"]) == (204, 403)


def listed(openstack: Cli, *arguments: str) -> Any:
    ended = openstack(*arguments, "-f", "json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_the_command_issues_and_revokes_a_token(openstack: Cli, cloud: Simulator) -> None:
    issued = listed(openstack, "token", "issue")
    assert (issued["id"], issued["project_id"]) == (cloud.issued_tokens()[-1], cloud.project_id)
    before = len(cloud.calls("revoke-token"))
    revoked = openstack("token", "revoke", issued["id"])
    assert (revoked.returncode, revoked.stderr) == (0, "")
    assert [entry.status for entry in cloud.calls("revoke-token")[before:]] == [204]


def test_the_command_is_refused_with_a_wrong_password(openstack: Cli) -> None:
    refused = openstack("token", "issue", OS_PASSWORD="wrong")
    assert refused.returncode == 1
    assert "The request you have made requires authentication. (HTTP 401)" in refused.stderr


def test_the_command_lists_projects(openstack: Cli, cloud: Simulator) -> None:
    project = {"ID": cloud.project_id, "Name": cloud.project_name}
    assert listed(openstack, "project", "list") == [project]
    assert listed(openstack, "project", "list", "--my-projects") == [project]


def test_the_command_lists_the_catalog(openstack: Cli, cloud: Simulator) -> None:
    urls = {service["Type"]: service["Endpoints"][0]["url"] for service in listed(openstack, "catalog", "list")}
    assert urls == {
        "drs": f"{cloud.url}/v3/{cloud.project_id}",
        "iam": cloud.auth_url,
        "identity": cloud.auth_url,
    }
