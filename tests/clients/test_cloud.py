"""An entry of clouds.yaml, and the variables OS_*, read by openstacksdk's own loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_drs.clients import cloud
from airflow_provider_drs.clients.cloud import read_cloud
from airflow_provider_drs.protocol.errors import DrsAuthenticationError, DrsConfigError
from airflow_provider_drs.protocol.settings import Settings, read_settings
from airflow_provider_drs.simulator import Simulator

from .helpers import ASK, STARTED, Connect, refused


@pytest.fixture
def login(simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return what logs in; ``clouds.yaml`` has it as "mine", and as "other" with a wrong password."""
    auth = {
        "auth_url": simulator.auth_url,
        "username": simulator.user,
        "password": simulator.password,
        "user_domain_name": simulator.domain,
        "project_name": simulator.project_name,
        "project_domain_name": simulator.domain,
    }
    otc = {**auth, "auth_url": "https://iam.eu-de.otc.t-systems.com/v3"}
    huawei = {**auth, "auth_url": "https://iam.ap-southeast-1.myhuaweicloud.com/v3"}
    clouds = {
        "mine": {"auth": auth, "cacert": simulator.ca_file},
        "other": {"auth": {**auth, "password": "wrong-password"}, "cacert": simulator.ca_file},
        "otc": {"auth": otc, "region_name": "eu-de"},
        "huawei": {"auth": huawei, "region_name": "ap-southeast-1"},
        "certified": {"auth": auth, "cert": "me.pem", "key": "me.key"},
        "open": {"auth": auth, "verify": False},
    }
    (tmp_path / "clouds.yaml").write_text(json.dumps({"clouds": clouds}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    return auth


def settings(simulator: Simulator, name: str, password: str | None = None, **extra: Any) -> Settings:
    extra = {"cloud": name, **extra}
    return read_settings("drs_test", host=simulator.url, password=password, extra=extra, from_cloud=read_cloud(name))


def test_an_entry_logs_in_and_fields_of_the_connection_win(
    simulator: Simulator, login: dict[str, str], connect: Connect
) -> None:
    assert connect(settings(simulator, "mine")).call(ASK) == STARTED
    assert connect(settings(simulator, "mine", project_id=simulator.project_id)).call(ASK) == STARTED
    assert connect(settings(simulator, "other", password=simulator.password)).call(ASK) == STARTED
    error = refused(connect, settings(simulator, "other"))
    assert type(error) is DrsAuthenticationError
    assert "check Cloud (cloud)" in str(error)
    assert "wrong-password" not in str(error)


def test_the_variables_of_openstack_log_in(
    simulator: Simulator, login: dict[str, str], connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_CACERT", str(simulator.ca_file))
    for name, value in login.items():
        monkeypatch.setenv(f"OS_{name.upper()}", value)
    assert connect(settings(simulator, "envvars")).call(ASK) == STARTED


def test_the_address_of_drs_comes_from_the_region_of_a_public_cloud(login: dict[str, str]) -> None:
    assert read_cloud("otc")["region"] == "eu-de"
    assert read_cloud("huawei")["host"] == "drs.ap-southeast-1.myhuaweicloud.com"
    assert not {"region", "host"} & read_cloud("mine").keys()
    assert read_cloud("open")["verify"] is False


@pytest.mark.parametrize(("name", "says"), [("nowhere", "cannot be read"), ("certified", "has a client certificate")])
def test_an_entry_that_cannot_be_used(login: dict[str, str], name: str, says: str) -> None:
    with pytest.raises(DrsConfigError, match=rf"Cloud \(cloud\) '{name}' {says}"):
        read_cloud(name)


def test_without_openstacksdk_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "OpenStackConfig", None)
    with pytest.raises(DrsConfigError, match=r"pip install 'airflow-provider-drs\[openstack\]'"):
        read_cloud("mine")
