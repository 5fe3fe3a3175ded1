"""What the judge of the cluster says of runs: each fault that it is there for, and none of a good one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_drs.simulator import Entry
from tests.cluster.judge import Run, judge, tracebacks
from tests.cluster.kinds import KINDS, Kind
from tests.constants import JOB, SWITCH

POST = Entry(0.0, SWITCH, "POST", "", {}, JOB, 202, {}, None, {}, True)
LOST = replace(POST, status=None)
REFUSED = replace(POST, status=401)


def judged(kind: Kind, posts: list[Entry], **changed: Any) -> Run:
    """Return the judgement of a run that is as it is to be, but for what is changed."""
    expected = "failed" if "failed" in kind.states.values() else "success"
    run = Run(kind, "run", JOB, changed.get("state", expected))
    xcoms: dict[tuple[str, str], Any] = {(task, "return_value"): {"x": 1} for task in kind.results}
    xcoms |= {(task, "switchover"): {"outcome": outcome} for task, [outcome, *_] in kind.outcomes.items()}
    for gone in changed.get("without", ()):
        del xcoms[gone]
    xcoms |= changed.get("xcoms", {})
    tasks = {**kind.states, "cutover.ready": "success", **changed.get("tasks", {})}
    judge(run, tasks.items(), xcoms, posts, changed.get("switched", list(kind.modes)))
    return run


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_is_as_it_is_to_be_misses_nothing(kind: Kind) -> None:
    assert judged(kind, [POST] * len(kind.modes)).misses == []
    assert judged(kind, [LOST] * len(kind.modes)).misses == []
    assert judged(kind, [REFUSED, *[POST] * len(kind.modes)]).misses == []


@pytest.mark.parametrize(
    ("missed", "posts", "changed"),
    [
        ("switched_twice", [POST, LOST], {}),
        ("switched_twice", [POST], {"switched": ["target", "target"]}),
        ("wrong", [POST], {"switched": []}),
        ("wrong", [POST], {"switched": ["source"]}),
        ("wrong", [POST], {"state": "failed"}),
        ("wrong", [POST], {"tasks": {"cutover.ready": "upstream_failed"}}),
        ("wrong", [POST], {"xcoms": {("cutover.switchover", "switchover"): {"outcome": "unknown"}}}),
        ("no_evidence", [POST], {"without": [("cutover.switchover", "switchover")]}),
        ("no_evidence", [POST], {"without": [("seen", "return_value")]}),
        ("waiting", [POST], {"state": "running"}),
    ],
)
def test_what_misses_is_told_by_its_name(missed: str, posts: list[Entry], changed: dict[str, Any]) -> None:
    run = judged(KINDS["poke"], posts, **changed)
    assert getattr(run, missed)
    assert run.misses == getattr(run, missed)


FRAME = '  File "/x/airflow_provider_drs/clients/tokens.py", line 1, in f\n    g()\n'
OTHER = '  File "/x/site-packages/airflow/models/trigger.py", line 1, in f\n    g()\n'
HEAD = "Traceback (most recent call last):\n"
JSON = (
    '{"event": "Task failed", "error_detail": [{"exc_type": "%s", "exc_value": "x", '
    '"frames": [{"filename": "/x/airflow_provider_drs/task.py", "lineno": 1, "name": "f"}]}]}'
)


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        (f"{HEAD}{OTHER}{FRAME}KeyError: 'x'\n", True),
        (f"{HEAD}{FRAME}{OTHER}sqlalchemy.exc.OperationalError: x\n", False),
        (f"{HEAD}{FRAME}airflow_provider_drs.exceptions.DrsError: x\n", False),
        ("Unclosed connector\n", True),
        ("Unclosed client session\n", True),
        ("Task exception was never retrieved\n", True),
        (JSON % "TypeError", True),
        (JSON % "DrsGuardError", False),
        ("all is well\n", False),
    ],
)
def test_what_comes_out_of_our_code_without_being_raised_on_purpose_is_found(text: str, ours: bool) -> None:
    assert bool(tracebacks(text)) is ours
