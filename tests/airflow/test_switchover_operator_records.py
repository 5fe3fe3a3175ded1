"""The record is read before anything else: what a further try does with what it finds, or does not find."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_drs import exceptions
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.operators.task_state import EVIDENCE_KEY, RECORD_KEY
from airflow_provider_drs.protocol.switchover.phases import Phase
from airflow_provider_drs.protocol.switchover.record import Record
from airflow_provider_drs.simulator import Fault, Job, Simulator
from tests.airflow.api_faults import FOR_EVER, ApiFaults
from tests.airflow.waits import Ended, in_mode, run_task
from tests.clock import FakeClock
from tests.constants import COMPLETE, FAILED, GET_STATUS, JOB, OPERATOR_MODES, START, SWITCH

Begin = Callable[[Any], None]


INTENDED = Record(JOB, "target", phase=Phase.INTENDED, posted_at=1.0)


class DiesOnceError(Exception):
    """What ends the first try of a task."""


def _switch(way: str, clock: FakeClock, first: Begin | None = None, **kwargs: Any) -> Ended:
    """Run the operator; where ``first`` is given, it is called in its place in the first try, which is over then."""

    class Operator(DrsSwitchoverOperator):
        def execute(self, context: Any) -> Any:
            if first and context["ti"].try_number == 1:
                first(context)
                raise DiesOnceError
            return super().execute(context)

    options = {"job_id": JOB, "mode": "target", "settle": None, "retries": 1, "retry_delay": timedelta(0), **kwargs}
    return run_task(lambda task_id, calls: Operator(task_id=task_id, **calls, **in_mode(way), **options), way, clock)


def _saves(record: Any) -> Begin:
    """Return a beginning that leaves ``record`` in the store."""
    data = record.to_dict() if isinstance(record, Record) else record
    return lambda context: context["task_state_store"].set(RECORD_KEY, data)


def _nothing(context: Any) -> None:
    """Die before anything was saved."""


def _evidence_alone(context: Any) -> None:
    """Leave evidence, and nothing in the store: someone has emptied it, or Airflow was upgraded."""
    context["ti"].xcom_push(key=EVIDENCE_KEY, value={"outcome": "begun"})


def _job(*after: str | None) -> Job:
    return Job(JOB, status_script=[None], status_after_switch=list(after) or [START, COMPLETE])


@pytest.mark.parametrize("way", OPERATOR_MODES)
@pytest.mark.parametrize("status", [None, START, COMPLETE])
def test_a_further_try_that_finds_evidence_alone_never_switches(
    way: str, status: str | None, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    """The row was deleted, or Airflow was upgraded in between."""
    drs.add_job(Job(JOB, status_script=[status, status, COMPLETE]))
    ended = _switch(way, clock, first=_evidence_alone)
    assert (ended.state, type(ended.error)) == ("failed", exceptions.DrsSwitchoverUnknownError)
    assert "Start a new DAG run" in str(ended.error)
    assert drs.calls(SWITCH) == []
    assert ended.evidence["outcome"] == ended.xcom["outcome"] == "unknown"


@pytest.mark.parametrize("way", OPERATOR_MODES)
def test_a_retry_begins_where_no_try_before_has(way: str, drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(_job())
    ended = _switch(way, clock, first=_nothing)
    assert (ended.xcom["outcome"], drs.switched(JOB)) == ("done", ["target"]), ended.error


@pytest.mark.parametrize("emptied", ["True", "False"])
def test_a_store_that_is_emptied_on_success_changes_evidence_alone(
    emptied: str, drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", emptied)
    drs.add_job(_job())
    assert _switch("poke", clock).xcom["outcome"] == "done"
    ended = _switch("poke", clock, first=_evidence_alone)
    assert type(ended.error) is exceptions.DrsSwitchoverUnknownError
    assert drs.switched(JOB) == ["target"]


@pytest.mark.parametrize(
    "saved",
    [
        *("text", 7, ["list"], {"phase": "accepted"}, {"job_id": JOB, "mode": "target"}),
        {"job_id": JOB, "mode": "target", "phase": "of a later version"},
        {"job_id": JOB, "mode": "target", "phase": "accepted", "posted_at": "yesterday"},
        {"job_id": JOB, "mode": "target", "phase": "accepted", "observed": [None]},
        {"job_id": JOB, "mode": "target", "phase": "accepted", "posted_at": 1e300},
    ],
)
def test_what_cannot_be_understood_is_unknown(
    saved: Any, drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    drs.add_job(_job())
    faults = ApiFaults(monkeypatch, clock, "none")
    ended = _switch("poke", clock, first=_saves(saved))
    assert type(ended.error) is exceptions.DrsSwitchoverUnknownError
    assert "cannot be understood" in str(ended.error)
    assert ended.evidence["outcome"] == "unknown"
    assert drs.journal == []
    assert [write for write in faults.writes if write.startswith("saved: ")][1:] == [], "what is there is left alone"


@pytest.mark.parametrize("lasts", [45.0, FOR_EVER])
@pytest.mark.parametrize("way", OPERATOR_MODES)
def test_a_store_that_cannot_be_read_on_the_first_try(
    way: str, lasts: float, drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trouble before anything was asked."""
    drs.add_job(_job())
    ApiFaults(monkeypatch, clock, "read", lasts=lasts)
    ended = _switch(way, clock, retries=0)
    if lasts == FOR_EVER:
        assert (ended.state, type(ended.error)) == ("failed", exceptions.DrsError)
        assert "cannot be read" in str(ended.error)
        assert "DRS is not asked" in str(ended.error)
        assert drs.journal == []
        assert 900 <= clock.now - clock.started < 1000
    else:
        assert ended.xcom["outcome"] == "done", ended.error
        assert drs.switched(JOB) == ["target"]


