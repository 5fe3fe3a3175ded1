"""Which layer may import what, read from the source: an import inside a function counts like any other."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

PACKAGE = "airflow_provider_drs"
ROOT = Path(__file__).parents[1] / PACKAGE

# What touches the network, other threads or the clock is not pure.
IMPURE = {
    "_thread", "asyncio", "concurrent", "ftplib", "http", "imaplib", "multiprocessing", "os", "poplib", "pty", "queue",
    "sched", "select", "selectors", "signal", "smtplib", "socket", "socketserver", "ssl", "subprocess", "threading",
    "time", "urllib.request", "wsgiref", "xmlrpc",
}  # fmt: skip
CLOCKS = {"now", "today", "utcnow", "monotonic", "perf_counter", "sleep", "time", "time_ns"}


@dataclass(frozen=True)
class Layer:
    """A layer: the parts of the package it may import, and the packages from outside it may not (or only may)."""

    inner: frozenset[str] | None
    never: frozenset[str] = frozenset()
    outer: frozenset[str] | None = None


# Every module of the package that is in none of these is one of the Airflow classes.
LAYERS = {
    # Labels of the connection's fields, for every layer; it knows nothing itself.
    "get_provider_info": Layer(frozenset(), outer=frozenset({"__future__", "typing"})),
    "protocol": Layer(
        frozenset({"get_provider_info", "lazy", "protocol"}),
        frozenset(IMPURE),
        sys.stdlib_module_names | {"pendulum"},
    ),
    "clients": Layer(frozenset({"clients", "get_provider_info", "lazy", "protocol"}), frozenset({"airflow"})),
    "lazy": Layer(frozenset(), frozenset(IMPURE), sys.stdlib_module_names | {"<computed>"}),
    "simulator": Layer(frozenset({"simulator"})),
    # What users' tests get; it serves the simulator, as nothing that runs in production does.
    "pytest_plugin": Layer(frozenset({"simulator"})),
    "": Layer(frozenset()),
}
AIRFLOW_CLASSES = Layer(None, frozenset({f"{PACKAGE}.simulator"}))


def sources() -> dict[str, str]:
    """Return the source of every module of the package, by dotted name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        name = ".".join(parts)
        found[name] = path.read_text(encoding="utf-8")
    return found


def plain(module: str) -> str:
    return module.removesuffix(".__init__")


def imports(module: str, source: str) -> Iterator[str]:
    """Yield the dotted name of all that ``module`` imports, wherever in the source and by whatever means.

    ``from a import b`` yields ``a.b``: b may be a module.
    """
    package = module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = resolve_name("." * node.level + base, package).rstrip(".")
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__"):
            first = node.args[0] if node.args else None
            yield str(first.value) if isinstance(first, ast.Constant) else "<computed>"


def called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def is_lent(node: ast.Call) -> bool:
    """Tell whether a call is made on the runtime that a function is handed."""
    return (
        isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "runtime"
    )


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def part_of(module: str) -> str:
    """Return the part of the package that holds ``module``: its first folder or file, "" for the package itself."""
    return plain(module).removeprefix(PACKAGE).removeprefix(".").partition(".")[0]


def violations(module: str, source: str) -> list[str]:
    """Return what ``module`` imports, or calls, that its layer does not allow."""
    layer = LAYERS.get(part_of(module), AIRFLOW_CLASSES)
    wrong = []
    for name in imports(module, source):
        if within(name, PACKAGE):
            known = layer.inner is None or part_of(name) in layer.inner
        else:
            known = layer.outer is None or name.partition(".")[0] in layer.outer
        if (
            (name == "<computed>" and part_of(module) != "lazy")
            or not known
            or any(within(name, other) for other in layer.never)
        ):
            wrong.append(name)
    if part_of(module) == "protocol":
        calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and not is_lent(node))
        wrong += [f"{name}()" for name in map(called, calls) if name in CLOCKS]
    return wrong


MODULES = sources()


def test_the_modules_were_found() -> None:
    named = ("protocol.http.response", "clients.tokens", "sensors.drs")
    assert {f"{PACKAGE}.{name}" for name in named} <= MODULES.keys()
    assert {part_of(module) for module in MODULES} >= {"", "protocol", "clients", "simulator", "hooks", "exceptions"}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_layer_may(module: str) -> None:
    assert violations(module, MODULES[module]) == []


def module_of(name: str) -> str:
    """Return the module that ``name`` is or is taken from."""
    while name and name not in MODULES and f"{name}.__init__" not in MODULES:
        name = name.rpartition(".")[0]
    return name


