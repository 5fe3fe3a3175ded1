"""Without a state store (before Airflow 3.3): a try that Airflow starts again, with the same number, asks DRS once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_drs.exceptions import DrsError, DrsSwitchoverUnknownError
from airflow_provider_drs.operators import earlier_start
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.operators.earlier_start import ASKED_KEY, no_try_has_begun
from airflow_provider_drs.operators.start_log import starts_in_log
from airflow_provider_drs.simulator import Fault, Job, Simulator
from tests.clock import FakeClock
from tests.constants import BATCH_STATUS, COMPLETE, GET_STATUS, JOB, START, SWITCH


class Run:
    """A run of one task in an Airflow that keeps XComs only.

    :param airflow: 3, which tells a start which XComs it wipes, or 2, which has a log of the starts.
    """

    def __init__(self, airflow: int) -> None:
        self.airflow = airflow
        self.xcoms: dict[str, Any] = {}
        self.starts = 0

    def start(self, try_number: int = 1) -> dict[str, Any]:
        """Return the context of a new start, for which Airflow has wiped the XComs."""
        wiped = list(self.xcoms)
        self.xcoms.clear()
        self.starts += 1
        ti = SimpleNamespace(
            dag_id="d", task_id="s", run_id="r", map_index=-1, try_number=try_number, max_tries=0, run=self,
            xcom_push=lambda key, value: self.push(key, value),
            xcom_pull=lambda task_ids, key, map_indexes=None: self.xcoms.get(key),
        )  # fmt: skip
        if self.airflow == 3:
            ti.get_task_states = lambda **_: {}
            ti._ti_context_from_server = SimpleNamespace(xcom_keys_to_clear=wiped)
        run = SimpleNamespace(get_task_instances=list, triggering_user_name=None)
        return {"ti": ti, "dag": SimpleNamespace(task_dict={}), "dag_run": run}

    def push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


@pytest.fixture(params=[2, 3], ids=["Airflow 2", "Airflow 3"])
def run(request: pytest.FixtureRequest, drs: Simulator, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(earlier_start, "starts_in_log", lambda ti: ti.run.starts, raising=False)
    drs.add_job(Job(JOB, status_script=[None], status_after_switch=[START, COMPLETE]))
    return Run(request.param)


def _execute(context: dict[str, Any], **options: Any) -> dict[str, Any]:
    operator = DrsSwitchoverOperator(task_id="s", job_id=JOB, mode="target", deferrable=False, settle=None, **options)
    return operator.execute(context)  # type: ignore[arg-type]


def test_a_try_that_has_asked_does_not_ask_again(run: Run, drs: Simulator) -> None:
    """Though it is done, and all that tells so is wiped."""
    assert _execute(run.start())["outcome"] == "done"
    with pytest.raises(DrsSwitchoverUnknownError):
        _execute(run.start())
    assert drs.switched(JOB) == ["target"]
    assert run.xcoms["switchover"]["outcome"] == "unknown"


def test_what_was_refused_before_it_was_asked_for_may_be_started_again_where_airflow_tells(
    run: Run, drs: Simulator
) -> None:
    context = run.start()
    run.push("switchover", {"outcome": "begun"})  # and there the worker dies
    context = run.start()
    if run.airflow == 3:
        assert _execute(context)["outcome"] == "done"
    else:
        with pytest.raises(DrsSwitchoverUnknownError):
            _execute(context)
    assert drs.switched(JOB) == (["target"] if run.airflow == 3 else [])


def test_a_start_that_is_resumed_twice_asks_once(drs: Simulator, clock: FakeClock) -> None:
    """It has left trouble to the triggerer; resumed, it asks and is lost. Airflow wipes nothing as it resumes again."""
    drs.add_job(Job(JOB, status_script=[None], status_after_switch=[START]))
    drs.fault(GET_STATUS, Fault.status(503), times=4)
    context = Run(3).start()
    operator = DrsSwitchoverOperator(task_id="s", job_id=JOB, mode="target", deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)  # type: ignore[arg-type]
    assert deferred.value.method_name == "execute_again"
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute_again(context, {"outcome": "ready"})  # type: ignore[arg-type]
    assert deferred.value.method_name == "execute_complete"
    with pytest.raises(DrsSwitchoverUnknownError):
        operator.execute_again(context, {"outcome": "ready"})  # type: ignore[arg-type]
    assert len(drs.calls(SWITCH)) == 1
    assert context["ti"].run.xcoms["switchover"]["outcome"] == "unknown"


def test_two_starts_at_once(run: Run, drs: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other start comes to its request while this one reads the job."""
    first = run.start()
    monkeypatch.setattr(earlier_start, "starts_in_log", lambda ti: 1, raising=False)
    run.xcoms[ASKED_KEY] = 1
    with pytest.raises(DrsSwitchoverUnknownError, match="started this try twice"):
        _execute(first)
    assert len(drs.calls(BATCH_STATUS)) == 1
    assert drs.calls(SWITCH) == []


def test_without_the_mark_nothing_is_asked(run: Run, drs: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    context = run.start()

    def push(key: str, value: Any) -> None:
        if key == ASKED_KEY:
            raise RuntimeError("nobody answers")
        run.xcoms[key] = value

    monkeypatch.setattr(run, "push", push)
    with pytest.raises(DrsError, match="DRS is not asked to switch while that lasts"):
        _execute(context, transient_error_timeout=60)
    assert drs.calls(SWITCH) == []
    assert run.xcoms["switchover"]["outcome"] == "read"


def test_a_further_try_never_switches(run: Run, drs: Simulator) -> None:
    with pytest.raises(DrsSwitchoverUnknownError):
        _execute(run.start(try_number=2))
    assert drs.calls(SWITCH) == []


@pytest.mark.parametrize(
    ("told", "max_tries", "has_begun"),
    [
        ([], 2, False),
        (["drs_console_link"], 2, False),
        (["drs_console_link", "switchover"], 2, True),
        (["drs_switchover_done_1_2"], 2, True),
        (["of_an_endings_own"], 2, True),
        # A person has cleared the task: what came before is not known.
        ([], 3, True),
        # Airflow does not tell: another version than any that is known.
        (None, 2, True),
    ],
)
def test_whether_a_try_has_begun(told: list[str] | None, max_tries: int, has_begun: bool) -> None:
    ti = SimpleNamespace(max_tries=max_tries, task=SimpleNamespace(retries=2))
    if told is not None:
        ti._ti_context_from_server = SimpleNamespace(xcom_keys_to_clear=told)
    assert no_try_has_begun(ti) is not has_begun


def test_how_often_a_try_was_started_by_the_log_of_airflow_2(airflow_db: None) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session

    ti = SimpleNamespace(dag_id="d", task_id="s", run_id="logged", map_index=-1, try_number=1)
    assert starts_in_log(ti) == 0
    with create_session() as session:
        for event, number in (("running", 1), ("running", 1), ("running", 2), ("success", 1)):
            log = Log(event)
            for name, value in {**vars(ti), "try_number": number}.items():
                setattr(log, name, value)
            session.add(log)
    assert starts_in_log(ti) == 2
