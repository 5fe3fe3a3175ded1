from __future__ import annotations

from tests.airflow.waits import airflow_db, clock
from tests.clients.fixtures import connect, plain_environment

from .fixtures import brief_keystone, keystone, keystone_project, keystone_user

__all__ = [
    "airflow_db",
    "brief_keystone",
    "clock",
    "connect",
    "keystone",
    "keystone_project",
    "keystone_user",
    "plain_environment",
]
