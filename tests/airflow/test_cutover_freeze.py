"""A cutover that stops the writers: whatever fails, they are let go again, but where nobody knows which side serves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.cutover_freeze import decide_thaw, told_to_thaw
from airflow_provider_drs.cutover_results import Situation
from airflow_provider_drs.simulator import Fault, Simulator
from tests.airflow.cutovers import Run, ScriptedSwitchover, clear, evidence, job, run, script
from tests.airflow.test_cutover_approval import Answering, answers
from tests.constants import COMPLETE, FAILED, GET_STATUS, JOB, OPERATOR_MODES, START, SWITCH

__all__ = ["answers"]

pytestmark = pytest.mark.usefixtures("clock")

BEFORE = ("ready", "freeze_gate", "stop", "caught_up")
NAMES = (*BEFORE, "switchover", "check", "rollback_gate", "back", "thaw_gate", "go", "done")
SHORT = {"s": "success", "f": "failed", "u": "upstream_failed", "-": "skipped"}
UNKNOWN: Any = {"job": {"status_script": [COMPLETE], "after": [COMPLETE]}, "settle": None}
LOST = (*[(GET_STATUS, Fault.json({"id": JOB}))] * 2, (GET_STATUS, Fault.no_permission()))


@dataclass
class Frozen:
    """What happens in a cutover, and how each of its tasks is to end: s, f, u(pstream_failed) or - (skipped)."""

    name: str
    ends: str
    told: str | None  # the outcome that thaw was given, None where it did not run
    job: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    faults: tuple[tuple[str, Fault], ...] = ()
    raises: tuple[str, ...] = ()
    settle: float | None = 30
    posts: int = 1


# ready freeze_gate stop caught_up switchover check rollback_gate back thaw_gate go done
ROWS = [
    Frozen("all well", "s s s s s s - - s s s", "done"),
    Frozen("never ready", "f u u u u u - - - - u", None, job={"status": "CREATE_FAILED"}, posts=0),
    Frozen(
        "different",
        "s u u u u u - - - - u",
        None,
        job={"compare_seconds": 0.0, "compare_results": {"shop": "INCONSISTENT"}},
        options={"compare": "objects"},
        posts=0,
    ),
    Frozen("freeze fails", "s s f u u u - - s s u", "not started", raises=("stop",), posts=0),
    Frozen("the lag stays", "s s s f u u - - s s u", "not started", job={"lag_script": [0, 0, 0, 900]}, posts=0),
    Frozen("a guard", "s s s s f u - - s s u", "read", job={"lag_script": [*[0] * 6, 1]}, posts=0),
    Frozen("refused", "s s s s f u - - s s u", "refused", job={"on_switch": "refused", "error_code": "DRS.M00103"}),
    Frozen("failed", "s s s s f u s s s s u", "failed", job={"after": [START, FAILED]}),
    Frozen("unknown", "s s s s f u - - f u u", None, **UNKNOWN),
    Frozen("unknown, never mind", "s s s s f u - - s s u", "unknown", options={"thaw_on_unknown": True}, **UNKNOWN),
    Frozen("lost from sight", "s s s s f u - - f u u", None, job={"after": [START]}, faults=LOST),
    Frozen("not verified", "s s s s s f s s s s u", "done", raises=("check",)),
    Frozen("no way back", "s s s s s f s f s s u", "done", raises=("check", "back")),
    Frozen("thaw fails", "s s s s s s - - s f u", "done", raises=("go",)),
    Frozen(
        "passed over",
        "- - - - - - - - - - -",
        None,
        job={"status": "CREATE_FAILED"},
        options={"ready_kwargs": {"soft_fail": True}},
        posts=0,
    ),
]


class Site:
    """Where somebody writes: what was done to it, and what that was told."""

    def __init__(self, *raises: str) -> None:
        self.raises = raises
        self.done: list[tuple[str, Any]] = []

    def step(self, name: str) -> Any:
        def step(told: Any) -> None:
            self.done.append((name, told))
            if name in self.raises:
                raise RuntimeError(f"{name} does not work")

        step.__name__ = name
        return step

    def named(self, name: str) -> list[Any]:
        return [told for what, told in self.done if what == name]

    def run(self, *, on_failure: Any = None, dag: Any = None, **options: Any) -> Run:
        def build() -> None:
            cutover(
                job_id=JOB,
                mode="target",
                max_lag=60,
                freeze=self.step("stop"),
                verify=self.step("check"),
                on_failure=on_failure() if on_failure else self.step("back"),
                thaw=self.step("go"),
                catch_up_timeout=timedelta(minutes=2),
                **options,
            )

        return run(build, dag=dag, without_retries=("cutover.go",))


@pytest.mark.parametrize("mode", OPERATOR_MODES)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_whatever_fails_the_writers_are_let_go(row: Frozen, mode: str, drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job(**row.job))
    for call, fault in row.faults:
        drs.fault(call, fault)
    site = Site(*row.raises)
    ended = site.run(
        deferrable=mode == "deferrable",
        switchover_kwargs={"settle": row.settle},
        **{"compare": None, **row.options},
    )
    expected = {name: SHORT[end] for name, end in zip(NAMES, row.ends.split(), strict=True)}
    assert {name: state for name, state in ended.tasks.items() if name != "comparison"} == expected
    assert ended.state == ("success" if set(row.ends.split()) <= {"s", "-"} else "failed")
    assert len(drs.calls(SWITCH)) == row.posts
    told = site.named("go")
    assert [each["outcome"] for each in told] == ([] if row.told is None else [row.told])
    for each in told:
        assert (each["job_id"], each["mode"], each["witness"]["at_end"]["side"]) == (JOB, "target", None)
    if expected["thaw_gate"] == "failed":
        assert "The writers stay stopped: the outcome of cutover.switchover" in str(ended.errors["thaw_gate"])
        assert "mark this task success" in str(ended.errors["thaw_gate"])
    order = [name for name, _ in site.done]
    assert order == [name for name in ("stop", "check", "back", "go") if name in order], "in this order, each once"
    if "stop" in order:
        assert set(site.named("stop")[0]) == {JOB}, "freeze is told what was found ready"


@pytest.mark.parametrize("answers", [("Reject",)], indirect=True)
@pytest.mark.parametrize("final", [True, False])
def test_a_rejection_stops_nobody(final: bool, answers: Answering, drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job())
    site = Site()
    ended = site.run(approve={"fail_on_reject": final})
    assert site.done == []
    after = ("freeze_gate", "stop", "caught_up", "switchover", "check", "done")
    assert {ended.tasks[name] for name in after} == {"upstream_failed" if final else "skipped"}
    assert {ended.tasks[name] for name in ("thaw_gate", "go", "back")} == {"skipped"}


@pytest.mark.parametrize("answers", [("Approve",)], indirect=True)
def test_nobody_is_stopped_before_the_approval(answers: Answering, drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job())
    site = Site()
    ended = site.run(approve=True)
    assert ended.state == "success"
    starts = {ti.task_id: ti.start_date for ti in ended.run.get_task_instances()}
    assert starts["cutover.approval"] < starts["cutover.stop"] < starts["cutover.caught_up"]


def test_a_dry_run_stops_nobody(drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job())
    site = Site()
    ended = site.run(switchover_kwargs={"dry_run": True})
    assert (site.done, ended.state) == ([], "success")
    left = {name for name, state in ended.tasks.items() if state == "success"}
    assert left == {"ready", "dry_run", "switchover", "done"}


def test_a_way_back_of_which_nobody_knows_the_end(
    drs: Simulator, airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    drs.add_job(job())
    site = Site("check")
    script(
        monkeypatch,
        **{"cutover.switchover": [evidence("cutover.switchover")], "way_back": [evidence("way_back", "unknown", 5)]},
    )
    back = lambda: ScriptedSwitchover(task_id="way_back", job_id=JOB, mode="source")  # noqa: E731
    ended = site.run(on_failure=back)
    assert "the outcome of way_back is 'unknown'" in str(ended.errors["thaw_gate"])
    assert site.named("go") == []

    marked = clear(ended, "cutover.thaw_gate", "cutover.go", "cutover.done", success=("way_back",))
    assert (marked.tasks["thaw_gate"], marked.tasks["go"]) == ("success", "success")
    assert [told["decided_by"] for told in site.named("go")] == ["person"]


def test_a_person_who_has_looked_lets_them_go(drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job(**UNKNOWN["job"]))
    site = Site()
    held = site.run(switchover_kwargs={"settle": None})
    assert held.tasks["thaw_gate"] == "failed"
    again = clear(held, "cutover.thaw_gate", "cutover.go", "cutover.done")
    assert (again.tasks["thaw_gate"], site.named("go")) == ("failed", []), "a clear says nothing about the side"
    marked = clear(again, "cutover.go", "cutover.done", success=("cutover.thaw_gate",))
    assert (marked.tasks["go"], marked.state) == ("success", "failed")
    assert [told["outcome"] for told in site.named("go")] == ["unknown"]


def test_a_switchover_that_is_cleared_does_not_find_the_writers_writing(drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job(on_switch="refused", error_code="DRS.M00103"))
    site = Site()
    ended = site.run()
    assert len(site.named("go")) == 1
    drs.add_job(job())
    own = [f"cutover.{name}" for name in NAMES[4:]]
    again = clear(ended, *own)
    assert (again.tasks["switchover"], drs.switched(JOB)) == ("failed", [])
    assert "clear cutover.freeze_gate" in str(ended.errors["switchover"])
    assert len(site.named("stop")) == 1

    whole = clear(again, "cutover.freeze_gate", "cutover.stop", "cutover.caught_up", *own)
    assert (whole.tasks["switchover"], whole.state, drs.switched(JOB)) == ("success", "success", ["target"])
    assert (len(site.named("stop")), len(site.named("go"))) == (2, 3)


def test_thaw_is_tried_again_unless_it_has_retries_of_its_own() -> None:
    with DAG("d", schedule=None) as dag:
        mine = BaseOperator(task_id="mine", retries=7)
        cutover(job_id=JOB, mode="target", freeze=_step, thaw=[mine, BaseOperator(task_id="other")])
    assert [dag.get_task(name).retries for name in ("mine", "other", "cutover._step")] == [7, 3, 0]
    limits = [getattr(dag.get_task(f"cutover.{name}"), "max_lag", None) for name in ("switchover", "caught_up")]
    assert limits == [0, 0]


def _step(told: Any) -> None: ...


@pytest.mark.parametrize(
    ("options", "dag", "says"),
    [
        ({"freeze": _step}, {}, "freeze and thaw belong together"),
        ({"thaw": _step}, {}, "freeze and thaw belong together"),
        ({"freeze": _step, "thaw": _step}, {"dagrun_timeout": timedelta(hours=1)}, "dagrun_timeout"),
        ({"freeze": _step, "thaw": _step, "thaw_on_unknown": "perhaps"}, {}, "thaw_on_unknown"),
        ({"freeze": _step, "thaw": "all_done"}, {}, "thaw: step has the trigger rule 'all_done'"),
        ({"freeze": "none_failed", "thaw": _step}, {}, "freeze: step has the trigger rule 'none_failed'"),
    ],
)
def test_what_could_leave_the_writers_stopped(options: dict[str, Any], dag: dict[str, Any], says: str) -> None:
    with DAG("d", schedule=None, **dag):
        made: dict[str, Any] = {
            name: BaseOperator(task_id="step", trigger_rule=given) if given in ("all_done", "none_failed") else given
            for name, given in options.items()
        }
        with pytest.raises(ValueError, match=says):
            cutover(job_id=JOB, mode="target", **made)


def _witness(side: str | None) -> dict[str, Any]:
    return {"witness": {"at_start": None, "at_end": {"side": side, "value": side, "at": None}, "decided": False}}


OWN = "cutover.switchover"


@pytest.mark.parametrize(
    ("last", "state", "caught_up", "go"),
    [
        ({}, None, "failed", True),
        ({}, "upstream_failed", "failed", True),
        ({}, "skipped", "skipped", True),
        ({}, "skipped", "success", False),
        ({}, "failed", "success", False),
        ({}, "success", "success", False),
        ({}, "not known", "success", False),
        *[(evidence(OWN, each), "failed", "success", True) for each in ("begun", "read", "refused", "failed", "done")],
        (evidence(OWN, "already"), "success", "success", True),
        *[
            (evidence(OWN, each, **_witness(None)), "failed", "success", False)
            for each in ("intended", "accepted", "lost", "unknown", "disputed", "something new")
        ],
        *[
            (evidence(OWN, each, **_witness(side)), "failed", "success", True)
            for each in ("unknown", "disputed")
            for side in ("before", "after")
        ],
        (
            evidence(OWN, "unknown", witness={"at_start": _witness("before"), "at_end": None}),
            "failed",
            "success",
            False,
        ),
        (evidence(OWN, "unknown", decided_by="person"), "success", "success", True),
    ],
)
def test_where_the_side_is_known_they_are_let_go(
    last: dict[str, Any], state: str | None, caught_up: str | None, go: bool
) -> None:
    found = Situation(OWN, last, state)
    let_go, reason = decide_thaw(found, last, caught_up=caught_up, on_unknown=False)
    assert (let_go, "\n" in reason) == (go, False)
    assert decide_thaw(found, last, caught_up=caught_up, on_unknown=True)[0]
    told = told_to_thaw(JOB, "target", last)
    assert told["witness"]["at_end"].keys() == {"side", "value", "at"}
    assert told["outcome"] == last.get("outcome", "not started")
