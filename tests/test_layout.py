"""What holds for the source as a whole: one place for each mechanism, few imports in functions, the form's words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "airflow_provider_drs"
PROTOCOL = PACKAGE / "protocol"
PAGES = [TESTS.parent / "README.md", *sorted((TESTS.parent / "docs").glob("*.md"))]
TREES = {path.relative_to(PACKAGE): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
MAX_ANY = 60
MAX_IMPORTS_IN_FUNCTIONS = 15

# Not written yet.
WITHOUT = {
    "compare/wait.py",
    "jobs/calls.py",
    "jobs/status.py",
    "runtime.py",
}


def test_every_module_of_the_protocol_has_a_test_of_its_name() -> None:
    modules = {path.relative_to(PROTOCOL) for path in PROTOCOL.rglob("*.py") if path.name != "__init__.py"}
    assert modules
    without = {str(path) for path in modules if not (TESTS / "protocol" / path.with_name(f"test_{path.name}")).exists()}
    assert without == WITHOUT


def _lines(path: Path) -> list[str]:
    return (PACKAGE / path).read_text().splitlines()


def test_few_lines_of_protocol_and_clients_leave_a_type_open() -> None:
    inner = [path for path in TREES if path.parts[0] in ("protocol", "clients")]
    found = [line for path in inner for line in _lines(path) if re.search(r"\bAny\b", line)]
    assert 0 < len(found) <= MAX_ANY


def _imports_in_functions() -> Iterator[tuple[Path, int]]:
    for path, tree in TREES.items():
        functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        inside = [node for function in functions for node in ast.walk(function)]
        yield from {(path, node.lineno) for node in inside if isinstance(node, (ast.Import, ast.ImportFrom))}


def test_an_import_inside_a_function_has_its_reason_beside_it() -> None:
    places = sorted(_imports_in_functions())
    assert 0 < len(places) <= MAX_IMPORTS_IN_FUNCTIONS
    for path, number in places:
        lines = _lines(path)
        while "import " in lines[number - 2]:  # one reason for several
            number -= 1
        beside = lines[number - 2] + lines[number - 1]
        assert re.search(r"# (?!type:|noqa)", beside), f"{path}:{number} gives no reason"


def _functions_that(what: str) -> set[str]:
    """Return the functions, as file and name, with a line of code that matches ``what``."""
    found = set()
    for path, tree in TREES.items():
        for node in ast.walk(tree) if path.parts[0] != "simulator" else ():
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and re.search(what, ast.unparse(node)):
                found.add(f"{path}: {node.name}")
    return found


ONE_PLACE = {
    "the poll loop of a worker": (r"(?<!def )\bpoll\(wait, ", {"protocol/runtime.py: wait_until_over"}),
    "the resume after a trigger": (r"super\(\)\.resume_execution\(", {"task.py: resume_execution"}),
    "the link to the console of a task on a worker": (r"xcom_push\(key=DrsConsoleLink", {"task.py: _publish_link"}),
    "the same from the triggerer": (r"_push\(DrsConsoleLink", {"triggers/drs.py: _begin"}),
    "the wait for a switchover": (r"\bSwitchoverWait\(", {"triggers/drs.py: new_wait"}),
    "the wait for jobs": (r"\bJobsWait\(", {"triggers/jobs.py: new_wait"}),
    "the wait for a comparison": (r"\bCompareWait\(", {"triggers/jobs.py: new_wait"}),
    "the watch of a job": (r"\bSwitchoverWatch\(", {"triggers/events.py: open_shared_stream"}),
    "the phase of a record": (
        r"(\.phase(: \w+)? = |\bphase=|'phase': Phase)",
        {"protocol/switchover/record.py: apply", "protocol/switchover/record.py: from_dict"},
    ),
}


@pytest.mark.parametrize(("what", "places"), ONE_PLACE.values(), ids=ONE_PLACE.keys())
def test_a_mechanism_stands_in_one_place(what: str, places: set[str]) -> None:
    assert _functions_that(what) == places


# What else a field of the connection might be called, in place of its label.
OTHER_WORDS = re.compile(
    r"(?<!IAM )\buser ?name\b|\blogin\b(?!`?\))|\bauth[ _]url\b(?!`?\))|\b(IAM|DRS|Keystone)('s)? (url|host|server)\b|"
    r"\bidentity endpoint|\baccount name|\bdomain\b(?! name|_name|\))|\bssl[ _]verify",
    re.IGNORECASE,
)


def _messages(path: Path) -> Iterator[str]:
    """Yield the texts of a module that are no docstrings; keys are no texts."""
    tree = TREES[path]
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body[0] for node in ast.walk(tree) if isinstance(node, kinds) and node.body]
    docstrings = {body.value for body in bodies if isinstance(body, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            yield from [node.value] if " " in node.value else []


@pytest.mark.parametrize("path", [path for path in TREES if path.parts[0] != "simulator"], ids=str)
def test_no_message_calls_a_field_of_the_connection_by_another_word(path: Path) -> None:
    assert not [text for text in _messages(path) if OTHER_WORDS.search(text)]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "simulator.md"], ids=lambda page: page.name)
def test_no_page_calls_a_field_of_the_connection_by_another_word(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    assert not [line for line in prose.splitlines() if OTHER_WORDS.search(line)]


@pytest.mark.parametrize("text", ["Check the user name", "set auth_url", "the IAM URL", "give login and password"])
def test_another_word_is_caught(text: str) -> None:
    assert OTHER_WORDS.search(text)
