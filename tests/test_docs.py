"""What the README and the pages in docs show is true: snippets run, links lead somewhere, tables name what there is."""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_drs import exceptions
from airflow_provider_drs.clients.credentials import plugin_of
from airflow_provider_drs.get_provider_info import CONNECTION_FIELDS, STANDARD_FIELDS, get_provider_info
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.protocol import settings as settings_module
from airflow_provider_drs.protocol.codes import DRS_CODES
from airflow_provider_drs.protocol.errors import DrsError, DrsTransientError
from airflow_provider_drs.protocol.settings import read_settings
from airflow_provider_drs.protocol.switchover.phases import TRANSITIONS, Phase
from airflow_provider_drs.sensors.base import DrsSensor
from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor
from tests.airflow.waits import airflow_db
from tests.histories.histories import EXCEPTIONS
from tests.waiting import PATIENCE

__all__ = ["airflow_db"]

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def _tree(cls: type[Any]) -> Iterator[type[Any]]:
    yield cls
    for subclass in cls.__subclasses__():
        yield from _tree(subclass)


# What a task can end with, by name: the tree of errors, and the verdicts that exceptions adds.
ERRORS = {
    name: getattr(exceptions, name)
    for name in {cls.__name__ for cls in _tree(DrsError)} | set(vars(exceptions))
    if re.fullmatch(r"Drs\w*Error", name)
}


def _snippets(page: Path, language: str) -> list[str]:
    return re.findall(rf"<!-- runs in the tests -->\n```{language}\n(.*?)```", page.read_text(), re.S)


def _own(cls: type) -> list[str]:
    """Return the parameters of a class and of those of its bases that are this provider's."""
    classes: list[Any] = [base for base in cls.__mro__ if base.__module__.startswith("airflow_provider_drs.")]
    names = [name for base in classes for name in inspect.signature(base.__init__).parameters]
    return [name for name in dict.fromkeys(names) if name not in ("self", "kwargs")]


def _python_snippets() -> list[tuple[str, str]]:
    return [(f"{page.name}-{n}", code) for page in PAGES for n, code in enumerate(_snippets(page, "python"))]


@pytest.mark.parametrize(("name", "code"), _python_snippets())
def test_python_snippets_run(name: str, code: str) -> None:
    names: dict[str, object] = {}
    exec(compile(code, name, "exec"), names)  # noqa: S102 - our own documentation
    if "test_my_dag" in names:
        with pytest.MonkeyPatch.context() as patch:
            names["test_my_dag"](patch)  # type: ignore[operator]


def test_every_python_snippet_runs() -> None:
    shown = sum(page.read_text().count("```python") for page in PAGES)
    assert shown == len(_python_snippets()) + len(_test_files())


def _test_files() -> list[str]:
    marked = r"<!-- a test file that runs in the tests -->\n```python\n(.*?)```"
    return [code for page in PAGES for code in re.findall(marked, page.read_text(), re.S)]


@pytest.mark.parametrize("code", _test_files(), ids=["own_tests", "simulator"])
def test_the_test_file_of_a_user_runs_with_the_plugin(code: str, tmp_path: Path, airflow_db: Path) -> None:
    (tmp_path / "test_mine.py").write_text(code)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "AIRFLOW_CONN"))}
    environment["AIRFLOW__CORE__DAGS_FOLDER"] = str(tmp_path)
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [passed] = re.findall(r"^(\d+) passed in", done.stdout, re.M)
    assert int(passed) >= code.count("def test_")


def test_the_connection_of_the_readme_is_complete() -> None:
    [command] = _snippets(ROOT / "README.md", "shell")
    exported = subprocess.run(
        ["/bin/sh", "-c", command + "\nprintenv AIRFLOW_CONN_DRS_DEFAULT"], capture_output=True, text=True, check=True
    )
    fields = json.loads(exported.stdout)
    settings = read_settings("drs_default", **{key: fields[key] for key in ("login", "password", "extra")})
    assert settings.password == "the IAM user's password"
    assert settings.endpoint == "https://drs.eu-de.otc.t-systems.com"


