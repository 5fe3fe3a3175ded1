"""The operator with a witness: a guard before DRS is asked, and a word of its own at the end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_drs import exceptions
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.operators.task_state import EVIDENCE_KEY, RECORD_KEY
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply
from airflow_provider_drs.protocol.switchover.phases import Phase
from airflow_provider_drs.protocol.switchover.record import Record
from airflow_provider_drs.simulator import Job, Simulator
from tests.airflow.waits import Ended, in_mode, run_task
from tests.clock import FakeClock
from tests.constants import COMPLETE, FAILED, JOB, OPERATOR_MODES, START, SWITCH

B, A, N = "before", "after", None
Sides = list[str | None]


class Address:
    """Who answers, look by look: before DRS is asked, and afterwards; the last one stays."""

    def __init__(self, drs: Simulator, before: Sides, after: Sides | None = None) -> None:
        self.drs = drs
        self.scripts = [list(before), list(after or before)]
        self.looks = 0

    def __call__(self) -> str | None:
        self.looks += 1
        script = self.scripts[bool(self.drs.calls(SWITCH))]
        return script.pop(0) if len(script) > 1 else script[0]


def _switch(way: str, clock: FakeClock, **kwargs: Any) -> Ended:
    options = {"job_id": JOB, "mode": "target", "settle": None, **kwargs}
    return run_task(
        lambda task_id, calls: DrsSwitchoverOperator(task_id=task_id, **calls, **in_mode(way), **options), way, clock
    )


def _job(*after: str | None, before: str | None = None) -> Job:
    return Job(JOB, status_script=[before], status_after_switch=list(after) or [START, COMPLETE])


ENDS: dict[str, tuple[Sides, Sides, str, str, str | None, type[Exception] | None, str]] = {
    "done": ([START, COMPLETE], [A], "success", "done", "drs", None, ""),
    "traffic comes late": ([START, COMPLETE], [B] * 20 + [N] * 20 + [A], "success", "done", "drs", None, ""),
    "it flaps, then stays": ([START, COMPLETE], [A, B, A, B, A], "success", "done", "drs", None, ""),
    "complete and not moved": (
        [START, COMPLETE], [B], "failed", "disputed", None, exceptions.DrsSwitchoverDisputedError,
        "complete, but at the virtual IP address: before",
    ),
    "complete and silent": (
        [START, COMPLETE], [N], "failed", "disputed", None, exceptions.DrsSwitchoverDisputedError, "nobody answers",
    ),
    "complete and neither": (
        [START, COMPLETE], ["other"], "failed", "disputed", None, exceptions.DrsSwitchoverDisputedError,
        "returned 'other'",
    ),
    "failed and not moved": ([START, FAILED], [B], "failed", "failed", "drs", exceptions.DrsSwitchoverFailedError, ""),
    "failed and moved": ([START, FAILED], [A], "failed", "failed", "drs", exceptions.DrsSwitchoverFailedError, ""),
    "failed and silent": (
        [START, FAILED], [N], "failed", "disputed", None, exceptions.DrsSwitchoverDisputedError, "failed, and nobody",
    ),
    "unknown and moved": ([None], [A], "success", "done", "witness", None, ""),
    "unknown and not moved": (
        [None], [B], "failed", "unknown", None, exceptions.DrsSwitchoverUnknownError,
        "at the virtual IP address now: before",
    ),
    "unknown and silent": (
        [None], [N], "failed", "unknown", None, exceptions.DrsSwitchoverUnknownError, "nobody answers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", OPERATOR_MODES)
@pytest.mark.parametrize("name", ENDS)
def test_what_drs_and_the_witness_come_to(
    name: str, way: str, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    statuses, sides, state, outcome, decided_by, error, says = ENDS[name]
    drs.add_job(_job(*statuses))
    ended = _switch(way, clock, witness=Address(drs, [B], sides), retries=1, retry_delay=timedelta(0))
    assert (ended.state, ended.tries) == (state, 1), ended.error
    assert error is None or type(ended.error) is error
    assert says in str(ended.error)
    assert drs.switched(JOB) == ["target"]
    evidence = ended.evidence
    assert (evidence["outcome"], evidence["decided_by"]) == (outcome, decided_by)
    witness = evidence["witness"]
    assert (witness["at_start"]["side"], witness["decided"]) == (B, decided_by == "witness")
    assert witness["at_end"]["side"] == (sides[-1] if sides[-1] != "other" else None)
    assert [guard["name"] for guard in evidence["guards"]][-1] == "witness"
    assert sum(clock.slept) < 700


@pytest.mark.parametrize("way", OPERATOR_MODES)
@pytest.mark.parametrize(
    ("sides", "found"),
    [
        ([A], "witness is 'traffic is at after already', must be before"),
        ([N], "witness is 'nobody answers', must be before"),
        (["other"], "witness is \"the witness returned 'other'"),
        ([B, A], "witness is 'traffic is at after already', must be before"),
    ],
)
def test_the_guard_does_not_hold(
    sides: Sides, found: str, way: str, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(_job())
    ended = _switch(way, clock, witness=Address(drs, sides))
    assert (ended.state, type(ended.error)) == ("failed", exceptions.DrsGuardError)
    assert found in str(ended.error)
    assert drs.calls(SWITCH) == []
    assert (ended.evidence["outcome"], ended.evidence["guards"][-1]["ok"]) == ("read", False)


@pytest.mark.parametrize(
    ("before", "sides", "state", "outcome"),
    [
        (COMPLETE, [A], "success", "already"),
        (None, [B, A], "success", "already"),
        (START, [A], "failed", "read"),
        (None, [N], "failed", "read"),
        (None, [B], "success", "done"),
    ],
)
def test_traffic_is_there_already(
    before: str | None, sides: Sides, state: str, outcome: str, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(_job(before=before))
    ended = _switch("poke", clock, witness=Address(drs, sides, [A]), on_already="{{ 'succeed' }}")
    assert (ended.state, ended.evidence["outcome"]) == (state, outcome), ended.error
    assert drs.switched(JOB) == (["target"] if outcome == "done" else [])
    if outcome == "already":
        assert (ended.xcom["decided_by"], ended.xcom["status"]) == ("witness", before)
        assert (ended.xcom["witness"]["decided"], ended.xcom["posted_at"]) == (True, None)
        assert len(ended.xcom["guards"]) == 4


@pytest.mark.parametrize(("sides", "ready"), [([B], True), ([A], False), ([N], False)])
def test_a_dry_run_shows_the_guard(
    sides: Sides, ready: bool, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(_job())
    ended = _switch("poke", clock, witness=Address(drs, sides), dry_run=True)
    assert (ended.xcom["guards"][-1]["name"], ended.xcom["ready"]) == ("witness", ready)
    assert drs.calls(SWITCH) == []


def test_a_switchover_that_runs_is_joined_whatever_the_witness_says(
    drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(Job(JOB, status_script=[START, START, START, START, COMPLETE]))
    ended = _switch("poke", clock, witness=Address(drs, [A]), on_running="attach")
    assert (ended.state, ended.xcom["mode"], ended.xcom["witness"]["at_start"]) == ("success", None, None)
    assert ended.xcom["witness"]["at_end"]["side"] == "after"


def _saved(phase: Phase, **more: Any) -> dict[str, Any]:
    record = Record(JOB, "target", began_at=1.0)
    record.read(SwitchoverReply(JOB, None), [], 1.0)
    return {**record.to_dict(), "phase": str(phase), "posted_at": 2.0, "max_tries": 1, **more}


@pytest.mark.parametrize("phase", [Phase.UNKNOWN, Phase.DISPUTED, Phase.ACCEPTED, Phase.LOST, Phase.INTENDED])
@pytest.mark.parametrize(
    ("sides", "outcome"), [([A], "done"), ([B], "unknown"), ([N], "unknown")], ids=["after", "before", "nobody"]
)
def test_a_further_try_reads_and_asks_again_and_never_switches(
    phase: Phase, sides: Sides, outcome: str, drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    """Whether a worker was killed or a person has cleared the task."""
    drs.add_job(_job())
    address = Address(drs, sides)

    class Operator(DrsSwitchoverOperator):
        def execute(self, context: Any) -> Any:
            if context["ti"].try_number == 1:
                context["task_state_store"].set(RECORD_KEY, _saved(phase))
                raise RuntimeError
            return super().execute(context)

    ended = run_task(
        lambda task_id, calls: Operator(
            task_id=task_id, **calls, job_id=JOB, mode="target", witness=address, retries=1, retry_delay=timedelta(0)
        ),
        "poke",
        clock,
    )
    assert ended.evidence["outcome"] == outcome, ended.error
    assert ended.evidence["decided_by"] == ("witness" if outcome == "done" else None)
    assert drs.calls(SWITCH) == []
    assert address.looks >= 2


def test_a_further_try_that_finds_nothing_says_where_traffic_is(
    drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(_job())

    class Operator(DrsSwitchoverOperator):
        def execute(self, context: Any) -> Any:
            if context["ti"].try_number == 1:
                context["ti"].xcom_push(key=EVIDENCE_KEY, value={"outcome": "begun"})
                raise RuntimeError
            return super().execute(context)

    ended = run_task(
        lambda task_id, calls: Operator(
            task_id=task_id, **calls, job_id=JOB, mode="target", witness=Address(drs, [A]), retries=1,
            retry_delay=timedelta(0),
        ),
        "poke", clock,
    )  # fmt: skip
    assert ended.evidence["outcome"] == "unknown"
    assert "At the virtual IP address now: after" in str(ended.error)
    assert ended.evidence["witness"]["at_end"]["side"] == "after"


def test_a_worker_that_dies_while_the_witness_is_asked_leaves_it_open(
    drs: Simulator, airflow_db: None, clock: FakeClock
) -> None:
    drs.add_job(_job())
    address = Address(drs, [B], [A])

    class DiesOnce(DrsSwitchoverOperator):
        def _take(self, event: Any, record: Any, runtime: Any) -> Any:
            if self.witness is address and address.looks == 2:
                runtime.look = _dies
            return super()._take(event, record, runtime)

    def _dies() -> Any:
        address.looks += 1
        raise RuntimeError

    ended = run_task(
        lambda task_id, calls: DiesOnce(
            task_id=task_id, **calls, job_id=JOB, mode="target", witness=address, retries=1, retry_delay=timedelta(0)
        ),
        "poke",
        clock,
    )
    assert (ended.state, ended.tries, ended.evidence["outcome"]) == ("success", 2, "done"), ended.error
    assert drs.switched(JOB) == ["target"]


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"witness": "SELECT 1"}, TypeError, "witness must be"),
        ({"on_already": "perhaps"}, ValueError, "on_already"),
        ({"witness_timeout": -1}, ValueError, "witness_timeout"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        DrsSwitchoverOperator(task_id="t", job_id=JOB, mode="target", **options)
