"""Whether a try was started before: without a state store (before Airflow 3.3) nothing else stops a second request.

Airflow can start a try again that it took for lost, with the same number, and wipes its XComs as it does so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

if not AIRFLOW_V_3_0_PLUS:  # there a worker may read Airflow's database
    from airflow_provider_drs.operators.start_log import starts_in_log

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# An XCom that is written before DRS is asked.
ASKED_KEY = "drs_switchover_asked"


def was_started_before(context: Context) -> bool:
    """Tell whether an earlier start of this same try may have asked DRS.

    Airflow 3 tells the new start which XComs it wipes. Airflow 2 does not, but its log has each start.

    :raises Exception: Airflow cannot be asked.
    """
    ti: Any = context["ti"]
    if hasattr(ti, "get_task_states"):  # as in run_evidence: Airflow 3
        return ASKED_KEY in wiped_keys(ti)
    return starts_in_log(ti) > 1


def wiped_keys(ti: Any) -> list[str]:
    """Return the names of the XComs of an earlier start or try that Airflow has wiped; it tells from Airflow 3 on."""
    return list(getattr(getattr(ti, "_ti_context_from_server", None), "xcom_keys_to_clear", None) or ())


def mark_asked(ti: Any) -> bool:
    """Leave the mark that DRS is about to be asked.

    :return: False: another start of this try has left it already.
    :raises Exception: Airflow does not take it.
    """
    if ti.xcom_pull(task_ids=ti.task_id, key=ASKED_KEY, map_indexes=ti.map_index) is not None:
        return False
    ti.xcom_push(key=ASKED_KEY, value=ti.try_number)
    return True
