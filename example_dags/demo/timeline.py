"""What happened, put together from three witnesses: the service, its journal of requests, and the DAG run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_drs.simulator import Entry

#: Journal's names of the two calls that a wait makes.
LOG_IN, POLL = "tokens", "get-switch-vip-status"


@dataclass(frozen=True)
class Switchover:
    """When the service began and ended the switchover (seconds since the epoch), and the status it ended with."""

    begins_at: float
    ends_at: float
    final: str


@dataclass(frozen=True)
class Run:
    """How the DAG run ended; times in seconds since the epoch.

    ``tasks`` are the states of its tasks, ``xcom`` is the sensor's and ``message`` the following task's return value,
    ``error`` what the sensor failed with.
    """

    run_id: str
    state: str
    started_at: float
    ended_at: float
    tasks: Mapping[str, str]
    xcom: Mapping[str, Any] | None
    message: str | None
    error: str | None


@dataclass(frozen=True)
class Timeline:
    """``moments`` are (seconds since the run started, what happened), in order; times in seconds.

    ``detection_delay`` is from the end of the switchover at the service until the sensor knew; None: it never did.
    """

    moments: Sequence[tuple[float, str]]
    polls: int
    detection_delay: float | None


def timeline(journal: Sequence[Entry], switchover: Switchover, run: Run) -> Timeline:
    """Put the moments in order.

    :param journal: the requests that the service got.
    :param switchover: what the service did meanwhile.
    :param run: the DAG run that waited for it.
    """
    log_ins = [entry.at for entry in journal if entry.call == LOG_IN and entry.status == 201]
    polls = [entry.at for entry in journal if entry.call == POLL]
    final = switchover.final.removeprefix("SWITCH_VIP_")
    moments = [
        (run.started_at, "DAG run started"),
        (switchover.begins_at, "START at the service"),
        (switchover.ends_at, f"{final} at the service"),
        (run.ended_at, f"DAG run ended: {run.state}"),
    ]
    moments += [(at, "token issued") for at in log_ins]
    moments += [(at, "first poll") for at in polls[:1]]
    started = [(at, n) for n, at in enumerate(polls, 1) if switchover.begins_at <= at < switchover.ends_at]
    moments += [(at, f"START first seen (poll {n})") for at, n in started[:1]]
    seen = _seen_at(polls, switchover, run)
    if seen is not None:
        moments.append((seen, f"{final} seen by the sensor (poll {len(polls)})"))
    return Timeline(
        moments=[(at - run.started_at, what) for at, what in sorted(moments)],
        polls=len(polls),
        detection_delay=None if seen is None else seen - switchover.ends_at,
    )


def _seen_at(polls: Sequence[float], switchover: Switchover, run: Run) -> float | None:
    """Return when the sensor knew: by its own account, else when it asked and was told."""
    if run.xcom:
        return datetime.fromisoformat(run.xcom["done_at"]).timestamp()
    return next((at for at in polls if at >= switchover.ends_at), None)
