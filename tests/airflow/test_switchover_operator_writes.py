"""Airflow's API server goes away at a write: what is known is neither lost nor changed, and DRS is asked once.

Rows of each kind in a real Airflow; tests/histories/test_writes.py has the whole table.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_drs import exceptions
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.protocol.switchover.phases import Phase
from airflow_provider_drs.protocol.switchover.record import Record
from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor
from airflow_provider_drs.simulator import Job, Simulator
from tests.airflow.api_faults import FAULTS, FOR_EVER, ApiFaults
from tests.airflow.waits import Ended, in_mode, run_one, run_task
from tests.clock import FakeClock
from tests.constants import COMPLETE, FAILED, GET_STATUS, JOB, OPERATOR_MODES, START, SWITCH

FOR_A_WHILE = [
    *[("switchover: begun", "away before"), ("return_value: intended", "away before"), ("saved: START", "away before")],
    *[("return_value: accepted", "response lost"), ("saved: intended", "response lost")],
    *[("switchover: {}", "response lost"), ("saved: accepted", "away after"), ("switchover: START", "away after")],
    *[("saved: {}", "away after"), ("return_value: {}", "away after")],
]
TO_THE_END_OF_THE_TRY = [
    # (write, fault): outcome of the retry, POSTs
    (("saved: begun", "away before"), "done", 1),
    (("saved: intended", "response lost"), "unknown", 0),
    (("saved: accepted", "away after"), "done", 1),
    (("saved: done", "response lost"), "done", 1),
    (("return_value: done", "response lost"), "done", 1),
]


def _switch(way: str, clock: FakeClock, faults: ApiFaults | None = None, **kwargs: Any) -> Ended:
    class Operator(DrsSwitchoverOperator):
        """A second try finds the API server back."""

        def execute(self, context: Any) -> Any:
            if faults and context["ti"].try_number > 1:
                faults.come_back()
            return super().execute(context)

    options = {"job_id": JOB, "mode": "target", "settle": None, "retries": 1, "retry_delay": timedelta(0), **kwargs}
    return run_task(lambda task_id, calls: Operator(task_id=task_id, **calls, **in_mode(way), **options), way, clock)


def _job(final: str = COMPLETE) -> Job:
    return Job(JOB, status_script=[None], status_after_switch=[*[START] * 20, final], error_msg="in use")


@pytest.mark.parametrize("final", [COMPLETE, FAILED])
@pytest.mark.parametrize(("write", "fault"), FOR_A_WHILE)
@pytest.mark.parametrize("way", OPERATOR_MODES)
def test_away_for_a_while(
    way: str, write: str, fault: str, final: str,
    drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """It ends as if nothing had been: no write is so important that the work stops, none so small that it is lost."""
    drs.add_job(_job(final))
    outcome = "done" if final == COMPLETE else "failed"
    write = write.format(outcome)
    faults = ApiFaults(monkeypatch, clock, write, fault)
    ended = _switch(way, clock, faults)
    assert faults.hits == 1, faults.writes
    assert len(drs.calls(SWITCH)) == 1
    assert ended.evidence["outcome"] == ended.xcom["outcome"] == outcome, ended.error
    assert ended.state == ("success" if final == COMPLETE else "failed")
    # Airflow pushes the return value of a success itself; where that fails, it retries, and the record has it all.
    retried = (write, fault) == ("return_value: done", "away after")
    assert ended.tries == (2 if retried else 1)
    if final == FAILED:
        assert type(ended.error) is exceptions.DrsSwitchoverFailedError
    assert retried or final == FAILED or ended.error is None


@pytest.mark.parametrize("final", [COMPLETE, FAILED])
@pytest.mark.parametrize(("at", "outcome", "posts"), TO_THE_END_OF_THE_TRY)
@pytest.mark.parametrize("way", OPERATOR_MODES)
def test_away_to_the_end_of_the_try(
    way: str, at: tuple[str, str], outcome: str, posts: int, final: str,
    drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The retry ends as DRS has it; unknown only where what is stored cannot tell."""
    drs.add_job(_job(final))
    ended_well = "done" if final == COMPLETE else "failed"
    faults = ApiFaults(monkeypatch, clock, at[0].replace("done", ended_well), at[1], FOR_EVER)
    ended = _switch(way, clock, faults)
    assert faults.hits == 1, faults.writes
    assert len(drs.calls(SWITCH)) == posts
    assert ended.tries == 2
    expected = ended_well if outcome == "done" else outcome
    assert ended.evidence["outcome"] == ended.xcom["outcome"] == expected, ended.error
    assert ended.state == ("success" if expected == "done" else "failed")
    errors = {"failed": exceptions.DrsSwitchoverFailedError, "unknown": exceptions.DrsSwitchoverUnknownError}
    assert expected == "done" or type(ended.error) is errors[expected]
    assert posts or "the response to it was lost" not in str(ended.error)
    assert posts or ended.evidence["accepted_at"] is None


@pytest.mark.parametrize("final", [COMPLETE, FAILED])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", ["saved: memory", "read", "return_value: memory"])
def test_a_sensor_in_reschedule_mode(
    at: str, fault: str, final: str,
    drs: Simulator, airflow_db: None, clock: FakeClock, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What a poke saw (START) is not lost where it cannot be kept: the process polls on."""
    drs.add_job(Job(JOB, status_script=[COMPLETE, START, START, COMPLETE, final], error_msg="in use"))
    asked = Record(JOB, "target", phase=Phase.ACCEPTED, baseline=COMPLETE, posted_at=clock.now, settle=None)
    faults = ApiFaults(monkeypatch, clock, at, fault)
    ended = run_one(
        DrsSwitchoverSensor, "reschedule", clock,
        switchover=asked.evidence(), poke_interval=5, retries=1, retry_delay=timedelta(0),
    )  # fmt: skip
    pushes = at.startswith("return_value")
    assert faults.hits == (0 if pushes and final == FAILED else 1), faults.writes
    if final == FAILED:
        assert type(ended.error) is exceptions.DrsSwitchoverFailedError
    else:
        assert ended.state == "success", ended.error
        assert ended.xcom["status"] == COMPLETE
    # Airflow pushes the return value itself, and retries where that fails; the wait begins anew then.
    assert ended.tries == (2 if pushes and final == COMPLETE and fault != "away after" else 1)


def test_a_second_read_is_waited_for_in_the_same_process(drs: Simulator, airflow_db: None, clock: FakeClock) -> None:
    """A reschedule would put it off for a minute, and could lose what the first read saw."""
    drs.add_job(Job(JOB, status_script=[START, START, COMPLETE]))
    evidence = Record(JOB, "target", phase=Phase.ACCEPTED, baseline=COMPLETE, posted_at=clock.now).evidence()
    ended = run_one(DrsSwitchoverSensor, "reschedule", clock, switchover=evidence, poke_interval=60)
    assert ended.state == "success", ended.error
    assert ended.slept == [1.0, 60.0, 1.0]
    assert len(drs.calls(GET_STATUS)) == 4
