"""OpenLineage. What needs its packages is loaded when a task has ended, and only where they are installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_drs.lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_drs.lineage.events import of_switchover as of_switchover
    from airflow_provider_drs.lineage.events import of_wait as of_wait
    from airflow_provider_drs.lineage.switched_on import is_on as is_on

__getattr__ = lazy_names(__name__, {"events": "of_switchover of_wait", "switched_on": "is_on"})
