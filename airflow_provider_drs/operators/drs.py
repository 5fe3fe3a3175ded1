"""The operators of this provider, one topic a module."""

from __future__ import annotations

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
