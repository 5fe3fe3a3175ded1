"""What messages point to is there, in a clone and in the wheel."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from airflow_provider_drs import exceptions, pages
from airflow_provider_drs.cutovers.rows import RUNBOOK
from tests.constants import JOB

ROOT = Path(__file__).parents[1]
PAGE = "# A\n\nfirst\n\n## `B`: one, two\n\n```shell\n# no heading\n```\n\n### C\n\nthird\n\n## D\n\nlast\n"


@pytest.mark.parametrize(
    ("heading", "begins", "ends"),
    [
        ("b", "## `B`", "third\n\n"),
        ("b-one-two", "## `B`", "third\n\n"),
        ("C", "### C", "third\n\n"),
        ("D", "## D", "last\n"),
    ],
)
def test_a_section_ends_where_the_next_of_its_depth_begins(heading: str, begins: str, ends: str) -> None:
    found = pages.section(PAGE, heading)
    assert found is not None
    assert (found.startswith(begins), found.endswith(ends)) == (True, True)


def test_a_comment_in_code_is_no_heading() -> None:
    assert pages.section(PAGE, "no heading") is None


def test_every_page_and_section_that_the_package_points_to_is_there() -> None:
    source = "".join(path.read_text() for path in (ROOT / "airflow_provider_drs").rglob("*.py"))
    named = set(re.findall(r"see\([\"'](\w+)[\"']", source))
    assert {"runbook", "connection"} <= named <= pages.pages().keys()
    runbook = pages.pages()["runbook"].read_text()
    assert [part for part in RUNBOOK.values() if pages.section(runbook, part) is None] == []
    assert "airflow-drs docs runbook" in str(exceptions.DrsSwitchoverUnknownError(JOB, "nothing is known"))


def test_no_message_points_to_a_file_of_the_repository() -> None:
    """Whoever has installed the wheel has no such file; docstrings are read in the repository."""
    for path in (ROOT / "airflow_provider_drs").rglob("*.py"):
        assert not re.search(r"(?<!``)\bdocs/\w+\.md", path.read_text()), path


def test_the_wheel_has_the_pages() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"docs": "airflow_provider_drs/docs"}
