"""Airflow's API server, away at a chosen write: the only fault that a real one does not show when it is to.

Only the two places where a task meets it are wrapped: the state store's accessor and the push of an XCom.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.clock import FakeClock
from tests.constants import START

# What one attempt takes while nobody answers; Airflow's own takes up to half a minute.
AN_ATTEMPT = 10.0
FOR_EVER = 10 * 86400.0

FAULTS = ("away before", "response lost", "away after")


class ApiFaults:
    """Wraps the state store and XCom of the task under test.

    :param write: the write that meets the fault, as :func:`name_of` names it.
    :param fault: ``away before``, ``response lost`` or ``away after``.
    :param lasts: seconds for which the API server is away.
    :param only: what it is away for; empty: everything.
    """

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        clock: FakeClock,
        write: str,
        fault: str = "away before",
        lasts: float = 45.0,
        only: str = "",
    ) -> None:
        from airflow.sdk.execution_time import task_runner
        from airflow.sdk.execution_time.context import TaskStateStoreAccessor

        self.clock = clock
        self.write, self.fault, self.lasts, self.only = write, fault, lasts, only
        self.away_until = 0.0
        self.writes: list[str] = []
        self.hits = 0
        get, put, push = TaskStateStoreAccessor.get, TaskStateStoreAccessor.set, task_runner._xcom_push

        def read(store: Any, key: str, *args: Any) -> Any:
            return self._meet("read", lambda: get(store, key, *args))

        def save(store: Any, key: str, value: Any, **more: Any) -> None:
            self._meet(name_of("saved", value), lambda: put(store, key, value, **more))

        def publish(ti: Any, key: str, value: Any, *args: Any, **more: Any) -> None:
            self._meet(name_of(key, value), lambda: push(ti, key, value, *args, **more))

        patch.setattr(TaskStateStoreAccessor, "get", read)
        patch.setattr(TaskStateStoreAccessor, "set", save)
        patch.setattr(task_runner, "_xcom_push", publish)

    def come_back(self) -> None:
        """Let the API server answer again."""
        self.away_until = 0.0

    def _meet(self, name: str, call: Callable[[], Any]) -> Any:
        self.writes.append(name)
        meets = name == self.write and not self.hits
        if meets:
            self.hits += 1
            if self.fault == "away before":
                self.away_until = self.clock.now + self.lasts
        if self.clock.now < self.away_until and name.startswith(self.only):
            self._fail()
        result = call()
        if meets and self.fault != "away before":
            self.away_until = self.clock.now + self.lasts
            if self.fault == "response lost":
                self._fail()
        return result

    def _fail(self) -> None:
        from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
        from airflow.sdk.execution_time.comms import ErrorResponse

        self.clock.sleep(AN_ATTEMPT)
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"message": "nobody answers"}))


def name_of(what: str, value: Any) -> str:
    """Return the name of a write: ``saved: accepted``, ``switchover: done``, ``saved: START``, ``saved: memory``."""
    if not isinstance(value, dict):
        return what
    outcome = value.get("phase") or value.get("outcome") or ("memory" if "polls" in value else "")
    if outcome == "accepted" and START in str(value.get("observed")):
        outcome = "START"
    return f"{what}: {outcome}"
