from __future__ import annotations

from tests.airflow.waits import airflow_db, clock

__all__ = ["airflow_db", "clock"]
