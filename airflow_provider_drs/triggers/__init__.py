"""Triggers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_drs.lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_drs.triggers.drs import *
    from airflow_provider_drs.triggers.jobs import *
    from airflow_provider_drs.triggers.responding import *

# The names by the module that has them.
__getattr__ = lazy_names(
    __name__,
    {
        "drs": "DrsSwitchoverTrigger",
        "jobs": "DrsCompareTrigger DrsJobsTrigger",
        "responding": "DrsRespondingTrigger",
    },
)
