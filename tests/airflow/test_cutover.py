"""The group of tasks in a real Airflow: what runs, what does not, and what a cutover that failed leaves behind."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, TaskGroup

from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.simulator import Fault, Simulator
from tests.airflow.cutovers import job, run
from tests.constants import COMPLETE, FAILED, GET_STATUS, JOB, OPERATOR_MODES, START, SWITCH

pytestmark = pytest.mark.usefixtures("clock")


@dataclass
class Cutover:
    """One cutover with verification and rollback, and the states its tasks are to end in."""

    name: str
    ends: str
    job: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    faults: tuple[tuple[str, Fault], ...] = ()
    says: str = ""
    verified: bool = True
    rolled_back: bool = True
    run: str = "failed"
    posts: int = 1


# ready, switchover, check, rollback_gate, roll_back, done
ROWS = [
    Cutover(
        "all well",
        "success success success skipped skipped success",
        run="success",
        says="no task of its verification failed",
    ),
    Cutover(
        "never ready",
        "failed upstream_failed upstream_failed skipped skipped upstream_failed",
        job={"status": "INCRE_TRANSFER_FAILED"},
        posts=0,
        says="there was no switchover: cutover.switchover has not started (upstream_failed)",
    ),
    Cutover(
        "the lag has grown since",
        "success failed upstream_failed skipped skipped upstream_failed",
        job={"lag_script": [0, 0, 0, 900]},
        posts=0,
        says="nothing was changed",
    ),
    Cutover(
        "refused",
        "success failed upstream_failed skipped skipped upstream_failed",
        job={"on_switch": "refused", "error_code": "DRS.M00103"},
        says="nothing was changed",
    ),
    Cutover(
        "failed",
        "success failed upstream_failed success success upstream_failed",
        job={"after": [START, FAILED]},
        says="Rolling back: DRS reports that the switchover failed",
    ),
    Cutover(
        "unknown: a person decides",
        "success failed upstream_failed skipped skipped upstream_failed",
        job={"status_script": [COMPLETE], "after": [COMPLETE]},
        options={"switchover_kwargs": {"settle": None}},
        says="'unknown' and its task is failed: not certain; a person decides",
    ),
    Cutover(
        "no connection while it runs: a person decides",
        "success failed upstream_failed skipped skipped upstream_failed",
        job={"after": [START]},
        # The baseline is read twice.
        faults=(*[(GET_STATUS, Fault.json({"id": JOB}))] * 2, (GET_STATUS, Fault.no_permission())),
        says="a person",
    ),
    Cutover(
        "not verified",
        "success success failed success success upstream_failed",
        verified=False,
        says="Rolling back: the switchover is complete, and of its verification cutover.check failed",
    ),
    Cutover(
        "not verified, and no way back",
        "success success failed success failed upstream_failed",
        verified=False,
        rolled_back=False,
        says="of its verification cutover.check failed",
    ),
    Cutover(
        "failed before, and passed over",
        "skipped skipped skipped skipped skipped skipped",
        job={"status": "FULL_TRANSFER_FAILED"},
        options={"ready_kwargs": {"soft_fail": True}},
        run="success",
        posts=0,
        says="cutover.switchover was skipped and left no evidence",
    ),
]


@pytest.mark.parametrize("mode", OPERATOR_MODES)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_when_it_is_rolled_back(row: Cutover, mode: str, drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job(**row.job))
    for call, fault in row.faults:
        drs.fault(call, fault)
    told: list[tuple[str, str]] = []

    def check(switchover: dict[str, Any]) -> None:
        told.append(("check", switchover["outcome"]))
        assert row.verified, "the database does not answer"

    def roll_back(switchover: dict[str, Any]) -> None:
        told.append(("roll_back", switchover["outcome"]))
        assert row.rolled_back, "no way back"

    ended = run(
        lambda: cutover(
            job_id=JOB,
            mode="target",
            deferrable=mode == "deferrable",
            verify=check,
            on_failure=roll_back,
            **row.options,
        )
    )

    names = ("ready", "switchover", "check", "rollback_gate", "roll_back", "done")
    assert ended.tasks == dict(zip(names, row.ends.split(), strict=True))
    assert ended.state == row.run
    assert len(drs.calls(SWITCH)) == row.posts
    assert row.says in ended.reason()
    expected = []
    if ended.tasks["check"] in ("success", "failed"):
        expected += [("check", "done")]
    if ended.tasks["roll_back"] in ("success", "failed"):
        expected += [("roll_back", "done" if expected else "failed")]
    assert told == expected, "each got the evidence"
    if row.run == "success" and row.posts:
        assert ended.pull("cutover.done") == ended.pull("cutover.switchover")


@pytest.mark.parametrize(
    ("about", "options", "comparison", "switched"),
    [
        ({}, {}, "success", True),
        (
            {"compare_results": {"shop.orders": "INCONSISTENT"}},
            {"compare": "lines", "compare_kwargs": {"tables": {"shop": []}}},
            "failed",
            False,
        ),
        # DRS compares no tables unless it is told which: nothing is switched.
        ({}, {"compare": "lines", "on_compare_unavailable": "skip"}, "failed", False),
        ({"compare_refused": "DRS.M00304"}, {}, "failed", False),
        ({"compare_refused": "DRS.M00304"}, {"on_compare_unavailable": "skip"}, "skipped", True),
    ],
)
def test_the_comparison(
    about: dict[str, Any], options: dict[str, Any], comparison: str, switched: bool, drs: Simulator, airflow_db: None
) -> None:
    drs.add_job(job(**{"compare_seconds": 0.0, **about}))
    ended = run(lambda: cutover(job_id=JOB, mode="target", **{"compare": "objects", **options}))
    assert ended.tasks == {
        "ready": "success",
        "comparison": comparison,
        "switchover": "success" if switched else "upstream_failed",
    }
    assert drs.switched(JOB) == ["target"] * switched


def test_a_comparison_does_not_let_a_job_through_that_was_passed_over(drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job(status="CREATE_FAILED"))
    ended = run(
        lambda: cutover(
            job_id=JOB,
            mode="target",
            compare="objects",
            on_compare_unavailable="skip",
            ready_kwargs={"soft_fail": True},
        )
    )
    assert set(ended.tasks.values()) == {"skipped"}
    assert drs.calls(SWITCH) == []


def test_what_is_given_is_handed_on() -> None:
    with DAG("d", schedule=None) as dag:
        group = cutover(
            job_id="{{ params.job_id }}",
            mode="source",
            max_lag=timedelta(seconds=7),
            drs_conn_id="other",
            project_id="p",
            deferrable=True,
            group_id="move",
            compare="lines",
            approve={"subject": "Now?", "response_timeout": timedelta(hours=1)},
            ready_kwargs={"stable_samples": 9},
            compare_kwargs={"tables": {"shop": []}},
            switchover_kwargs={"on_running": "attach", "execution_timeout": timedelta(hours=2)},
        )
    assert isinstance(group, TaskGroup)
    tasks: dict[str, Any] = {task_id: dag.get_task(task_id) for task_id in dag.task_ids}
    assert list(tasks) == ["move.ready", "move.comparison", "move.approval", "move.switchover"]
    ready, comparison, approval, switchover = tasks.values()
    for drs_task in (ready, comparison, switchover):
        assert (drs_task.job_id, drs_task.drs_conn_id, drs_task.project_id) == ("{{ params.job_id }}", "other", "p")
        assert drs_task.deferrable is True
    assert (ready.max_lag, ready.stable_samples) == (timedelta(seconds=7), 9)
    assert (comparison.compare, comparison.tables) == ("lines", {"shop": []})
    assert (approval.subject, approval.response_timeout) == ("Now?", timedelta(hours=1))
    assert (approval.ready, approval.comparison, approval.mode) == ("move.ready", "move.comparison", "source")
    assert (approval.job_id, approval.max_lag) == ("{{ params.job_id }}", timedelta(seconds=7))
    assert (switchover.mode, switchover.max_lag, switchover.on_running) == ("source", timedelta(seconds=7), "attach")
    assert switchover.upstream_task_ids == {"move.approval"}


def _step(switchover: Any) -> None: ...


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"switchover_kwargs": {"wait_for_completion": False}}, ValueError, "wait_for_completion"),
        ({"switchover_kwargs": {"trigger_rule": "all_done"}}, TypeError, "trigger_rule"),
        ({"approve": {"trigger_rule": "all_done"}}, TypeError, "trigger_rule"),
        ({"switchover_kwargs": {"on_running": "attach"}, "verify": _step}, ValueError, "on_running='attach'"),
        ({"switchover_kwargs": {"on_running": "attach"}, "on_failure": _step}, ValueError, "on_running='attach'"),
        ({"approve": {"retries": 1}}, ValueError, "would ask again after a rejection"),
    ],
)
def test_what_cannot_be(options: dict[str, Any], error: type[Exception], says: str) -> None:
    with DAG("d", schedule=None), pytest.raises(error, match=says):
        cutover(job_id=JOB, mode="target", **options)


@pytest.mark.parametrize("default", [{"on_running": "attach"}, {"wait_for_completion": False}])
def test_what_cannot_be_the_default_of_a_dag(default: dict[str, Any]) -> None:
    [name] = default
    with DAG("d", schedule=None, default_args=default), pytest.raises(ValueError, match=name):
        cutover(job_id=JOB, mode="target", verify=_step)


@pytest.mark.parametrize(("given", "allowed"), [({}, True), ({"verify": _step}, False), ({"on_failure": _step}, False)])
def test_what_comes_out_of_a_template_is_left_to_the_operator(given: dict[str, Any], allowed: bool) -> None:
    with DAG("d", schedule=None) as dag:
        cutover(job_id=JOB, mode="target", **given)
    assert getattr(dag.get_task("cutover.switchover"), "attach_allowed", True) is allowed


@pytest.mark.parametrize(
    ("given", "has"),
    [
        ({}, set()),
        ({"verify": _step}, {"_step", "done"}),
        ({"on_failure": _step}, {"rollback_gate", "_step", "done"}),
        ({"verify": BaseOperator, "on_failure": _step}, {"outside", "rollback_gate", "_step", "done"}),
    ],
)
def test_what_is_downstream_of_the_group_waits_for_all_of_it(given: dict[str, Any], has: set[str]) -> None:
    with DAG("d", schedule=None) as dag:
        if given.get("verify") is BaseOperator:
            given = {**given, "verify": BaseOperator(task_id="outside")}
        cutover(job_id=JOB, mode="target", **given) >> BaseOperator(task_id="next")
    before = {name.removeprefix("cutover.") for name in dag.get_task("next").get_flat_relative_ids(upstream=True)}
    assert before == {"ready", "switchover", *has}


def test_an_approval_where_airflow_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException

    monkeypatch.setitem(sys.modules, "airflow.providers.standard.operators.hitl", None)
    # What needs it may have been loaded by another test.
    monkeypatch.delitem(sys.modules, "airflow_provider_drs.cutover_approval", raising=False)
    monkeypatch.delattr("airflow_provider_drs.cutover_approval", raising=False)
    with DAG("d", schedule=None), pytest.raises(AirflowOptionalProviderFeatureException, match=r"Airflow 3\.1"):
        cutover(job_id=JOB, mode="target", approve=True)


def test_a_dag_file_with_a_cutover_loads_nothing_that_needs_the_network() -> None:
    code = (
        "import sys; from airflow.sdk import BaseSensorOperator; before = set(sys.modules)\n"
        "import airflow_provider_drs.cutover; print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1]
    assert "'airflow_provider_drs.cutover'" in loaded
    heavy = ("'requests'", "'aiohttp'", "'keystoneauth1'", "'airflow_provider_drs.protocol.", "'airflow.triggers")
    assert not [name for name in heavy if name in loaded]
