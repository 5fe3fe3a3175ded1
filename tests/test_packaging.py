"""What the metadata of the package says is true, and leads somewhere from wherever it is read."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import metadata
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.matrix.environments import VERSIONS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
README = (ROOT / "README.md").read_text()
SITE, REPOSITORY = "https://docs.example/drs/", "https://forge.example/drs"


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    """The hook as hatchling loads it; what it needs of hatchling is a class to derive from."""
    with pytest.MonkeyPatch.context() as patch:
        interface = SimpleNamespace(MetadataHookInterface=object)
        patch.setitem(sys.modules, "hatchling.metadata.plugin.interface", interface)
        path = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["custom"]["path"]
        spec = spec_from_file_location("hatch_build", ROOT / path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "site", "repository", "found"),
    [
        ("[a](docs/b.md)", SITE, "", "[a](https://docs.example/drs/docs/b.html)"),
        ("[a](docs/b.md#c-d)", SITE, "", "[a](https://docs.example/drs/docs/b.html#c-d)"),
        ("[a](SECURITY.md)", SITE, "", "[a](https://docs.example/drs/SECURITY.html)"),
        ("[a](docs/b.md#c)", "", REPOSITORY, "a (`airflow-drs docs b`)"),
        ("[docs/b.md](docs/b.md)", "", "", "`airflow-drs docs b`"),
        ("[SECURITY.md](SECURITY.md)", "", "", "SECURITY.md"),
        ("[a](example_dags/)", SITE, REPOSITORY, "[a](https://forge.example/drs)"),
        ("[a](example_dags/)", SITE, "", "a"),
        ("A.\n\n![What it shows](docs/pictures/a.png)\n\nB.", SITE, REPOSITORY, "A.\n\nB."),
        ("[a](https://b.example/c.md)", SITE, REPOSITORY, "[a](https://b.example/c.md)"),
    ],
)
def test_a_link_of_the_readme_elsewhere(hook: Any, text: str, site: str, repository: str, found: str) -> None:
    assert hook.absolute(text, site, repository) == found


@pytest.mark.parametrize(("site", "repository"), [("", ""), (SITE, ""), (SITE, REPOSITORY)])
def test_no_link_of_the_readme_is_relative_elsewhere(hook: Any, site: str, repository: str) -> None:
    whole = hook.absolute(README, site, repository)
    links = re.findall(r"\]\(([^)]*)\)", whole)
    assert links
    assert [link for link in links if not link.startswith("https://")] == []


@pytest.mark.parametrize(
    ("site", "repository", "names"),
    [("", "", set()), (SITE, "", {"Documentation", "Changelog"}), ("", REPOSITORY, {"Source"})],
)
def test_an_address_that_is_not_known_is_not_claimed(hook: Any, site: str, repository: str, names: set[str]) -> None:
    assert hook.urls(site, repository).keys() == names


def test_the_pythons_it_claims_are_those_it_was_tried_on() -> None:
    claimed = {text.rpartition(" ")[2] for text in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", text)}
    assert claimed == set(VERSIONS.values())
    after_the_newest = f"3.{max(int(release.partition('.')[2]) for release in claimed) + 1}"
    assert PROJECT["project"]["requires-python"] == f">={min(claimed)},<{after_the_newest}"


def test_the_metadata_has_the_readme() -> None:
    found = metadata("airflow-provider-drs")
    assert found["Description-Content-Type"] == "text/markdown"
    assert "make demo" in str(found["Description"] or found.get_payload())  # type: ignore[attr-defined]
    assert found["Maintainer"] == PROJECT["project"]["maintainers"][0]["name"]
