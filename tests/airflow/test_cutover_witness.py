"""A whole cutover with a witness, in a real Airflow: what runs after each end, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.simulator import Simulator
from airflow_provider_drs.witness import SqlWitness
from tests.airflow.cutovers import clear, job, run
from tests.constants import COMPLETE, FAILED, JOB, START

pytestmark = pytest.mark.usefixtures("clock")

BEFORE, AFTER, NOBODY = "before", "after", None


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch, drs: Simulator) -> Callable[..., None]:
    """Return what says who answers: before DRS is asked, and after each switchover; ``db-`` and the side's name."""
    told: list[str | None] = []

    def answer(witness: SqlWitness, *_: Any) -> Any:
        name = told[min(len(drs.switched(JOB)), len(told) - 1)]
        if name is None:
            raise OSError
        return (f"db-{name}",)

    monkeypatch.setattr(SqlWitness, "_ask", answer)
    monkeypatch.setenv("AIRFLOW_CONN_VIP", "sqlite://")
    return lambda *sides: told.extend(sides)


WITNESS = SqlWitness("vip", "SELECT who", before="db-before", after="{{ 'db-after' }}")


def _cutover(ran: list[Any], verified: bool = True, **kwargs: Any) -> None:
    def verify(evidence: dict[str, Any]) -> None:
        ran.append("verify")
        assert verified

    def roll_back(evidence: dict[str, Any]) -> None:
        ran.append("roll_back")

    cutover(
        **{"job_id": JOB, "mode": "target", "verify": verify, "on_failure": roll_back, "witness": WITNESS, **kwargs}
    )