def test_the_simulators_command_line(tmp_path: Path) -> None:
    [command] = _snippets(ROOT / "docs" / "simulator.md", "shell")
    words = shlex.split(command)
    words[words.index("--port") + 1] = "0"
    ready = tmp_path / "ready"
    script = Path(sys.executable).with_name(words[0])
    running = subprocess.Popen(
        [script, *words[1:], "--ready-file", str(ready)], stdout=subprocess.PIPE, text=True, env={**os.environ}
    )
    try:
        assert running.stdout is not None
        told = ""
        while "AIRFLOW_CONN_DRS_DEFAULT" not in told:
            line = running.stdout.readline()
            assert line, told
            told += line
    finally:
        running.terminate()
        running.communicate(timeout=PATIENCE)
    assert running.returncode == 0


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            there = page.parent / path if path else page
            assert there.exists(), target
            assert not anchor or anchor in _anchors(there), target


def test_the_reference_has_every_module_that_airflow_is_told_of() -> None:
    listed = re.findall(r"automodule:: ([\w.]+)", (ROOT / "docs" / "api.md").read_text())
    kinds = ("hooks", "operators", "sensors", "triggers")
    told = {module for kind in kinds for group in get_provider_info()[kind] for module in group["python-modules"]}
    # These only name what others define.
    assert told - set(listed) == {"airflow_provider_drs.operators.drs", "airflow_provider_drs.sensors.drs"}


def test_every_page_is_in_the_site() -> None:
    listed = set((ROOT / "docs" / "index.md").read_text().split())
    there = {os.path.relpath(page.with_suffix(""), ROOT / "docs") for page in PAGES} - {"index"}
    assert there - listed == set()


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "simulator.md"], ids=lambda page: page.name)
def test_lines_have_at_most_120_characters(page: Path) -> None:
    assert not [line for line in page.read_text().splitlines() if len(line) > 120]


def test_contributing_names_files_and_names_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = text.partition("## Where to change what")[2].partition("\n## ")[0]
    named = re.findall(r"`([\w/]+\.py)`(?:: ((?:`\w+`(?:, )?)+))?", table)
    assert len(named) > 10
    for path, names in named:
        file = ROOT / path if (ROOT / path).exists() else ROOT / "airflow_provider_drs" / path
        source = file.read_text()
        assert not [name for name in re.findall(r"`(\w+)`", names) if name not in source], path


# DRS documents which database's address a mode switches, and nothing about what serves afterwards.
NO_FACTS = (
    r"switch(es|ed|ing)? (it )?back|going back|way back|other (side|direction)|moves? the traffic|back to the source"
    r"|(?<!stop writing )(?<!leads )to the (source|target)\b"
)
# Where somebody reads what a mode does: pages, forms, messages, docstrings.
SAYING = [
    *PAGES,
    *(ROOT / "example_dags").rglob("*.py"),
    *(file for kind in ("py", "js", "html") for file in (ROOT / "airflow_provider_drs").rglob(f"*.{kind}")),
]


