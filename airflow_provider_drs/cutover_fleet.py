"""The cutovers of many jobs: canaries first, then a few at a time, and no more once too many have not gone well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import BaseOperator, TaskGroup, TriggerRule, XComArg, task_group

from airflow_provider_drs import protocol
from airflow_provider_drs.cutover import approval_after, cutover
from airflow_provider_drs.cutover_results import DryRunGate
from airflow_provider_drs.cutover_tasks import flat
from airflow_provider_drs.cutover_turns import FleetJobs, FleetRow, FleetSummary, FleetTurnSensor
from airflow_provider_drs.task import checked_now

if TYPE_CHECKING:
    from airflow_provider_drs.operators.switchover import DrsSwitchoverOperator

TOOLTIP = "Switches virtual IP addresses of many DRS jobs, a few at a time"
GIVEN = ("verify", "on_failure", "freeze", "thaw")


def fleet_cutover(
    *,
    jobs: Sequence[str] | str | XComArg,
    mode: str,
    at_once: int = 2,
    stop_after: int = 1,
    canary: int = 1,
    approve: bool | Mapping[str, Any] = False,
    group_id: str = "fleet",
    turn_interval: timedelta | float = 15,
    **options: Any,
) -> TaskGroup:
    """Add the cutovers of many jobs to the DAG: one approval for all of them, then a group of tasks for each.

    The jobs start in their order. The canaries are first, and all of them must be done before another job starts.
    At most ``at_once`` have begun and not ended. No job starts any more once ``stop_after`` have ended otherwise than
    well: failed, refused, rolled back, disputed or unknown. What is running is finished. ``summary`` has the table of
    all jobs, and fails unless all are done. ``docs/cutover.md`` has the details.

    :param jobs: ids of the jobs: a list, text that is one (templated), or the output of another task.
    :param mode: ``source`` or ``target`` (templated), of all of them.
    :param at_once: so many jobs at a time.
    :param stop_after: no job starts once so many have not gone well.
    :param canary: so many jobs must be done before the others; 0: none.
    :param approve: as for :func:`~airflow_provider_drs.cutover.cutover`; asked once, before the first job.
    :param group_id: id of the group, and prefix of the ids of its tasks.
    :param turn_interval: seconds or timedelta between two looks of a job that waits for its turn.
    :param options: the other arguments of :func:`~airflow_provider_drs.cutover.cutover`, for each job. What is given as
        ``verify``, ``on_failure``, ``freeze`` and ``thaw`` must be functions, decorated or not.
    :return: the group; what is downstream of it runs when all jobs are done.
    :raises ValueError: arguments that contradict each other, or an operator where each job needs one of its own.
    """
    limits = {
        name: int(checked_now(partial(protocol.number, at_least=least, whole=True), name, value))
        for name, value, least in (("at_once", at_once, 1), ("stop_after", stop_after, 1), ("canary", canary, 0))
    }
    for name in GIVEN:
        if any(hasattr(each, "set_upstream") for each in flat(options.get(name))):
            raise ValueError(f"{name}: an operator or a group exists only once, and each job needs its own: a function")
    more = dict(options.pop("switchover_kwargs", None) or {})
    passed: dict[str, Any] = {"trigger_rule": TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS}
    with TaskGroup(group_id, tooltip=TOOLTIP) as fleet:
        listed = FleetJobs(task_id="jobs", jobs=jobs)
        gates: list[BaseOperator] = [listed]
        if more.get("dry_run", False) is not False and approve is not False:
            # Nobody is asked in a dry run: whether it is one is known before, and for all of them.
            dry_run = DryRunGate(task_id="dry_run", dry_run=more["dry_run"], wanted=True)
            more["dry_run"] = XComArg(dry_run, key=DryRunGate.key)
            for_real = DryRunGate(task_id="for_real", dry_run=more["dry_run"], wanted=False, **passed)
            listed >> dry_run
            [listed, dry_run] >> for_real
            gates = [for_real, dry_run]
        approval = None
        if approve is not False:
            shown = {
                "jobs": listed.task_id,
                "mode": mode,
                "limits": limits,
                "witness": options.get("witness"),
                "freezes": options.get("freeze") is not None,
            }
            asked = {} if approve is True else dict(approve)
            approval = approval_after(gates[:1], "FleetApproval", {**shown, **passed}, asked)
            gates = [approval, *gates[1:]]

        label = f"{{{{ ti.xcom_pull(task_ids='{listed.task_id}', map_indexes=-1)[ti.map_index] }}}}"
        prefix = f"{fleet.group_id}.job"

        @task_group(group_id="job")
        def one(job_id: Any) -> None:
            group = cutover(job_id=job_id, mode=mode, switchover_kwargs=more, **options)
            tasks = {t.task_id: t for t in group.iter_tasks()}
            switchover = f"{prefix}.cutover.switchover"
            done = f"{prefix}.cutover.done"
            done = done if done in tasks else switchover
            cast("DrsSwitchoverOperator", tasks[switchover]).approval_task_id = approval.task_id if approval else None
            turn = FleetTurnSensor(
                task_id="turn",
                done=done,
                ended=f"{prefix}.ended",
                limits=limits,
                poke_interval=turn_interval,
                mode="reschedule",
                **passed,
            )
            ended = FleetRow(
                task_id="ended", job_id=job_id, switchover=switchover, done=done, trigger_rule=TriggerRule.ALL_DONE
            )
            turn >> group
            # Of all its tasks: the last one can have its state before others have ended.
            [turn, *(t for t in tasks.values() if not t.is_setup)] >> ended
            members: list[Any] = [turn, *tasks.values(), ended]
            for t in members:
                t.map_index_template = t.map_index_template or label

        cutovers = one.expand(job_id=listed.output)
        gates >> cutovers
        summary = FleetSummary(
            task_id="summary",
            jobs=listed.task_id,
            ended=f"{prefix}.ended",
            trigger_rule=TriggerRule.ALL_DONE,
        )
        cutovers >> summary
    return fleet
