"""The operators of this provider, one topic a module; a DAG file loads those that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_drs.lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_drs.operators.compare import DrsCompareOperator
    from airflow_provider_drs.operators.jobs import (
        DrsPauseJobOperator,
        DrsResumeJobOperator,
        DrsStartJobOperator,
        DrsStopJobOperator,
    )
    from airflow_provider_drs.operators.switchover import DrsSwitchoverOperator

__all__ = [
    "DrsCompareOperator",
    "DrsPauseJobOperator",
    "DrsResumeJobOperator",
    "DrsStartJobOperator",
    "DrsStopJobOperator",
    "DrsSwitchoverOperator",
]

__getattr__ = lazy_names(
    __name__,
    {
        "compare": "DrsCompareOperator",
        "jobs": "DrsPauseJobOperator DrsResumeJobOperator DrsStartJobOperator DrsStopJobOperator",
        "switchover": "DrsSwitchoverOperator",
    },
    __package__,
)
