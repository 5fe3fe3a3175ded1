"""A request to IAM or DRS as a plain value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_drs.simulator.drs.routes import Route


@dataclass(frozen=True)
class Request:
    """One request; header names are in lower case."""

    route: Route
    headers: Mapping[str, str]
    body: bytes
    method: str = "GET"
    query: Sequence[tuple[str, str]] = ()

    def json(self) -> object:
        """The JSON value that was sent; None for anything else."""
        try:
            value: object = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return value
