"""Where the record of a switchover is saved: the task's state store, and XCom for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_drs import protocol

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

RECORD_KEY = "drs_switchover"
EVIDENCE_KEY = "switchover"


def has_durable_store(context: Context) -> bool:
    """Tell whether a saved record is there when the task runs again; before Airflow 3.3 there is no store."""
    emptied = conf.getboolean("state_store", "clear_on_success", fallback=False)
    return context.get("task_state_store") is not None and not emptied


def saved_record(context: Context) -> protocol.Record | None:
    """Return what an earlier try of this task in this run saved.

    :raises DrsError: it cannot be read, so that nobody can tell whether it switched.
    """
    store = context.get("task_state_store")
    saved: Any = store.get(RECORD_KEY) if store is not None else None
    if saved is None:
        return None
    try:
        return protocol.Record.from_dict(saved)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise protocol.DrsError(f"what an earlier try wrote down cannot be read ({error}): not switching") from None


def save_record(record: protocol.Record, context: Context) -> None:
    """Save the record for good."""
    store = context.get("task_state_store")
    if store is not None:
        # Airflow has it from 3.3 on, as it has the store.
        from airflow.sdk import NEVER_EXPIRE  # type: ignore[attr-defined]

        store.set(RECORD_KEY, record.to_dict(), retention=NEVER_EXPIRE)


def leave_evidence(record: protocol.Record, context: Context, log: Any) -> None:
    """Push the evidence of a task that is about to fail."""
    try:
        context["ti"].xcom_push(key=EVIDENCE_KEY, value=record.evidence())
    except Exception:
        # The task fails for a reason that matters more than a database that is locked just now.
        log.exception("The evidence could not be written to XCom; it is: %s", record.evidence())


def actor_of(context: Context) -> dict[str, Any]:
    """Return who switches: dag_id, run_id, task_id, map_index, try_number, and the user where Airflow knows."""
    names = ("dag_id", "run_id", "task_id", "map_index", "try_number")
    user = getattr(context.get("dag_run"), "triggering_user_name", None)
    return {**{name: getattr(context["ti"], name, None) for name in names}, "user": user}