@pytest.mark.parametrize("path", sorted(SAYING), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_says_what_a_mode_does_to_the_traffic(path: Path) -> None:
    assert not re.search(NO_FACTS, path.read_text(), re.I)


def test_the_connection_page_has_the_forms_fields_under_the_forms_names() -> None:
    text = (ROOT / "docs" / "connection.md").read_text()
    rows = re.findall(r"^\| ([^|`]+) \(`(\w+)`\) \| (standard|Extra) \|", text, re.M)
    standard = [(label, key, "standard") for key, label in STANDARD_FIELDS.items() if key != "extra"]
    own = [(spec["label"], key, "Extra") for key, spec in CONNECTION_FIELDS.items()]
    assert sorted(rows) == sorted(standard + own)


@pytest.mark.parametrize("block", _snippets(ROOT / "docs" / "connection.md", "json"))
def test_each_way_to_log_in_is_a_connection_that_is_taken(block: str) -> None:
    fields = json.loads(block)
    assert fields.pop("conn_type") == "drs"
    cloud = {"auth": {"auth_url": "https://iam.eu-de.otc.t-systems.com/v3"}, "region": "eu-de", "auth_type": "password"}
    settings = read_settings("drs_default", **fields, from_cloud=cloud if "cloud" in fields["extra"] else None)
    if not settings.token and settings.auth_type not in ("aksk", "password"):
        assert plugin_of(settings) is not None


def test_the_readme_names_fields_as_the_form_does() -> None:
    text = (ROOT / "README.md").read_text()
    fields = text.partition("| field | meaning |")[2].partition("\n\n")[0]
    named = dict(map(reversed, re.findall(r"([\w ]+) \(`(\w+)`\)", fields)))
    labels = STANDARD_FIELDS | {key: spec["label"] for key, spec in CONNECTION_FIELDS.items()}
    assert len(named) > 10
    assert {key: label.strip() for key, label in named.items()}.items() <= labels.items()


def test_the_form_has_what_the_settings_read(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {"password"}  # read as it is: white space is part of it
    read_field = settings_module._Fields._set

    def noting(fields: settings_module._Fields, key: str) -> object:
        seen.add(key)
        return read_field(fields, key)

    monkeypatch.setattr(settings_module._Fields, "_set", noting)
    user = {"region": "eu-de", "domain_name": "d", "project_name": "p"}
    read_settings("drs_test", login="ada", password="secret", extra=user)
    assert seen == (STANDARD_FIELDS.keys() | CONNECTION_FIELDS.keys()) - {"extra"}


def test_the_sensor_page_has_every_parameter_and_class() -> None:
    text = (ROOT / "docs" / "sensor.md").read_text()
    assert not [name for cls in (DrsSwitchoverSensor, DrsSensor) for name in _own(cls) if f"`{name}`" not in text]
    internal = {"DrsError", "DrsTransientError", "DrsConfigError", "DrsArgumentError"}
    # Those of the operators and gates are in pages of their own.
    internal |= {"DrsGuardError", "DrsSwitchoverRefusedError", "DrsJobFailedError", "DrsComparisonError"}
    internal |= {"DrsRecordError", "DrsTimeoutError", "DrsWitnessError", "DrsSwitchoverDisputedError"}
    assert not [name for name in ERRORS if name not in internal and name not in text]
    for line in text.splitlines():
        for name in re.findall(r"\(`(Drs\w+Error)`\)", line):
            waits = "| waits" in line
            assert issubclass(ERRORS[name], DrsTransientError) is waits, line


def test_the_sensor_page_has_every_code() -> None:
    table = (ROOT / "docs" / "sensor.md").read_text().partition("## Verdicts")[2].partition("\nOn success")[0]
    named = set(re.findall(r"\b(?:M|KE)\d+", table))
    for first, last in re.findall(r"M(\d+) to M(\d+)", table):
        named |= {f"M{number:05}" for number in range(int(first), int(last) + 1)}
    assert {f"DRS.{code}" for code in named} == set(DRS_CODES)


def test_the_switchover_page_has_every_parameter_and_the_runbook_every_failure() -> None:
    text = (ROOT / "docs" / "switchover.md").read_text()
    assert not [name for name in _own(DrsSwitchoverOperator) if f"`{name}`" not in text]


def test_the_runbook_has_every_error_and_every_outcome_in_a_heading_or_a_row() -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    named = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^#+ .*$|^\| [^|]+\|", runbook, re.M))))
    # The last is the base of those that are waited out.
    assert {*ERRORS, *(phase.value for phase in Phase)} - named == {"DrsTransientError"}


def test_the_picture_of_the_states_has_every_transition_and_no_other() -> None:
    [picture] = re.findall(
        r"```mermaid\nstateDiagram-v2\n(.*?)```", (ROOT / "docs" / "switchover.md").read_text(), re.S
    )
    drawn = re.findall(r"^ +(\w+) --> (\w+): (\w+)$", picture, re.M)
    assert sorted(drawn) == sorted((str(phase), str(after), step.name) for (phase, step), after in TRANSITIONS.items())


def test_the_page_excepts_what_the_histories_except_and_nothing_else() -> None:
    page = (ROOT / "docs" / "switchover.md").read_text()
    table = page.partition("| excepted | why |\n|---|---|\n")[2].partition("\n\n")[0]
    assert dict(re.findall(r"^\| (.*) \| (.*) \|$", table, re.M)) == EXCEPTIONS


def test_the_changelog_knows_this_version() -> None:
    import airflow_provider_drs

    assert f"## {airflow_provider_drs.__version__}\n" in (ROOT / "CHANGELOG.md").read_text()
