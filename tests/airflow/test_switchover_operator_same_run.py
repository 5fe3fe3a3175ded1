"""One run, one story: what a switchover makes of those that other tasks of its run have made of the same job."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_drs import exceptions
from airflow_provider_drs.operators import same_run
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.operators.task_state import RECORD_KEY
from airflow_provider_drs.protocol.switchover.phases import Phase
from airflow_provider_drs.protocol.switchover.record import Record
from airflow_provider_drs.simulator import Fault, Job, Simulator
from tests.airflow.waits import in_mode
from tests.clock import FakeClock
from tests.constants import COMPLETE, FAILED, JOB, OPERATOR_MODES, OTHER_JOB, START, SWITCH

Errors = dict[str, BaseException | None]


def _run(build: Callable[[Callable[..., DrsSwitchoverOperator]], Any]) -> tuple[Any, Errors]:
    """Run the DAG that ``build`` makes of operators; return the run, and how each task failed at last."""
    from airflow.sdk import DAG

    errors: Errors = {}

    def note(context: Any) -> None:
        errors[context["ti"].task_id] = context.get("exception")

    def operator(task_id: str, kind: type[DrsSwitchoverOperator] = DrsSwitchoverOperator, **kwargs: Any) -> Any:
        return kind(task_id=task_id, on_failure_callback=note, **{"job_id": JOB, "mode": "target", **kwargs})

    with DAG("wait_poke", schedule=None) as dag:  # one that Airflow finds in a file
        build(operator)
    return dag.test(), errors


def _evidence(run: Any, task_id: str) -> dict[str, Any]:
    ti = run.get_task_instance(task_id)
    evidence = ti.xcom_pull(task_ids=task_id, key="switchover")
    assert isinstance(evidence, dict)
    return evidence


def _job(*after: str | None) -> Job:
    return Job(JOB, status_script=[None], status_after_switch=list(after) or [START, COMPLETE])


@pytest.mark.parametrize("way", OPERATOR_MODES)
def test_there_and_back(way: str, drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(_job())
    run, errors = _run(lambda make: make("there", **in_mode(way)) >> make("back", mode="source", **in_mode(way)))
    assert errors == {}
    assert drs.switched(JOB) == ["target", "source"]
    assert [_evidence(run, task)["outcome"] for task in ("there", "back")] == ["done", "done"]


@pytest.mark.parametrize("way", OPERATOR_MODES)
@pytest.mark.parametrize(
    ("first", "fault", "outcome"),
    [
        ({"wait_for_completion": False}, None, "accepted"),
        ({"decide_within": 20}, Fault.empty(202), "unknown"),
        ({"transient_error_timeout": 20}, None, "accepted"),
    ],
)
def test_nobody_switches_while_another_tasks_switchover_is_open(
    way: str, first: dict[str, Any], fault: Fault | None, outcome: str,
    drs: Simulator, airflow_db: None, clock: FakeClock,
) -> None:  # fmt: skip
    drs.add_job(_job(START, START, START, COMPLETE))
    if fault:
        drs.fault(SWITCH, fault)
    if "transient_error_timeout" in first:
        drs.fault("get-switch-vip-status", Fault.json({"id": JOB, "status": None}), times=2)
        drs.fault("get-switch-vip-status", Fault.status(503), times=6)
    run, errors = _run(
        lambda make: (
            make("there", **in_mode(way), **first)
            >> [make("back", mode="source", trigger_rule="all_done"), make("elsewhere", job_id=OTHER_JOB, retries=0)]
        )
    )
    assert _evidence(run, "there")["outcome"] == outcome
    assert type(errors["back"]) is exceptions.DrsRecordError
    assert "task 'there' of this run is open" in str(errors["back"])
    assert "Nothing was changed" not in str(errors["back"])
    assert len(drs.calls(SWITCH)) == 1
    assert _evidence(run, "back")["posted_at"] is None


def test_after_a_failure_the_way_back_is_switched(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(_job(START, FAILED))
    _, errors = _run(lambda make: make("there") >> make("back", mode="source", trigger_rule="all_done"))
    assert drs.switched(JOB) == ["target", "source"]
    assert type(errors["there"]) is exceptions.DrsSwitchoverFailedError


@pytest.mark.parametrize("cleared", [True, False])
def test_a_switchover_that_another_task_has_superseded(
    cleared: bool, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    """A retry says which is the last; a clear begins anew behind guards, and the evidence shows the earlier one."""
    drs.add_job(_job())
    before = clock.now - 100

    class Again(DrsSwitchoverOperator):
        def execute(self, context: Any) -> Any:
            ti = context["ti"]
            if ti.try_number == 1:
                done = Record(JOB, "target", Phase.DONE, posted_at=before, finished_at=before + 5)
                done.max_tries = ti.max_tries - (1 if cleared else 0)  # it grows when a person clears the task
                context["task_state_store"].set(RECORD_KEY, done.to_dict())
                raise RuntimeError("the worker dies after the end was saved")
            return super().execute(context)

    again = {"kind": Again, "retries": 1, "retry_delay": timedelta(0)}
    run, errors = _run(lambda make: make("back", mode="source") >> make("there", **again))
    if cleared:
        assert drs.switched(JOB) == ["source", "target"]
        evidence = _evidence(run, "there")
        assert (evidence["outcome"], len(evidence["guards"])) == ("done", 3)
        assert [earlier["outcome"] for earlier in evidence["earlier"]] == ["done"]
    else:
        assert drs.switched(JOB) == ["source"]
        assert type(errors["there"]) is exceptions.DrsRecordError
        assert "task 'back' of this run has switched the job since" in str(errors["there"])


@pytest.mark.parametrize("lasts", [2, 10**6])
def test_airflow_does_not_tell_what_others_have_done(
    lasts: int, drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trouble before anything was asked, like any other."""
    drs.add_job(_job())
    real, asked = same_run.switchovers_of_run, []

    def away(*args: Any) -> Any:
        asked.append(args)
        if len(asked) <= lasts:
            raise RuntimeError("nobody answers")
        return real(*args)

    monkeypatch.setattr(same_run, "switchovers_of_run", away)
    run, errors = _run(lambda make: make("there"))
    if lasts == 2:
        assert _evidence(run, "there")["outcome"] == "done", errors
    else:
        assert type(errors["there"]) is exceptions.DrsError
        assert "does not tell what other tasks" in str(errors["there"])
        assert (_evidence(run, "there")["outcome"], drs.calls(SWITCH)) == ("begun", [])


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            {
                "chosen_options": ["Approve"],
                "params_input": {},
                "responded_at": "2026-11-26T08:00:00+00:00",
                "responded_by_user": {"id": "7", "name": "ann"},
            },
            [{"by": "ann", "at": "2026-11-26T08:00:00+00:00", "answer": "Approve"}],
        ),
        (
            {"chosen_options": ["Approve"], "params_input": {}, "responded_at": None, "responded_by_user": None},
            [{"by": None, "at": None, "answer": "Approve"}],
        ),
        ("of a later version", []),
        (None, []),
    ],
)
def test_who_approved_is_in_the_evidence(
    answer: Any, told: list[dict[str, Any]], drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    from airflow.sdk import task

    drs.add_job(_job())

    def build(make: Callable[..., DrsSwitchoverOperator]) -> None:
        approval = task(task_id="approval")(lambda: answer)()
        switch = make("there")
        switch.approval_task_id = "approval"
        approval >> switch

    run, errors = _run(build)
    assert errors == {}
    assert _evidence(run, "there")["approvals"] == [{"task_id": "approval", **one} for one in told]


@pytest.mark.parametrize("allowed", [True, False])
def test_where_the_mode_matters_nothing_is_joined(
    allowed: bool, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(Job(JOB, status_script=[START, START, COMPLETE]))

    def build(make: Callable[..., DrsSwitchoverOperator]) -> None:
        make("there", on_running="attach").attach_allowed = allowed

    run, errors = _run(build)
    assert type(errors.get("there")) is (type(None) if allowed else exceptions.DrsArgumentError)
    assert _evidence(run, "there")["attached"] is allowed
    assert drs.calls(SWITCH) == []
