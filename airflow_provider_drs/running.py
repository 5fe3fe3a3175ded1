"""What a task needs once it runs: while its DAG file is read, none of it is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_drs.lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_drs.exceptions import DrsSwitchoverFailedError as DrsSwitchoverFailedError
    from airflow_provider_drs.exceptions import DrsSwitchoverUnknownError as DrsSwitchoverUnknownError
    from airflow_provider_drs.hooks.drs import DrsHook as DrsHook
    from airflow_provider_drs.metrics import metrics as metrics
    from airflow_provider_drs.triggers.without_worker import may_end as may_end
    from airflow_provider_drs.triggers.without_worker import needs_a_worker as needs_a_worker
    from airflow_provider_drs.versions import earlier_pokes as earlier_pokes
    from airflow_provider_drs.versions import is_deferral_timeout as is_deferral_timeout
    from airflow_provider_drs.versions import unguarded as unguarded

DEFAULT_CONN_ID = "drs_default"

__getattr__ = lazy_names(
    __name__,
    {
        "exceptions": "DrsSwitchoverFailedError DrsSwitchoverUnknownError",
        "hooks.drs": "DrsHook",
        "metrics": "metrics",
        "triggers.without_worker": "may_end needs_a_worker",
        "versions": "earlier_pokes is_deferral_timeout unguarded",
    },
    __package__,
)
