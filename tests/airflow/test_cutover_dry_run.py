"""A dry run of a whole cutover in a real Airflow: what is ready and compared, the plan, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, task

from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.protocol import DrsArgumentError
from airflow_provider_drs.simulator import Simulator
from tests.airflow.cutovers import Run, job, run
from tests.constants import JOB, SWITCH

pytestmark = pytest.mark.usefixtures("clock")

FROM_PARAMS = "{{ params.dry_run }}"
SKIPPED = ("approval", "check", "rollback_gate", "back", "switched", "next")


def _check(switchover: dict[str, Any]) -> None:
    assert switchover["outcome"] == "done"


def _run(dry_run: Any, *, native: bool = False, conf: Any = None, **options: Any) -> Run:
    def build() -> None:
        group = cutover(
            job_id=JOB,
            mode="target",
            verify=task(task_id="check")(_check),
            on_failure=BaseOperator(task_id="back"),
            switchover_kwargs={"dry_run": dry_run},
            **options,
        )
        group >> task(task_id="next")(lambda: None)()

    dag = {"params": {"dry_run": False}, "render_template_as_native_obj": native}
    return run(build, dag=dag, run_conf={} if conf is None else {"dry_run": conf})


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(("dry_run", "conf"), [(True, None), ("true", None), (FROM_PARAMS, True)])
def test_a_dry_run_plans_and_skips_the_rest(
    dry_run: Any, conf: Any, native: bool, drs: Simulator, airflow_db: None
) -> None:
    drs.add_job(job(compare_seconds=0.0))
    ended = _run(dry_run, native=native, conf=conf, approve=True, compare="objects")
    ran = dict.fromkeys(("ready", "comparison", "dry_run", "switchover", "done"), "success")
    assert ended.tasks == {**ran, "for_real": "skipped", **dict.fromkeys(SKIPPED, "skipped")}
    assert ended.state == "success"
    assert drs.calls(SWITCH) == []
    plan = ended.pull("cutover.done")
    assert plan == ended.pull("cutover.switchover")
    assert (plan["dry_run"], plan["ready"], plan["call"]["method"]) == (True, True, "POST")


@pytest.mark.parametrize("dry_run", ["false", FROM_PARAMS])
def test_a_run_that_turns_out_to_be_none(dry_run: Any, drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job(compare_refused="DRS.M00304"))
    ended = _run(dry_run, compare="objects", on_compare_unavailable="skip")
    ran = dict.fromkeys(("ready", "for_real", "switchover", "check", "done", "switched", "next"), "success")
    skipped = dict.fromkeys(("comparison", "dry_run", "rollback_gate", "back"), "skipped")
    assert (ended.tasks, ended.state) == ({**ran, **skipped}, "success")
    assert drs.switched(JOB) == ["target"]
    assert ended.pull("cutover.done")["outcome"] == "done"


def test_no_dry_run_needs_no_tasks_for_it() -> None:
    with DAG("d", schedule=None) as dag:
        cutover(job_id=JOB, mode="target", switchover_kwargs={"dry_run": False})
    assert dag.task_ids == ["cutover.ready", "cutover.switchover"]


def test_a_dry_run_by_the_default_arguments_of_the_dag() -> None:
    with DAG("d", schedule=None, default_args={"dry_run": True}) as dag:
        cutover(job_id=JOB, mode="target")
    assert "cutover.for_real" in dag.task_ids


def test_what_is_no_answer_is_an_error_when_the_dag_is_read() -> None:
    with DAG("d", schedule=None), pytest.raises(ValueError, match="dry_run must be true or false"):
        cutover(job_id=JOB, mode="target", switchover_kwargs={"dry_run": "perhaps"})


def test_where_nobody_says_whether_it_is_one_nothing_goes_on(drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job())
    ended = _run("{{ none }}")
    assert isinstance(ended.errors["dry_run"], DrsArgumentError)
    assert (ended.tasks["switchover"], ended.state) == ("upstream_failed", "failed")
    assert drs.calls(SWITCH) == []


def test_a_job_that_is_never_ready_ends_as_without_a_dry_run(drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job(status="CREATE_FAILED"))
    ended = _run(FROM_PARAMS, conf=True)
    failed = dict.fromkeys(
        ("dry_run", "for_real", "switchover", "check", "done", "switched", "next"), "upstream_failed"
    )
    assert ended.tasks == {"ready": "failed", **failed, "rollback_gate": "skipped", "back": "skipped"}
    assert "there was no switchover" in ended.reason()


def test_a_job_that_was_passed_over_is_not_even_planned(drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job(status="CREATE_FAILED"))
    ended = _run(True, ready_kwargs={"soft_fail": True})
    assert set(ended.tasks.values()) == {"skipped"}


def test_a_verification_that_would_run_without_a_switchover() -> None:
    with DAG("d", schedule=None), pytest.raises(ValueError, match="verify: check has the trigger rule 'none_failed'"):
        cutover(
            job_id=JOB,
            mode="target",
            verify=BaseOperator(task_id="check", trigger_rule="none_failed"),
            switchover_kwargs={"dry_run": True},
        )
