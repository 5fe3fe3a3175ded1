"""What each process of a test's Airflow does when it begins; Airflow imports a module of this name."""

import importlib
import os
import sys
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

__all__: list[str] = []  # what is named here would replace what Airflow's settings have


@event.listens_for(Engine, "connect")
def _leave_the_disk_to_itself(connection: Any, _record: Any) -> None:
    """Do not wait for the disk at each commit, which is for the case that the machine loses its power."""
    if "sqlite" not in type(connection).__module__:
        return
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=OFF")
    cursor.close()


if sys.argv[1:2] in (["scheduler"], ["celery"]):
    # Workers are forks of the scheduler, or of Celery's, and tasks are forks of those: what is imported here, no task
    # imports.
    for name in os.environ["PRELOADED"].split():
        importlib.import_module(name)
