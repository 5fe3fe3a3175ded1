from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from airflow_provider_drs.simulator import Job
from airflow_provider_drs.simulator.drs.contradictions import Contradiction
from airflow_provider_drs.simulator.drs.routes import ANY_DRS_CALL, Call
from airflow_provider_drs.simulator.faults import FAULT_NAMES

PAGE = Path(__file__).parents[2] / "docs" / "simulator.md"


@pytest.mark.parametrize(
    "names",
    [
        {known.name for known in fields(Job)} - {"job_id"},
        {*Call, ANY_DRS_CALL} - {Call.OTHER},
        set(Contradiction),
        FAULT_NAMES,
    ],
    ids=["fields of a job", "calls", "contradictions", "faults"],
)
def test_the_page_names_everything_that_can_be_scripted(names: set[str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert not sorted(name for name in names if f"`{name}`" not in text)
