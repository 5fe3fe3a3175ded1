"""What the tasks of a run have left behind: as either Airflow has it, and once from a real run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_drs.operators.switchover import DrsSwitchoverOperator
from airflow_provider_drs.run_evidence import evidence_of, states_of, switches, switchovers_of_run
from tests.airflow.cutovers import ScriptedSwitchover, evidence, run
from tests.constants import JOB, OTHER_JOB

Key = tuple[str, int]


@dataclass
class FakeRun:
    """A run with task instances and XComs, as a task sees it in Airflow 2 or 3."""

    states: dict[Key, str | None] = field(default_factory=dict)
    xcoms: dict[tuple[str, int, str], Any] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)

    dag_id = "d"
    run_id = "r"

    def context(self, version: int) -> Any:
        with DAG("d", schedule=None) as dag:
            for name in self.tasks:
                if name.startswith("s"):
                    DrsSwitchoverOperator(task_id=name, job_id=JOB, mode="target")
                else:
                    BaseOperator(task_id=name)
        ti = _Ti2(self) if version == 2 else _Ti3(self)
        return {"ti": ti, "dag": dag, "dag_run": self}

    def get_task_instances(self) -> list[Any]:
        return [_State(*key, state) for key, state in self.states.items()]


@dataclass
class _State:
    task_id: str
    map_index: int
    state: str | None


class _Ti2:
    """A task instance that finds everything in the database."""

    dag_id = "d"
    run_id = "r"
    map_index = -1

    def __init__(self, run: FakeRun) -> None:
        self.run = run

    def xcom_pull(self, task_ids: str, key: str, map_indexes: int | None = None) -> Any:
        self.run.asked.append(task_ids)
        found = {
            index: value
            for (task_id, index, name), value in self.run.xcoms.items()
            if (task_id, name) == (task_ids, key) and map_indexes in (None, index)
        }
        if not found or -1 in found or map_indexes is not None:
            return next(iter(found.values()), None)
        return [value for _, value in sorted(found.items())]


class _Ti3(_Ti2):
    """A task instance that asks the API server, which writes the map index behind the name."""

    def get_task_states(self, dag_id: str, run_ids: list[str], task_ids: list[str] | None = None) -> dict[str, Any]:
        assert (dag_id, run_ids) == ("d", ["r"])
        named = {
            name if index < 0 else f"{name}_{index}": state
            for (name, index), state in self.run.states.items()
            if task_ids is None or name in task_ids
        }
        return {"r": named} if named else {}


both = pytest.mark.parametrize("version", [2, 3])


@both
def test_the_states_of_a_task(version: int) -> None:
    states: dict[Key, str | None] = {("check", 0): "success", ("check", 10): "failed", ("check_1", -1): "running"}
    context = FakeRun({**states, ("waits", -1): None}).context(version)
    assert states_of(context, "check") == {0: "success", 10: "failed"}
    assert states_of(context, "check_1") == {-1: "running"}
    assert states_of(context, "waits") == {-1: None}
    assert states_of(context, "no such task") == {}


@both
@pytest.mark.parametrize(
    ("under_switchover", "under_return_value", "expected"),
    [
        (None, None, None),
        ("accepted", None, "accepted"),
        (None, "done", "done"),
        ("accepted", "done", "done"),
        ("failed", "intended", "failed"),
        ("read", "accepted", "accepted"),
        ("not evidence", "done", "done"),
    ],
)
def test_the_newer_of_both_is_the_evidence(
    version: int, under_switchover: str | None, under_return_value: str | None, expected: str | None
) -> None:
    def left(outcome: str | None) -> Any:
        if outcome == "not evidence":
            return "text"
        return outcome and evidence("s", outcome, None if outcome == "read" else 1)

    xcoms = {("s", -1, "switchover"): left(under_switchover), ("s", -1, "return_value"): left(under_return_value)}
    found = evidence_of(FakeRun(xcoms=xcoms).context(version), "s")
    assert found.get("outcome") == expected


@both
def test_of_a_mapped_task_it_is_that_of_the_instance(version: int) -> None:
    xcoms = {("s", n, "switchover"): evidence("s", "done", n, map_index=n) for n in range(3)}
    assert evidence_of(FakeRun(xcoms=xcoms).context(version), "s", 2)["map_index"] == 2


@dataclass
class Left:
    """What the tasks of a run have left, and the switchovers of the job among it: task, map index, mode."""

    name: str
    left: dict[Key, dict[str, Any]]
    expected: list[tuple[str, int, str]]
    removed: tuple[Key, ...] = ()
    tasks: tuple[str, ...] = ("s", "s2", "gate")


ROWS = [
    Left("nothing", {}, []),
    Left("one", {("s", -1): evidence("s")}, [("s", -1, "target")]),
    Left(
        "newest last",
        {("s", -1): evidence("s", minute=9), ("s2", -1): evidence("s2", minute=4, mode="source")},
        [("s2", -1, "source"), ("s", -1, "target")],
    ),
    Left(
        "with the earlier ones of a task",
        {
            ("s", -1): evidence("s", minute=9, earlier=[{**evidence("s", "failed", 1), "task_id": None}]),
            ("s2", -1): evidence("s2", minute=4, mode="source"),
        },
        [("s", -1, "target"), ("s2", -1, "source"), ("s", -1, "target")],
    ),
    Left("of another job", {("s", -1): evidence("s", job_id=OTHER_JOB)}, []),
    *(
        Left(f"{outcome}: nothing was changed", {("s", -1): evidence("s", outcome, None)}, [])
        for outcome in ("begun", "read", "refused")
    ),
    *(
        Left(f"{outcome}: it may have", {("s", -1): evidence("s", outcome)}, [("s", -1, "target")])
        for outcome in ("intended", "accepted", "lost", "unknown", "failed", "something new")
    ),
    Left(
        "mapped",
        {("s", n): evidence("s", minute=3 - n, map_index=n) for n in range(2)},
        [("s", 1, "target"), ("s", 0, "target")],
    ),
    Left("renamed since", {("old", -1): evidence("old")}, [("old", -1, "target")], (("old", -1),)),
    Left(
        "mapped, and renamed since", {("old", 3): evidence("old", map_index=3)}, [("old", 3, "target")], (("old", 3),)
    ),
    Left(
        "a name that ends as if mapped", {("old_3", -1): evidence("old_3")}, [("old_3", -1, "target")], (("old_3", -1),)
    ),
    Left("a gate that handed it on, renamed since", {("old_gate", -1): evidence("s")}, [], (("old_gate", -1),)),
    Left("from before 0.3", {("s", -1): {"outcome": "done", "job_id": JOB, "mode": "source"}}, [("s", -1, "source")]),
]


@both
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_switchovers_of_a_run(row: Left, version: int) -> None:
    states: dict[Key, str | None] = dict.fromkeys([*row.left, *row.removed, ("gate", -1)], "success")
    fake = FakeRun(states, {(*key, "switchover"): left for key, left in row.left.items()}, row.tasks)
    found = switchovers_of_run(fake.context(version), JOB)
    assert [(one["task_id"], one["map_index"], one["mode"]) for one in found] == row.expected
    assert "gate" not in fake.asked, "only who may have switched is asked"


@both
def test_what_cannot_be_asked_is_told(version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise ConnectionError("the API server is away")

    context = FakeRun({("s", -1): "success"}, tasks=("s",)).context(version)
    monkeypatch.setattr(_Ti3, "get_task_states", away)
    monkeypatch.setattr(FakeRun, "get_task_instances", away)
    for ask in (lambda: states_of(context, "s"), lambda: switchovers_of_run(context, JOB)):
        with pytest.raises(ConnectionError):
            ask()


def test_who_switches() -> None:
    class Derived(DrsSwitchoverOperator):
        pass

    options: dict[str, Any] = {"job_id": JOB, "mode": "target"}
    with DAG("d", schedule=None):
        assert switches(DrsSwitchoverOperator(task_id="a", **options))
        assert switches(Derived(task_id="b", **options))
        assert switches(Derived.partial(task_id="c", mode="target").expand(job_id=[JOB]))
        assert not switches(BaseOperator(task_id="d"))
        assert not switches(BaseOperator.partial(task_id="e").expand(doc=["x"]))


def test_a_real_run(airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        ScriptedSwitchover,
        "script",
        {
            "single": iter([evidence("single", minute=2)]),
            **{f"each[{n}]": iter([evidence("each", minute=3 + 10 * n, map_index=n)]) for n in (0, 1)},
            "other": iter([evidence("other", job_id=OTHER_JOB)]),
            "renamed": iter([evidence("renamed", minute=1)]),
        },
    )
    seen: dict[str, Any] = {}

    class Look(BaseOperator):
        def execute(self, context: Any) -> None:
            # As a worker sees it whose DAG file was edited after that task had run.
            del context["dag"].task_dict["renamed"]
            seen["all"] = [(e["task_id"], e["map_index"]) for e in switchovers_of_run(context, JOB)]
            seen["each"] = states_of(context, "each")
            seen["look"] = states_of(context, "look")
            seen["renamed"] = states_of(context, "renamed")
            seen["of"] = evidence_of(context, "each", 1)["posted_at"]
            seen["none"] = (states_of(context, "no such task"), evidence_of(context, "no such task"))

    def build() -> None:
        options: dict[str, Any] = {"mode": "target"}
        tasks: list[Any] = [
            ScriptedSwitchover(task_id=t, job_id=JOB, **options) for t in ("single", "other", "renamed")
        ]
        tasks.append(ScriptedSwitchover.partial(task_id="each", **options).expand(job_id=[JOB, JOB]))
        tasks >> Look(task_id="look")

    ended = run(build)
    assert ended.state == "success", ended.lines
    assert seen == {
        "all": [("renamed", -1), ("single", -1), ("each", 0), ("each", 1)],
        "each": {0: "success", 1: "success"},
        "look": {-1: "running"},
        "renamed": {-1: "success"},
        "of": "2026-11-23T12:13:00+00:00",
        "none": ({}, {}),
    }