@pytest.mark.parametrize("lasts", [45.0, FOR_EVER])
@pytest.mark.parametrize("phase", [None, Phase.BEGUN, Phase.ACCEPTED])
def test_a_store_that_cannot_be_read_on_a_further_try(
    phase: Phase | None, lasts: float, drs: Simulator, airflow_db: None, clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    drs.add_job(_job())
    record = Record(JOB, "target", phase=phase or Phase.BEGUN, began_at=clock.now)
    faults = ApiFaults(monkeypatch, clock, "read", lasts=lasts)
    ended = _switch("poke", clock, first=_saves(record) if phase else _evidence_alone)
    if lasts == FOR_EVER or phase is None:
        assert type(ended.error) is exceptions.DrsError if lasts == FOR_EVER else exceptions.DrsSwitchoverUnknownError
        assert ("cannot be read" in str(ended.error)) is (lasts == FOR_EVER)
        assert "not known" in str(ended.error)
    assert faults.hits == 1
    assert len(drs.calls(SWITCH)) == (1 if (lasts, phase) == (45.0, Phase.BEGUN) else 0)


@pytest.mark.parametrize("phase", [None, Phase.ACCEPTED])
def test_a_store_of_ones_own_that_cannot_be_read(
    phase: Phase | None, drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API server answers, so that the evidence is there: the outcome is unknown, and nothing is overwritten."""
    drs.add_job(_job())
    record = Record(JOB, "target", phase=phase or Phase.BEGUN, posted_at=clock.now)
    faults = ApiFaults(monkeypatch, clock, "read", lasts=FOR_EVER, only="read")
    ended = _switch("poke", clock, first=_saves(record) if phase else _evidence_alone)
    assert type(ended.error) is exceptions.DrsSwitchoverUnknownError
    assert "cannot be read" in str(ended.error)
    assert ended.evidence["outcome"] == ended.xcom["outcome"] == "unknown"
    assert drs.journal == []
    assert [write for write in faults.writes if write.startswith("saved: ")] == (["saved: accepted"] if phase else [])


@pytest.mark.parametrize(
    "broken", [{"drs_conn_id": "{{ 'nobody' if ti.try_number > 1 else 'drs_default' }}"}, {"max_lag": "soon"}]
)
@pytest.mark.parametrize("phase", [None, Phase.BEGUN, Phase.INTENDED, Phase.ACCEPTED, Phase.UNKNOWN, Phase.FAILED])
def test_the_evidence_comes_from_the_record(
    phase: Phase | None, broken: dict[str, Any], drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    """Also of a try that cannot use its connection, or its arguments."""
    drs.add_job(_job())
    asked = phase not in (None, Phase.BEGUN)
    record = Record(JOB, "target", phase=phase or Phase.BEGUN, posted_at=clock.now if asked else None)
    ended = _switch("poke", clock, first=_saves(record) if phase else _evidence_alone, **broken)
    assert ended.state == "failed"
    assert ended.evidence["outcome"] == ended.xcom["outcome"] == (str(phase) if phase else "unknown")
    assert (ended.evidence["posted_at"] is not None) is asked
    assert drs.calls(SWITCH) == []


def test_a_first_try_that_cannot_use_its_connection_has_asked_evidence_alone(
    drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    """And its retry may switch: that it has begun stands in the store."""
    drs.add_job(_job())
    conn = "{{ 'nobody' if ti.try_number == 1 else 'drs_default' }}"
    ended = _switch("poke", clock, drs_conn_id=conn, retries=0)
    assert (type(ended.error), ended.evidence["outcome"]) == (exceptions.DrsConfigError, "begun")
    ended = _switch("poke", clock, drs_conn_id=conn)
    assert (ended.tries, ended.xcom["outcome"]) == (2, "done"), ended.error


@pytest.mark.parametrize("way", OPERATOR_MODES)
def test_the_record_of_another_job_or_mode_stops_the_task(
    way: str, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(_job())
    record = Record(JOB, "source", phase=Phase.ACCEPTED, posted_at=clock.now, accepted_at=clock.now)
    ended = _switch(way, clock, first=_saves(record))
    assert type(ended.error) is exceptions.DrsRecordError
    assert "mode source" in str(ended.error)
    assert "Nothing was changed" not in str(ended.error)
    assert (ended.evidence["outcome"], ended.evidence["mode"]) == ("accepted", "source")
    assert drs.journal == []


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (INTENDED, "an earlier try was about to ask"),
        (Record(JOB, "target", phase=Phase.LOST, posted_at=1.0), "the response to it was lost"),
        (Record(JOB, "target", phase=Phase.ACCEPTED, posted_at=1.0, accepted_at=1.0), "DRS has taken it"),
        (Record(JOB, "target", phase=Phase.ACCEPTED, attached=True), "that was joined may be running"),
    ],
)
def test_messages_tell_the_phase_as_it_was(
    record: Record, says: str, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(_job())
    drs.fault(GET_STATUS, Fault.status(503), times=None)
    ended = _switch("poke", clock, first=_saves(record), transient_error_timeout=20)
    assert type(ended.error) is exceptions.DrsUnavailableError
    assert says in str(ended.error)
    assert ("was asked for" in str(ended.error)) is (record.posted_at is not None and says[:2] != "an")


@pytest.mark.parametrize("final", [COMPLETE, FAILED])
def test_what_is_over_needs_no_drs(final: str, drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    phase = Phase.DONE if final == COMPLETE else Phase.FAILED
    record = Record(JOB, "target", phase=phase, posted_at=clock.now, finished_at=clock.now, status=final, max_tries=1)
    ended = _switch("poke", clock, first=_saves(record))
    assert ended.evidence["outcome"] == ended.xcom["outcome"] == str(phase)
    assert type(ended.error) in (DiesOnceError, exceptions.DrsSwitchoverFailedError)
    assert drs.journal == []


def test_evidence_without_a_return_value(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    drs.add_job(_job())
    ended = _switch("poke", clock, do_xcom_push=False)
    assert (ended.xcom, ended.evidence["outcome"]) == (None, "done")


def test_before_airflow_3_3_the_first_try_switches_and_no_other_does(
    drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no store there."""
    recording = DrsSwitchoverOperator._recording

    def without_store(self: Any, context: Any) -> Any:
        return recording(self, {key: value for key, value in context.items() if key != "task_state_store"})  # type: ignore[arg-type]

    monkeypatch.setattr(DrsSwitchoverOperator, "_recording", without_store)
    for way in OPERATOR_MODES:
        drs.add_job(_job(START, FAILED))
        ended = _switch(way, clock)
        assert type(ended.error) is exceptions.DrsSwitchoverFailedError
        assert ended.evidence["outcome"] == "failed"
    posts = len(drs.calls(SWITCH))
    assert posts == 2
    assert type(_switch("poke", clock, first=_evidence_alone).error) is exceptions.DrsSwitchoverUnknownError
    assert len(drs.calls(SWITCH)) == posts


@pytest.mark.parametrize(
    ("between", "outcome", "posts"),
    [
        (lambda store: None, "done", 1),
        # Emptied: nothing tells what another start of this try has done.
        (lambda store: store.delete(RECORD_KEY), "unknown", 0),
        # Another start of this try has come further.
        (lambda store: store.set(RECORD_KEY, INTENDED.to_dict()), "unknown", 0),
    ],
    ids=["as it was left", "emptied", "asked by another start"],
)
def test_a_start_that_left_trouble_to_the_triggerer_begins_again_from_what_is_saved(
    between: Callable[[Any], None], outcome: str, posts: int, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(_job())
    drs.fault(GET_STATUS, Fault.status(503), times=7)

    class Operator(DrsSwitchoverOperator):
        def execute_again(self, context: Any, event: dict[str, Any]) -> Any:
            between(context["task_state_store"])
            return super().execute_again(context, event)

    ended = run_task(
        lambda task_id, calls: Operator(task_id=task_id, **calls, deferrable=True, job_id=JOB, mode="target"),
        "deferrable",
        clock,
    )
    assert any("Deferring until DRS responds" in line for line in ended.levels("info"))
    assert ended.evidence["outcome"] == outcome, ended.error
    assert len(drs.calls(SWITCH)) == posts


def test_a_further_try_that_finds_evidence_alone_stays_on_its_worker(
    drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    """Once it began again, nothing would tell that it is a further try."""
    drs.add_job(_job())
    drs.fault(GET_STATUS, Fault.status(503), times=7)
    ended = _switch("deferrable", clock, first=_evidence_alone, on_running="attach")
    assert not any("Deferring until" in line for line in ended.levels("info"))
    assert type(ended.error) is exceptions.DrsSwitchoverUnknownError
    assert drs.calls(SWITCH) == []
