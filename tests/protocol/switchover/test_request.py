from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_drs.protocol.switchover.phases import Phase
from airflow_provider_drs.protocol.switchover.request import SwitchoverRequest
from tests.constants import JOB, T0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("settle", None),
        ("decide_within", 11.0),
        ("timeout", 12.0),
        ("max_tries", 3),
        ("order", 2),
        ("actor", {"dag_id": "nightly"}),
        ("approvals", [{"by": "ada"}]),
    ],
)
def test_a_new_record_has_what_a_further_try_judges_by(name: str, value: Any) -> None:
    record = SwitchoverRequest(JOB, "target", **{name: value}).new_record(T0, [{"order": 1}])
    assert (record.job_id, record.mode, record.phase, record.began_at) == (JOB, "target", Phase.BEGUN, T0)
    assert (getattr(record, name), record.earlier) == (value, [{"order": 1}])


def test_each_wait_has_a_patience_of_its_own() -> None:
    request = SwitchoverRequest(JOB, "target", transient_error_timeout=60.0)
    first = request.patience()
    assert first.ends_at(T0) == T0 + 60
    assert request.patience() is not first
