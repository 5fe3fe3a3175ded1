"""Every module of the protocol has a test of its name: where a decision is made, there it is looked for."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
PROTOCOL = TESTS.parent / "airflow_provider_drs" / "protocol"

# Not written yet.
WITHOUT = {
    "compare/wait.py",
    "jobs/calls.py",
    "jobs/status.py",
    "runtime.py",
    "switchover/freshness.py",
    "switchover/guards.py",
    "switchover/record.py",
    "switchover/refusal.py",
    "switchover/status.py",
    "switchover/switch.py",
    "switchover/watch.py",
}


def test_every_module_of_the_protocol_has_a_test_of_its_name() -> None:
    modules = {path.relative_to(PROTOCOL) for path in PROTOCOL.rglob("*.py") if path.name != "__init__.py"}
    assert modules
    without = {str(path) for path in modules if not (TESTS / "protocol" / path.with_name(f"test_{path.name}")).exists()}
    assert without == WITHOUT
