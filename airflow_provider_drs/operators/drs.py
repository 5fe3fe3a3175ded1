"""The operators of this provider, one topic a module."""

from __future__ import annotations

from airflow_provider_drs.operators.switchover import DrsSwitchoverOperator

__all__ = ["DrsSwitchoverOperator"]
