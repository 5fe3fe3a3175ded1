"""What is asked for a comparison, and what is refused before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_drs.protocol.compare.calls import checked_tables, create_compare_task
from airflow_provider_drs.protocol.errors import DrsArgumentError
from tests.constants import JOB

TABLES = {"shop": ["orders"], "crm": []}
NAMED = [{"db_name": "shop", "table_name": ["orders"]}, {"db_name": "crm", "table_name": []}]


@pytest.mark.parametrize("compare", ["lines", "contents"])
@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"tables": TABLES}, {"compare_object_infos": NAMED}),
        ({"compare_mode": "quick_comparison"}, {"compare_mode": "quick_comparison"}),
        (
            {"tables": TABLES, "compare_mode": "quick_comparison"},
            {"compare_mode": "quick_comparison", "compare_object_infos": NAMED},
        ),
    ],
    ids=["tables", "quick", "both"],
)
def test_data_is_compared_by_tables_or_quickly(compare: str, given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert create_compare_task(JOB, compare, **given).body == {
        "job_id": JOB,
        "data_level_compare_info": {"conflict_policy": "cancel", "compare_type": compare, **sent},
    }


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (TABLES, TABLES),
        ({"shop": ("orders",)}, {"shop": ["orders"]}),
        ('{"shop": ["orders"], "crm": []}', TABLES),
        ("{'shop': ['orders'], 'crm': []}", TABLES),
        (None, None),
        ("None", None),
        ("", None),
        ({}, {}),
    ],
)
def test_tables_come_as_they_are_or_as_text(given: object, read: object) -> None:
    assert checked_tables(given) == read


@pytest.mark.parametrize(
    "wrong",
    [
        *({"shop": "orders"}, {"db": None}, {"db": {"t": 1}}, {"db": [1]}, {"db": [""]}, {1: ["t"]}, {"db": b"t"}),
        *("shop", "['shop']", ["shop"], 7, '{"db": "orders"}', "{db: [t]}", "dict(db=[])"),
    ],
)
def test_what_are_no_tables(wrong: object) -> None:
    with pytest.raises(DrsArgumentError, match=r"^tables must be"):
        checked_tables(wrong)


@pytest.mark.parametrize(
    ("compare", "given", "says"),
    [
        ("lines", {}, "tables is missing"),
        ("contents", {"tables": {}}, "tables is missing"),
        ("lines", {"compare_mode": "slow"}, "compare_mode must be"),
        ("objects", {"tables": TABLES}, "leave out tables"),
        ("objects", {"compare_mode": "quick_comparison"}, "leave out tables and compare_mode"),
        ("rows", {"tables": TABLES}, "objects, lines, contents"),
        ("lines", {"tables": TABLES, "conflict_policy": "wait"}, "conflict_policy"),
    ],
)
def test_what_drs_would_refuse_is_not_sent(compare: str, given: dict[str, Any], says: str) -> None:
    with pytest.raises(DrsArgumentError, match=says):
        create_compare_task(JOB, compare, **given)
