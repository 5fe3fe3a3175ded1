"""Operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_drs.lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_drs.operators.start_log import starts_in_log as starts_in_log

# Loaded where it is used only: it needs a database.
__getattr__ = lazy_names(__name__, {"start_log": "starts_in_log"})
