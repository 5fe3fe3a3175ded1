"""Whether this Airflow tells OpenLineage of its tasks."""

from __future__ import annotations

from importlib import import_module
from typing import Any

try:
    _conf: Any = import_module("airflow.providers.openlineage.conf")
except ImportError:  # an extra
    _conf = None


def is_on() -> bool:
    """Tell whether OpenLineage is installed and has somewhere to send events to."""
    return _conf is not None and not _conf.is_disabled()
