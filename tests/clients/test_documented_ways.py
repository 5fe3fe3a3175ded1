"""The examples of docs/connection.md log in: each with the names of the simulator in place of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_drs.clients.tokens import TokenSource
from airflow_provider_drs.simulator import Job, Simulator
from airflow_provider_drs.simulator.iam.account import Account

from .helpers import ASK, JOB, STARTED, Connect, settings_of

PAGE = Path(__file__).parents[2] / "docs" / "connection.md"
BLOCKS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.S)]
# Keystone knows these, the simulator does not: tests/keystone/test_ways_with_keystone.py.
ELSEWHERE = ("v3applicationcredential", "cloud")
OWN = [block for block in BLOCKS if not {block["extra"].get("auth_type"), *block["extra"]} & set(ELSEWHERE)]


def test_there_are_examples_of_both_clouds() -> None:
    assert len(BLOCKS) == len(OWN) + len(ELSEWHERE) == 9
    huawei = [block for block in BLOCKS if "myhuaweicloud" in json.dumps(block)]
    assert len(huawei) == 2


@pytest.mark.parametrize("block", OWN, ids=lambda block: ",".join(block["extra"]))
def test_an_example_logs_in(connect: Connect, block: dict[str, Any]) -> None:
    extra = block["extra"]
    by_key = extra.get("auth_type") == "aksk"
    with Simulator(
        jobs=[Job(JOB, status_script=["SWITCH_VIP_START"])], security_token=extra.get("security_token")
    ) as drs:
        account = Account(drs.user, drs.password, drs.domain, drs.project_name, drs.project_id)
        names = {
            "login": drs.access_key if by_key else drs.user,
            "password": drs.secret_key if by_key else drs.password,
            "user_id": account.user_id,
            "domain_name": drs.domain,
            "project_name": drs.project_name,
            "project_id": drs.project_id,
            "agency_name": account.agency,
            "agency_domain_name": account.agency_domain,
            "token": TokenSource(settings_of(drs)).get().value if "token" in extra else None,
        }
        given = {**dict.fromkeys(names), **block, **extra}
        fields = {key: names.get(key, value) if value else None for key, value in given.items() if key != "extra"}
        # The addresses are the simulator's, in place of a region's or a host's.
        for key in ("region", "host", "conn_type"):
            fields.pop(key, None)
        fields |= {} if by_key else {"auth_url": drs.auth_url}
        assert connect(settings_of(drs, **{"auth_url": None, **fields})).call(ASK) == STARTED
