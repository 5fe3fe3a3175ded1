"""The sensors of this provider, one topic a module; a DAG file loads those that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_drs.lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_drs.sensors.downtime import DrsDowntimeSensor
    from airflow_provider_drs.sensors.jobs import DrsJobReadySensor, DrsJobStatusSensor
    from airflow_provider_drs.sensors.switchover import DrsSwitchoverSensor

__all__ = ["DrsDowntimeSensor", "DrsJobReadySensor", "DrsJobStatusSensor", "DrsSwitchoverSensor"]

__getattr__ = lazy_names(
    __name__,
    {
        "downtime": "DrsDowntimeSensor",
        "jobs": "DrsJobReadySensor DrsJobStatusSensor",
        "switchover": "DrsSwitchoverSensor",
    },
    __package__,
)