Ends = tuple[list[str | None], list[str | None], str, str, str | None, list[str], str]
ENDS: dict[str, Ends] = {
    "done": ([START, COMPLETE], [BEFORE, AFTER], "success", "done", "drs", ["verify"], ""),
    "complete, not moved": ([START, COMPLETE], [BEFORE], "failed", "disputed", None, [], "a person decides"),
    "complete, silent": ([START, COMPLETE], [BEFORE, NOBODY], "failed", "disputed", None, [], "a person decides"),
    "failed, never left": ([START, FAILED], [BEFORE], "failed", "failed", "drs", [], "traffic never left"),
    "failed, moved": ([START, FAILED], [BEFORE, AFTER], "failed", "failed", "drs", ["roll_back"], "failed"),
    "failed, silent": ([START, FAILED], [BEFORE, NOBODY], "failed", "disputed", None, [], "a person decides"),
    "unknown, moved": ([None], [BEFORE, AFTER], "success", "done", "witness", ["verify"], ""),
    "unknown, not moved": ([None], [BEFORE], "failed", "unknown", None, [], "a person decides"),
    "there already": ([START, COMPLETE], [AFTER], "failed", "read", None, [], "nothing was changed"),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_runs_after_each_end(name: str, address: Callable[..., None], drs: Simulator, airflow_db: None) -> None:
    statuses, sides, state, outcome, decided_by, expected, says = ENDS[name]
    drs.add_job(job(list(statuses)))
    address(*sides)
    ran: list[Any] = []
    ended = run(lambda: _cutover(ran, switchover_kwargs={"settle": None}), without_retries=("cutover.switchover",))
    assert (ended.state, ran) == (state, expected), ended.errors
    evidence = ended.pull("cutover.switchover", "switchover")
    assert (evidence["outcome"], evidence["decided_by"]) == (outcome, decided_by)
    assert says in ended.reason()


def test_what_is_there_already_is_verified_and_never_rolled_back(
    address: Callable[..., None], drs: Simulator, airflow_db: None
) -> None:
    drs.add_job(job())
    address(AFTER)
    ran: list[Any] = []
    ended = run(lambda: _cutover(ran, switchover_kwargs={"on_already": "succeed"}))
    assert (ended.state, ran, drs.switched(JOB)) == ("success", ["verify"], []), ended.errors
    assert ended.pull("cutover.done")["outcome"] == "already"
    ran.clear()
    address(AFTER)
    again = run(lambda: _cutover(ran, verified=False, switchover_kwargs={"on_already": "succeed"}))
    assert (again.state, ran) == ("failed", ["verify"])
    assert "nothing was changed" in again.reason()


def test_what_is_there_already_lets_the_writers_go(
    address: Callable[..., None], drs: Simulator, airflow_db: None
) -> None:
    drs.add_job(job())
    address(AFTER)
    ran: list[Any] = []
    thawed: list[Any] = []
    writers: dict[str, Any] = {"freeze": lambda: ran.append("freeze"), "thaw": lambda evidence: thawed.append(evidence)}
    ended = run(
        lambda: _cutover(ran, switchover_kwargs={"on_already": "succeed"}, measure_downtime=True, **writers),
        without_retries=("cutover.downtime",),
    )
    assert (ended.state, ran, drs.switched(JOB)) == ("success", ["freeze", "verify"], []), ended.errors
    [told] = thawed
    assert (told["outcome"], told["decided_by"], told["witness"]["at_start"]["side"]) == ("already", "witness", AFTER)
    downtime = ended.pull("cutover.done")["downtime"]
    assert (downtime["seconds"], downtime["not_measured"]) == (None, "it began when traffic had left")


@pytest.mark.parametrize(
    ("statuses", "later", "outcome", "let_go"),
    [
        ([START, COMPLETE], AFTER, "disputed", True),
        ([START, COMPLETE], BEFORE, "disputed", True),
        ([START, COMPLETE], NOBODY, "disputed", False),
        ([START, FAILED], BEFORE, "disputed", True),
        ([None], AFTER, "unknown", True),
        ([None], BEFORE, "unknown", False),
    ],
)
def test_the_writers_are_let_go_where_the_witness_can_tell_later(
    statuses: list[str | None], later: str | None, outcome: str, let_go: bool, drs: Simulator, airflow_db: None
) -> None:
    drs.add_job(job(statuses))
    looks = iter(range(1000))

    def witness() -> str | None:
        if not drs.switched(JOB):
            return BEFORE
        # Nobody answers for as long as the operator looks.
        return NOBODY if next(looks) <= 60 else later

    thawed: list[Any] = []
    ended = run(
        lambda: cutover(
            job_id=JOB, mode="target", witness=witness, freeze=lambda: None, thaw=lambda told: thawed.append(told),
            switchover_kwargs={"settle": None},
        )
    )  # fmt: skip
    assert (ended.pull("cutover.switchover", "switchover")["outcome"], ended.state) == (outcome, "failed")
    assert ended.tasks["thaw_gate"] == ("success" if let_go else "failed"), ended.errors
    assert [told["witness"]["at_end"]["side"] for told in thawed] == ([later] if let_go else [])
    assert drs.switched(JOB) == ["target"]


@pytest.mark.parametrize(("sides", "outcome"), [([BEFORE, AFTER, BEFORE], "done"), ([BEFORE, AFTER], "disputed")])
def test_a_rollback_has_the_witness_the_other_way_round(
    sides: list[str], outcome: str, address: Callable[..., None], drs: Simulator, airflow_db: None
) -> None:
    drs.add_job(job())
    address(*sides)
    ran: list[Any] = []
    ended = run(
        lambda: _cutover(
            ran,
            verified=False,
            on_failure=DrsSwitchoverOperator(
                task_id="back", job_id=JOB, mode="source", max_lag=None, witness=WITNESS.reversed()
            ),
        )
    )
    assert drs.switched(JOB) == ["target", "source"], ended.errors
    back = ended.pull("back", "switchover") or ended.pull("cutover.back", "switchover")
    assert back["outcome"] == outcome
    assert back["witness"]["at_start"]["value"] == "db-after"
    assert ended.state == "failed"


def test_a_disputed_one_that_is_cleared_is_done_once_traffic_has_come(
    address: Callable[..., None], drs: Simulator, airflow_db: None
) -> None:
    drs.add_job(job())
    address(BEFORE)
    ran: list[Any] = []
    first = run(lambda: _cutover(ran))
    assert first.pull("cutover.switchover", "switchover")["outcome"] == "disputed"
    address(AFTER)
    names = ("switchover", "verify", "rollback_gate", "roll_back", "done")
    second = clear(first, *(f"cutover.{name}" for name in names))
    assert (second.state, ran) == ("success", ["verify"]), second.errors
    assert second.pull("cutover.done")["outcome"] == "done"
    assert drs.switched(JOB) == ["target"]


def test_a_function_may_be_the_witness_of_a_cutover(drs: Simulator, airflow_db: None) -> None:
    drs.add_job(job())
    ended = run(
        lambda: cutover(
            job_id=JOB, mode="target", witness=lambda: AFTER if drs.switched(JOB) else BEFORE, deferrable=True
        )
    )
    assert ended.state == "success", ended.errors