def cycle(modules: dict[str, str]) -> list[str]:
    """Return the modules of a ring of imports, nothing where there is none."""
    graph = {plain(m): {module_of(n) for n in imports(m, source)} - {plain(m), ""} for m, source in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_of_the_protocol_import_each_other_in_a_ring() -> None:
    assert cycle({m: source for m, source in MODULES.items() if part_of(m) == "protocol"}) == []


PROTOCOL = f"{PACKAGE}.protocol.http.response"
CAUGHT = [
    (PROTOCOL, "import time"),
    (PROTOCOL, "import urllib.request"),
    (PROTOCOL, "from urllib import request"),
    (PROTOCOL, "import http.client"),
    (PROTOCOL, "from concurrent.futures import Future"),
    (PROTOCOL, "import requests"),
    (PROTOCOL, "import keystoneauth1.session"),
    (PROTOCOL, "def f():\n    from airflow.sdk import Variable"),
    (PROTOCOL, "if TYPE_CHECKING:\n    import aiohttp"),
    (PROTOCOL, "try:\n    import ssl\nexcept ImportError:\n    pass"),
    (PROTOCOL, "class A:\n    async def f(self):\n        import asyncio"),
    (PROTOCOL, "importlib.import_module('socket')"),
    (PROTOCOL, "__import__(name)"),
    (PROTOCOL, f"from {PACKAGE}.clients import transport"),
    (PROTOCOL, f"from {PACKAGE} import clients"),
    (PROTOCOL, "from ...clients.transport import ssl_context"),
    (PROTOCOL, "from ... import exceptions"),
    (PROTOCOL, f"import {PACKAGE}.hooks.drs"),
    (PROTOCOL, "datetime.now(UTC)"),
    (PROTOCOL, "datetime.datetime.utcnow()"),
    (PROTOCOL, "def f(at=pendulum.now()): ..."),
    (PROTOCOL, "x = time.time()"),
    (f"{PACKAGE}.clients.transport", "from airflow.configuration import conf"),
    (f"{PACKAGE}.clients.transport", "def f():\n    import airflow"),
    (f"{PACKAGE}.clients.transport", f"from {PACKAGE}.exceptions import DrsError"),
    (f"{PACKAGE}.clients.__init__", "from ..hooks.drs import DrsHook"),
    (f"{PACKAGE}.clients.transport", f"from {PACKAGE}.simulator import Simulator"),
    (f"{PACKAGE}.sensors.drs", f"def f():\n    from {PACKAGE}.simulator import Simulator"),
    (f"{PACKAGE}.get_provider_info", "from .simulator.server import Simulator"),
    (f"{PACKAGE}.operators.drs", f"from {PACKAGE} import simulator"),
    (f"{PACKAGE}.simulator.iam", f"from {PACKAGE}.protocol import responses"),
    (f"{PACKAGE}.simulator.iam", "from ..protocol.statuses import SwitchoverStatus"),
    (f"{PACKAGE}.__init__", "from .hooks.drs import DrsHook"),
    (f"{PACKAGE}.__init__", f"from {PACKAGE}.protocol import errors"),
]
ALLOWED = [
    (PROTOCOL, "import json, pendulum\nfrom urllib.parse import quote\nfrom .request import Token"),
    (PROTOCOL, f"from {PACKAGE}.lazy import lazy_names\nruntime.now()\nruntime.sleep(1)"),
    (PROTOCOL, f"from {PACKAGE}.protocol import errors\nfrom datetime import datetime\ndatetime.fromtimestamp(0)"),
    (f"{PACKAGE}.clients.tokens", f"import ssl, time, requests\nfrom {PACKAGE}.protocol import errors\ntime.time()"),
    (
        f"{PACKAGE}.sensors.drs",
        f"import airflow\nfrom {PACKAGE}.clients import tokens\nfrom ..protocol import calls",
    ),
    (f"{PACKAGE}.simulator.iam", "import airflow_provider_drs_other\nfrom . import jobs\nfrom aiohttp import web"),
]


@pytest.mark.parametrize(("module", "source"), CAUGHT)
def test_a_violation_is_caught(module: str, source: str) -> None:
    assert violations(module, source)


@pytest.mark.parametrize(("module", "source"), ALLOWED)
def test_what_is_allowed_is_not_caught(module: str, source: str) -> None:
    assert violations(module, source) == []


def test_a_ring_is_caught() -> None:
    request = f"{PACKAGE}.protocol.http.request"
    ring = {request: "from . import response", PROTOCOL: "def f():\n    from .request import Token"}
    assert set(cycle(ring)) == {request, PROTOCOL}
