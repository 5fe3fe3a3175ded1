"""What the other tasks of a DAG run have done with the same job, and who approved a switchover."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_drs import exceptions, protocol
from airflow_provider_drs.run_evidence import switchovers_of_run

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# In XCom of the gates before ``freeze`` and ``thaw``: when the writers were stopped, and which of these stops is over.
FROZEN_KEY, LET_GO_KEY = "frozen_at", "let_go"


def same_run(context: Context, job_id: str, saved: protocol.Record | None) -> protocol.SameRun:
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
    return protocol.same_run(found, (ti.task_id, -1 if ti.map_index is None else ti.map_index), saved)


def check_still_frozen(context: Context, gates: tuple[str, str] | None) -> None:
    """Check that the writers that a cutover has stopped were not let go since: a cleared task would find them writing.

    :param gates: the tasks before ``freeze`` and before ``thaw``, None for none.
    :raises DrsGuardError: they were let go.
    :raises DrsTransientError: Airflow cannot be asked.
    """
    if gates is None:
        return
    ti = context["ti"]
    index = -1 if ti.map_index is None else ti.map_index
    try:
        # Airflow keeps the XCom of a task that was cleared until that runs again.
        frozen, let_go = (
            ti.xcom_pull(task_ids=gate, key=key, map_indexes=index)
            for gate, key in zip(gates, (FROZEN_KEY, LET_GO_KEY), strict=True)
        )
    except Exception as error:  # whatever Airflow raises while its API server is away
        text = f"Airflow does not tell whether the writers are still stopped ({type(error).__name__})"
        raise protocol.DrsTransientError(text) from error
    if let_go is not None and let_go == frozen:
        raise exceptions.DrsGuardError(
            f"not switching: the writers that were stopped at {frozen} have been let go since; "
            f"clear {gates[0]} and all downstream of it, so that they are stopped again"
        )


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
