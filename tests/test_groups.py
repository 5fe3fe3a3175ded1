"""The tests of a group are run by one worker: what it shares is made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import GROUPS, keep_together


def test_one_worker_runs_a_group_and_may_run_another_one(tmp_path: Path) -> None:
    for group in (*GROUPS, *GROUPS):
        keep_together(group, "gw0", tmp_path)


def test_a_group_that_is_spread_fails_whatever_else_its_workers_have_run(tmp_path: Path) -> None:
    first, second = list(GROUPS)[:2]
    keep_together(first, "gw0", tmp_path)
    keep_together(second, "gw1", tmp_path)
    with pytest.raises(AssertionError, match=f"the group {second} is run by gw1, and not by gw0"):
        keep_together(second, "gw0", tmp_path)


def test_what_shares_and_is_in_no_group_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="in GROUPS"):
        keep_together("tests/airflow/test_new.py", "gw0", tmp_path)
