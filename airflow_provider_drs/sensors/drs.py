"""The sensors of this provider, one topic a module."""

from __future__ import annotations

from airflow_provider_drs.sensors.downtime import DrsDowntimeSensor
from airflow_provider_drs.sensors.jobs import DrsJobReadySensor, DrsJobStatusSensor
from airflow_provider_drs.sensors.switchover import DrsSwitchoverSensor

__all__ = ["DrsDowntimeSensor", "DrsJobReadySensor", "DrsJobStatusSensor", "DrsSwitchoverSensor"]
