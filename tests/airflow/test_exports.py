"""What users write down and Airflow stores: a name that stands here may not disappear without a deprecation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.get_provider_info import CONNECTION_FIELDS, get_provider_info
from airflow_provider_drs.hooks.drs import DrsHook
from airflow_provider_drs.links.drs import DrsConsoleLink
from airflow_provider_drs.operators.task_state import EVIDENCE_KEY, RECORD_KEY
from airflow_provider_drs.protocol.polling import Pace
from airflow_provider_drs.protocol.runtime import poll
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply
from airflow_provider_drs.protocol.switchover.record import Record
from airflow_provider_drs.protocol.switchover.wait import Done, SwitchoverWait
from tests.constants import COMPLETE, JOB
from tests.protocol.scripted import ScriptedRuntime

PACKAGE = "airflow_provider_drs"
CONNECTION = "drs_conn_id project_id"
SENSOR = f"{CONNECTION} deferrable poke_interval timeout transient_error_timeout"
OPERATOR = f"job_id {CONNECTION} deferrable poll_interval timeout transient_error_timeout"
TRIGGER = f"{CONNECTION} poke_interval exponential_backoff max_wait transient_error_timeout silent_fail"

# Where a class is imported from, and the parameters that users give it or Airflow stores for it.
CLASSES = {
    "hooks.drs.DrsHook": CONNECTION,
    "links.drs.DrsConsoleLink": "",
    "sensors.drs.DrsSwitchoverSensor": f"job_id switchover verify_job_id end_from_trigger start_from_trigger {SENSOR}",
    "sensors.drs.DrsJobReadySensor": f"job_id job_ids max_lag stable_samples {SENSOR}",
    "sensors.drs.DrsJobStatusSensor": f"job_id target_statuses failure_statuses {SENSOR}",
    "operators.drs.DrsSwitchoverOperator": (
        f"mode max_lag settle decide_within on_running dry_run verify_job_id wait_for_completion "
        f"end_from_trigger {OPERATOR}"
    ),
    "sensors.drs.DrsDowntimeSensor": "witness interval switchover",
    "witness.SqlWitness": "conn_id sql before after timeout",
    "operators.drs.DrsStartJobOperator": f"wait_for_completion {OPERATOR}",
    "operators.drs.DrsPauseJobOperator": f"pause_mode wait_for_completion {OPERATOR}",
    "operators.drs.DrsResumeJobOperator": f"wait_for_completion {OPERATOR}",
    "operators.drs.DrsStopJobOperator": f"force wait_for_completion {OPERATOR}",
    "operators.drs.DrsCompareOperator": (
        f"compare tables compare_mode on_unavailable on_uncomparable conflict_policy {OPERATOR}"
    ),
    "triggers.drs.DrsSwitchoverTrigger": (
        f"job_id verify_job_id freshness record deadline end_from_trigger started_here {TRIGGER}"
    ),
    "triggers.jobs.DrsJobsTrigger": f"wanted record {TRIGGER}",
    "triggers.jobs.DrsCompareTrigger": f"job_id compare compare_id deadline {TRIGGER}",
    "triggers.responding.DrsRespondingTrigger": f"job_id switchover {TRIGGER}",
    "triggers.events.DrsSwitchoverEventTrigger": f"job_id verify_job_id fire_for_leftover poke_interval {CONNECTION}",
    # Where the serialized DAGs and the task instances of earlier versions have the same classes.
    "sensors.switchover.DrsSwitchoverSensor": "",
    "sensors.jobs.DrsJobReadySensor": "",
    "sensors.jobs.DrsJobStatusSensor": "",
    "operators.switchover.DrsSwitchoverOperator": "",
    "operators.jobs.DrsStartJobOperator": "",
    "operators.jobs.DrsPauseJobOperator": "",
    "operators.jobs.DrsResumeJobOperator": "",
    "operators.jobs.DrsStopJobOperator": "",
    "operators.compare.DrsCompareOperator": "",
    **dict.fromkeys(
        (
            "exceptions.DrsError",
            "exceptions.DrsSwitchoverFailedError",
            "exceptions.DrsSwitchoverUnknownError",
            "exceptions.DrsSwitchoverRefusedError",
            "exceptions.DrsGuardError",
            "exceptions.DrsJobNotFoundError",
            "simulator.Simulator",
            "simulator.Job",
            "simulator.Fault",
            "simulator.Entry",
        ),
        "",
    ),
}


@pytest.mark.parametrize("path", CLASSES)
def test_classes_and_their_parameters(path: str) -> None:
    module, _, name = path.rpartition(".")
    found = getattr(import_module(f"{PACKAGE}.{module}"), name)
    assert inspect.isclass(found)
    assert set(CLASSES[path].split()) <= set(_parameters(found))


def _parameters(kind: type) -> Iterable[str]:
    """Yield the parameters of a class of ours, those of its bases too."""
    for base in kind.__mro__:
        if base.__module__.startswith(PACKAGE) and "__init__" in vars(base):
            yield from inspect.signature(vars(base)["__init__"]).parameters


def _step(switchover: Any) -> None: ...


def _cutover_tasks() -> list[str]:
    with DAG("d", schedule=None) as dag:
        every: dict[str, Any] = {"compare": "objects", "approve": True, "verify": _step, "on_failure": _step}
        cutover(job_id=JOB, mode="target", **every)
    return [task_id.removeprefix("cutover.") for task_id in dag.task_ids]


def _result() -> Mapping[str, Any]:
    done = poll(SwitchoverWait(JOB, Pace()), ScriptedRuntime(lambda call: SwitchoverReply(JOB, COMPLETE)))
    assert isinstance(done, Done)
    return done.result


NAMES: dict[str, tuple[Callable[[], Iterable[str]], str]] = {
    "XCom keys": (lambda: [EVIDENCE_KEY, DrsConsoleLink.key], "switchover drs_console_link"),
    "key in the task's state store": (lambda: [RECORD_KEY], "drs_switchover"),
    "XCom of the switchover sensor": (_result, "job_id status first_polled_at done_at polls"),
    "evidence": (
        lambda: Record(JOB, "target").evidence(),
        "job_id mode outcome status error_code error_msg reason dag_id run_id task_id map_index try_number user guards "
        "baseline baseline_known attached posted_at accepted_at observed finished_at settle decide_within seconds",
    ),
    "durations of the evidence": (
        lambda: Record(JOB, "target").evidence()["seconds"],
        "guards switchover detection",
    ),
    "methods of the hook": (lambda: dir(DrsHook), "get_conn get_switchover_status test_connection"),
    "fields of the connection": (
        lambda: CONNECTION_FIELDS,
        "region auth_url domain_name project_name project_id token verify timeout language max_polls_in_flight "
        "max_polls_per_second console_url",
    ),
    "connection type": (lambda: [kind["connection-type"] for kind in get_provider_info()["connection-types"]], "drs"),
    "parameters of cutover": (
        lambda: inspect.signature(cutover).parameters,
        "job_id mode max_lag drs_conn_id project_id deferrable group_id compare on_compare_unavailable approve verify "
        "on_failure ready_kwargs compare_kwargs switchover_kwargs",
    ),
    "tasks of cutover": (_cutover_tasks, "ready comparison approval switchover rollback_gate done"),
}


@pytest.mark.parametrize("what", NAMES)
def test_names(what: str) -> None:
    found, promised = NAMES[what]
    assert set(promised.split()) <= set(found())
