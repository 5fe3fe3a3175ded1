"""What the other tasks of a DAG run have done with the same job, and who approved a switchover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_drs import protocol
from airflow_provider_drs.run_evidence import switchovers_of_run, when

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


@dataclass(frozen=True)
class SameRun:
    """What other tasks of the run have done with the job.

    :param open_elsewhere: the task whose switchover is open, "" for none.
    :param superseded_by: the task that has switched since, "" for none.
    """

    open_elsewhere: str = ""
    superseded_by: str = ""


def same_run(context: Context, job_id: str, saved: protocol.Record | None) -> SameRun:
    """Look at the evidence of all switchovers of the job in this run, also of a task that is no longer in the DAG file.

    :param saved: the record of this task, None for none.
    :raises DrsTransientError: Airflow cannot be asked.
    """
    ti = context["ti"]
    try:
        found = switchovers_of_run(context, job_id)
    except Exception as error:  # whatever Airflow raises while its API server is away
        text = f"Airflow does not tell what other tasks of this run have switched ({type(error).__name__})"
        raise protocol.DrsTransientError(text) from error
    others = [other for other in found if (other["task_id"], other["map_index"]) != (ti.task_id, ti.map_index)]
    open_ones = [_name(other) for other in others if other["outcome"] in protocol.OPEN]
    since = [] if saved is None else [_name(other) for other in others if when(other) > when(saved.evidence())]
    return SameRun(open_ones[-1] if open_ones else "", since[-1] if since else "")


def approvals_of(context: Context, task_id: str | None) -> list[dict[str, Any]]:
    """Return who has answered an approval of Airflow's in this run, as far as Airflow tells; it never fails.

    :param task_id: the ``ApprovalOperator``, None for none.
    :return: ``[{task_id, by, at, answer}]``, empty where there is no answer.
    """
    if task_id is None:
        return []
    try:
        answer = context["ti"].xcom_pull(task_ids=task_id)
        who, at = answer["responded_by_user"], answer["responded_at"]
        return [
            {
                "task_id": task_id,
                "by": (who["name"] or who["id"]) if who else None,
                "at": at if at is None or isinstance(at, str) else protocol.utc(at.timestamp()),
                "answer": ", ".join(answer["chosen_options"]),
            }
        ]
    except Exception:  # what Airflow keeps of an approval has changed from version to version
        return []


def _name(other: dict[str, Any]) -> str:
    index = other["map_index"]
    return str(other["task_id"]) if index in (None, -1) else f"{other['task_id']}[{index}]"
