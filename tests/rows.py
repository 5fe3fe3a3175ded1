"""One row of a table of cases: what DRS is, what goes wrong, what the user sets, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_drs.simulator import Fault, Simulator


@dataclass(frozen=True)
class Row:
    """A case. What is None is not looked at.

    :param job: the job at DRS, as arguments of the simulator's ``Job``.
    :param options: what the user sets on the sensor or operator.
    :param faults: which call goes wrong, and how.
    :param kind: the class of the task, where a table has several.
    :param connection: the connection, where it is not the usual one.
    :param real: a real Airflow has to show it too, in every mode; the others are shown by the state machine alone.
    :param state: of the task at its end.
    :param error: what it failed of.
    :param says: what the error says.
    :param silent: what it does not say.
    :param polls: how often the status was asked for.
    :param requests: how often the request that changes something was sent.
    :param log_ins: how often IAM was asked for a token.
    :param warnings: lines of the task's log that are warnings.
    :param lines: all of the provider's lines there.
    :param slowest: the longest pause between two polls, in seconds.
    :param status: of the job, in the XCom.
    :param lag: of the job, in the XCom.
    """

    name: str
    job: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[tuple[str, Fault], ...] = ()
    kind: type[Any] | None = None
    connection: Callable[[Simulator], dict[str, Any]] | None = None
    real: bool = False
    state: str = "success"
    error: type[BaseException] | None = None
    says: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    polls: int | None = None
    requests: int | None = None
    log_ins: int | None = None
    warnings: int | None = None
    lines: int | None = None
    slowest: float | None = None
    status: str | None = None
    lag: float | None = None

    def __str__(self) -> str:
        return self.name

    def plan(self, drs: Simulator) -> None:
        """Let the simulator do what is to go wrong."""
        for call, fault in self.faults:
            drs.fault(call, fault)

    def check_end(self, state: str, error: BaseException | None) -> None:
        """Check how the task ended, and what the error says."""
        assert (state, type(error)) == (self.state, self.error or type(None)), repr(error)
        text = str(error)
        assert not [word for word in self.says if word not in text], text
        assert not [word for word in self.silent if word in text], text

    def check_log(self, levels: list[str]) -> None:
        """Check the levels of the provider's lines in the log."""
        assert self.lines is None or len(levels) == self.lines, levels
        assert self.warnings is None or levels.count("warning") == self.warnings, levels


def in_turn(rows: Sequence[Row], modes: Sequence[str]) -> pytest.MarkDecorator:
    """Parametrise ``row`` and ``mode``: each row in one mode, in turn, and the first row of each end in every mode.

    What a row comes to is decided below Airflow, by what all modes share.
    """
    seen: set[tuple[Any, ...]] = set()
    chosen: list[tuple[Row, str]] = []
    for place, row in enumerate(rows):
        end = (row.kind, row.state, row.error)
        chosen += [(row, mode) for mode in ([modes[place % len(modes)]] if end in seen else modes)]
        seen.add(end)
    return pytest.mark.parametrize(("row", "mode"), chosen, ids=[f"{row}-{mode}" for row, mode in chosen])
