"""What Airflow tells of the starts of a task before this one, beside what its state store holds.

Airflow can start a try again that it took for lost, with the same number, and wipes its XComs as it does so. Without a
state store (before Airflow 3.3) nothing else stops a second request. And it can count a try that it never started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_drs.links.drs import DrsConsoleLink

if not AIRFLOW_V_3_0_PLUS:  # there a worker may read Airflow's database
    from airflow_provider_drs.operators.start_log import starts_in_log

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# An XCom that is written before DRS is asked.
ASKED_KEY = "drs_switchover_asked"


def was_started_before(context: Context, resumed: bool = False) -> bool:
    """Tell whether an earlier start of this same try may have asked DRS.

    Airflow 3 tells the new start which XComs it wipes. Airflow 2 does not, but its log has each start.

    :param resumed: Airflow has resumed this start after a deferral, and so has wiped nothing.
    :raises Exception: Airflow cannot be asked.
    """
    ti: Any = context["ti"]
    if tells_of_starts(ti):
        return ASKED_KEY in wiped_keys(ti) or (resumed and _is_marked(ti))
    return starts_in_log(ti) > 1


def tells_of_starts(ti: Any) -> bool:
    """Tell whether Airflow tells a start of a task which XComs of an earlier one it has wiped: from Airflow 3 on."""
    return hasattr(ti, "get_task_states")  # as in run_evidence


def wiped_keys(ti: Any) -> list[str]:
    """Return the names of the XComs of an earlier start or try that Airflow has wiped; it tells from Airflow 3 on."""
    return list(_told_of_xcoms(ti) or ())


def no_try_has_begun(ti: Any) -> bool:
    """Tell whether no earlier try can have come as far as its intent, where the state store is empty.

    Executors fail a task before it starts, and Airflow counts that as a try. A try leaves its evidence in XCom before
    it asks DRS, and Airflow tells the next one what it wipes. The store can be emptied, too: after a success, if
    Airflow is told to (``[state_store] clear_on_success``), or by age. What comes after that is a clear, and that
    grants more tries than the task has by itself.
    """
    told, task = _told_of_xcoms(ti), getattr(ti, "task", None)
    only_by_airflow = task is not None and ti.max_tries == task.retries
    return only_by_airflow and told is not None and set(told) <= {DrsConsoleLink.key}


def _told_of_xcoms(ti: Any) -> list[str] | None:
    return getattr(getattr(ti, "_ti_context_from_server", None), "xcom_keys_to_clear", None)


def mark_asked(ti: Any) -> bool:
    """Leave the mark that DRS is about to be asked.

    :return: False: another start of this try has left it already.
    :raises Exception: Airflow does not take it.
    """
    if _is_marked(ti):
        return False
    ti.xcom_push(key=ASKED_KEY, value=ti.try_number)
    return True


def _is_marked(ti: Any) -> bool:
    return ti.xcom_pull(task_ids=ti.task_id, key=ASKED_KEY, map_indexes=ti.map_index) is not None
