"""What the lab takes for wrong, and with which exit code it says so. No database, no Airflow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

import tests.lab.__main__ as command
from tests.constants import FAILED
from tests.lab.place import Count
from tests.lab.results import ASKED, Result, wrongs
from tests.lab.variants import Variant

AT_END = {"witness": {"at_end": {"side": "after"}}}
DONE = Result(
    "success", {"outcome": "done", **AT_END}, "target", True, Count("target", 9, 9, 0, 0), [(1.0, ASKED)], {}, [], {},
    {}, [1.0], {"source", "target"}, [],
)  # fmt: skip
THAW_FAILED = ["cutover.thaw_gate: the writers stay stopped"]


def ended(outcome: str | None, side: str | None = None, **more: Any) -> Result:
    evidence = {} if outcome is None else {"outcome": outcome, "witness": {"at_end": {"side": side}}}
    return replace(DONE, **{"state": "failed", "evidence": evidence, "to_thaw": evidence, **more})


FROZEN = ended("unknown", serves=None, thawed=False, alarms=THAW_FAILED)
NOT_STARTED = ended(None, serves="source", asked_at=[])
RIGHT: dict[str, tuple[Variant, Result]] = {
    "done": (Variant(), DONE),
    "failed": (Variant(job={"final": FAILED}), ended("failed", "before", serves="source")),
    "disputed": (Variant(address={"moves": "never"}), ended("disputed", "before", serves="source")),
    "unknown, and nobody knows": (Variant(lost=True), FROZEN),
    "disputed, and told later": (
        Variant(silent=True), ended("disputed", to_thaw={"outcome": "disputed", **AT_END}),
    ),
    "never started": (Variant(killed="freeze"), NOT_STARTED),
    "the guard found nobody": (Variant(forwarder=(0, 1)), ended("read", serves="source", asked_at=[])),
    "not verified": (Variant(killed="verify"), replace(DONE, state="failed")),
}  # fmt: skip
WRONG: dict[str, tuple[Variant, Result]] = {
    "3 rows lost": (Variant(), replace(DONE, count=Count("target", 9, 6, 3, 0))),
    "1 rows twice": (Variant(), replace(DONE, count=Count("target", 9, 10, 0, 1))),
    "done, and traffic is not at the target": (Variant(), replace(DONE, seen={"source"})),
    "failed, and DRS has not said so": (Variant(), ended("failed", "before", serves="source")),
    "disputed, and nobody disputes": (Variant(), ended("disputed", "after")),
    "unknown, and nobody was in the way": (Variant(), ended("unknown", "after")),
    "no outcome": (Variant(), NOT_STARTED),
    "DRS was asked, and nobody tells": (Variant(killed="freeze"), replace(NOT_STARTED, asked_at=[1.0])),
    "done, and DRS was not asked": (Variant(), replace(DONE, asked_at=[])),
    "the witness has seen another side than serves": (
        Variant(address={"moves": "never"}), ended("disputed", "before"),
    ),
    "frozen, and the outcome is known": (
        Variant(job={"final": FAILED}), ended("failed", serves="source", thawed=False, alarms=THAW_FAILED),
    ),
    "frozen, and a witness knows who serves": (
        Variant(lost=True), ended("unknown", "after", thawed=False, alarms=THAW_FAILED),
    ),
    "frozen, and a witness knows who serves ": (
        Variant(silent=True), ended("disputed", to_thaw=AT_END, thawed=False, alarms=THAW_FAILED),
    ),
    "frozen, and nobody was told": (Variant(lost=True), replace(FROZEN, alarms=["cutover.done: upstream"])),
    "let go, and nobody knows who serves": (Variant(lost=True), ended("unknown", serves=None)),
    "the run succeeded, and is not done": (Variant(lost=True), replace(FROZEN, state="success")),
    "done, and the run failed": (Variant(), replace(DONE, state="failed")),
    "asked more than once": (Variant(), replace(DONE, asked_at=[1.0, 2.0])),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right(name: str) -> None:
    assert wrongs(*RIGHT[name]) == []


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong(name: str) -> None:
    assert name.strip() in wrongs(*WRONG[name])


@pytest.mark.parametrize(
    ("arguments", "result", "code"),
    [
        ([], DONE, 0),
        ([], replace(DONE, count=Count("target", 9, 8, 1, 0)), 1),
        (["disputed"], RIGHT["disputed"][1], 1),
        (["failed"], RIGHT["failed"][1], 1),
        (["unknown"], FROZEN, 1),
        ([], AssertionError("Airflow is dead"), 2),
        (["--runs", "2"], DONE, 0),
        (["--runs", "2"], replace(DONE, count=Count("target", 9, 8, 1, 0)), 1),
        (["--runs", "2", "--minutes", "0"], DONE, 0),
    ],
)
def test_the_exit_code(
    arguments: list[str], result: Any, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Lab:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def __enter__(self) -> Lab:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def run(self, variants: Iterable[Variant]) -> Iterator[tuple[Variant, Result]]:
            for _ in variants:
                if isinstance(result, Exception):
                    raise result
                yield Variant(), result

    monkeypatch.setattr(command, "Lab", Lab)
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    assert command.main(arguments) == code
    told = capsys.readouterr().out
    assert ("1 lost" in told or "lost=1" in told) is (getattr(result, "count", DONE.count).lost == 1)
