"""What verifies and what rolls back, in every form it can have: all of its tasks run where they should."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, TaskGroup, TriggerRule, setup, task, task_group, teardown
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.operators.switchover import DrsSwitchoverOperator
from airflow_provider_drs.simulator import Simulator
from tests.airflow.cutovers import job, run
from tests.constants import JOB

Told = Callable[[str], None]


def _nothing(_: str) -> None: ...


def forms(say: Told = _nothing) -> dict[str, Callable[[], Any]]:
    """Return what makes each form; every task of each says its name when it runs."""

    class Step(BaseOperator):
        def execute(self, context: Any) -> None:
            say(self.task_id)

    def uses(name: str) -> Callable[[Any], None]:
        def step(switchover: Any) -> None:
            say(name)

        step.__name__ = name
        return step

    def ignores(name: str) -> Callable[[], None]:
        def step() -> None:
            say(name)

        step.__name__ = name
        return step

    def group(name: str) -> TaskGroup:
        with TaskGroup(name) as made:
            Step(task_id="alone")
            [Step(task_id="a"), Step(task_id="b")] >> Step(task_id="last")
        return made

    @task_group
    def decorated_group(switchover: Any) -> None:
        task(uses("used"))(switchover) >> Step(task_id="after_used")
        Step(task_id="not_used")

    @task_group
    def group_without_evidence() -> None:
        Step(task_id="first") >> Step(task_id="second")
        with TaskGroup("inner"):
            Step(task_id="third")

    @task_group
    def group_that_returns_its_last(switchover: Any) -> Any:
        Step(task_id="beside")
        first = Step(task_id="returns_first")
        last = task(uses("returned"))(switchover)
        first >> last
        return last

    @task_group
    def group_that_returns_several(switchover: Any) -> Any:
        Step(task_id="not_returned")
        return {"x": task(uses("one"))(switchover), "y": task(ignores("two"))()}

    @task_group
    def with_setup(switchover: Any) -> None:
        prepare, tidy = setup(ignores("prepare"))(), teardown(ignores("tidy"))()
        prepare >> task(uses("between"))(switchover) >> tidy
        prepare >> tidy

    @task_group
    def mapped_group(name: str) -> None:
        task(uses("each"))(name)
        Step(task_id="each_step")

    def mapped(name: str) -> Any:
        return task(uses(name)).expand(switchover=[1, 2])

    return {
        "function": lambda: uses("function"),
        "function that takes nothing": lambda: ignores("takes_nothing"),
        "lambda": lambda: lambda switchover: say("lambda"),
        "lambda that takes nothing": lambda: lambda: say("lambda_takes_nothing"),
        "@task": lambda: task(uses("decorated")),
        "@task that takes nothing": lambda: task(ignores("decorated_takes_nothing")),
        "@task with options": lambda: task(task_id="renamed")(uses("other")).override(retries=1),
        "called @task": lambda: task(uses("called"))(None),
        "called @task that takes nothing": lambda: task(ignores("called_with_nothing"))(),
        "operator": lambda: Step(task_id="operator"),
        "task group": lambda: group("object"),
        "@task_group": lambda: decorated_group,
        "@task_group that takes nothing": lambda: group_without_evidence,
        "@task_group that returns its last": lambda: group_that_returns_its_last,
        "@task_group that returns several": lambda: group_that_returns_several,
        "@task_group with setup": lambda: with_setup,
        "mapped @task": lambda: mapped("mapped"),
        "mapped operator": lambda: Step.partial(task_id="mapped_operator").expand(doc=["x", "y"]),
        "mapped @task_group": lambda: mapped_group.expand(name=["x", "y"]),
        "list": lambda: [Step(task_id="listed"), uses("listed_function"), (group("in_list"), task(uses("in_tuple")))],
    }


def _members(dag: DAG) -> list[Any]:
    """Return all tasks but those that every cutover has, and those of the other parameter."""
    own = ("ready", "switchover", "rollback_gate", "done", "other", "next")
    return [t for t in dag.tasks if t.task_id.removeprefix("cutover.") not in own]


def _named(name: str, tasks: Any) -> dict[str, Any]:
    return {name: tasks}


@pytest.mark.parametrize("name", ["verify", "on_failure"])
@pytest.mark.parametrize("form", forms())
def test_every_task_of_every_form_has_its_place(form: str, name: str) -> None:
    with DAG("d", schedule=None) as dag:
        given = forms()[form]()
        other = "on_failure" if name == "verify" else "verify"
        group = cutover(job_id=JOB, mode="target", **{name: given, other: BaseOperator(task_id="other")})
        group >> BaseOperator(task_id="next")
    dag.validate()
    assert dag.get_task("next").upstream_task_ids == {"cutover.done"}
    DagSerialization.serialize_dag(dag)
    members = _members(dag)
    assert members
    after = "cutover.switchover" if name == "verify" else "cutover.rollback_gate"
    for member in members:
        assert after in member.get_flat_relative_ids(upstream=True), member.task_id
        assert "cutover.switchover" in member.get_flat_relative_ids(upstream=True), member.task_id
        down = member.get_flat_relative_ids(upstream=False)
        assert "cutover.done" in down or member.is_teardown, member.task_id
        if name == "verify":
            # Of all, not only of the last ones: one can end before another that it depends on.
            assert "cutover.rollback_gate" in member.downstream_task_ids or member.is_setup, member.task_id
        else:
            assert "cutover.rollback_gate" not in down, member.task_id


def test_every_task_of_every_form_runs_where_it_should(drs: Simulator, airflow_db: None, clock: None) -> None:
    drs.add_job(job())
    ran: list[str] = []

    def fails(switchover: dict[str, Any]) -> None:
        raise AssertionError("not well")

    def build() -> None:
        # Made in groups of their own, so that their ids differ; some forms make their tasks only later.
        with TaskGroup("v"):
            verify = [make() for make in forms(lambda name: ran.append(f"verify {name}")).values()]
        with TaskGroup("r"):
            rollback = [make() for make in forms(lambda name: ran.append(f"rollback {name}")).values()]
        cutover(job_id=JOB, mode="target", verify=[fails, *verify], on_failure=rollback)

    ended = run(build)
    assert "of its verification cutover.fails failed" in ended.reason()
    assert ended.tasks.pop("fails") == "failed"
    assert ended.tasks.pop("done") == "upstream_failed"
    assert set(ended.tasks.values()) == {"success"}
    phases = [line.split()[0] for line in ran]
    assert phases == ["verify"] * (len(ran) // 2) + ["rollback"] * (len(ran) // 2)
    assert len(ran) > 70
    switched = ended.run.get_task_instance("cutover.switchover").end_date
    before = {"cutover.ready", "cutover.switchover"}
    assert not [ti for ti in ended.run.get_task_instances() if ti.task_id not in before and ti.start_date < switched]


def test_what_comes_after_a_cutover_that_is_done_runs_whatever_was_not_needed(
    drs: Simulator, airflow_db: None, clock: None
) -> None:
    drs.add_job(job())
    ran: list[str] = []

    def build() -> None:
        with TaskGroup("v"):
            verify = [make() for make in forms().values()]
        with TaskGroup("r"):
            rollback = [make() for make in forms(ran.append).values()]
        group = cutover(job_id=JOB, mode="target", verify=verify, on_failure=rollback)
        group >> task(task_id="next")(lambda: None)()

    ended = run(build)
    assert (ended.tasks["done"], ended.tasks["next"], ended.state) == ("success", "success", "success")
    assert ran == []


@pytest.mark.parametrize(
    ("name", "rule", "where", "says"),
    [
        ("verify", "always", "first", "wait for nothing"),
        ("verify", "always", "second", "wait for nothing"),
        ("on_failure", "always", "first", "wait for nothing"),
        ("on_failure", "none_failed", "first", "without the gate's consent"),
        ("on_failure", "none_failed_min_one_success", "first", "without the gate's consent"),
        ("on_failure", "one_failed", "first", "without the gate's consent"),
        ("on_failure", "all_done", "second", "without the gate's consent"),
        ("on_failure", "none_failed", "second", "without the gate's consent"),
        ("on_failure", "all_skipped", "second", "without the gate's consent"),
        ("on_failure", "one_success", "switch", "without the gate's consent"),
    ],
)
def test_a_trigger_rule_that_waits_for_nothing(name: str, rule: str, where: str, says: str) -> None:
    with DAG("d", schedule=None):
        with TaskGroup("given") as given:
            rules = {"first": "all_success", "second": "all_success", "switch": "all_success", where: rule}
            first = BaseOperator(task_id="first", trigger_rule=rules["first"])
            second = BaseOperator(task_id="second", trigger_rule=rules["second"])
            (
                first
                >> second
                >> DrsSwitchoverOperator(task_id="switch", job_id=JOB, mode="target", trigger_rule=rules["switch"])
            )
        with pytest.raises(ValueError, match=rf"{name}: given\.{where} has the trigger rule '{rule}'.*{says}"):
            cutover(job_id=JOB, mode="target", **_named(name, given))


@pytest.mark.parametrize(
    "rule", sorted({rule.value for rule in TriggerRule} - {"always", "all_done", "all_skipped", "none_failed"})
)
def test_what_comes_later_in_a_rollback_may_have_any_rule_that_a_skipped_gate_stops(rule: str) -> None:
    with DAG("d", schedule=None):
        with TaskGroup("given") as given:
            BaseOperator(task_id="first") >> BaseOperator(task_id="second", trigger_rule=rule)
        cutover(job_id=JOB, mode="target", on_failure=given)


def test_a_partial_of_an_operator_is_made_within_the_group() -> None:
    rollback = partial(DrsSwitchoverOperator, task_id="rollback", job_id=JOB, mode="source")
    with DAG("d", schedule=None) as dag:
        group = cutover(job_id=JOB, mode="target", verify=[partial(BaseOperator, task_id="looks")], on_failure=rollback)
    assert {"cutover.looks", "cutover.rollback"} <= set(group.children)
    assert dag.get_task("cutover.looks").upstream_task_ids == {"cutover.switchover"}
    assert dag.get_task("cutover.rollback").upstream_task_ids == {"cutover.rollback_gate"}
    assert dag.task_group.children == {"cutover": group}, "nothing stands beside it"


@pytest.mark.parametrize(
    "given", [partial(print, 1), partial(str), partial(lambda: None)], ids=("print", "str", "lambda")
)
def test_a_partial_of_anything_else_is_none(given: Any) -> None:
    with DAG("d", schedule=None), pytest.raises(TypeError, match="a partial of one"):
        cutover(job_id=JOB, mode="target", verify=given)


@pytest.mark.parametrize("given", ["select 1", 1, print, str, [], [[]], "an empty group", [BaseOperator, 1]], ids=repr)
@pytest.mark.parametrize("name", ["verify", "on_failure"])
def test_what_cannot_be_made_a_task(given: Any, name: str) -> None:
    with DAG("d", schedule=None):
        given = TaskGroup("empty") if given == "an empty group" else given
        with pytest.raises(TypeError, match=name):
            cutover(job_id=JOB, mode="target", **_named(name, given))
