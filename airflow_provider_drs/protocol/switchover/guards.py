"""What must hold before a switchover is asked for. The only place that decides it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from airflow_provider_drs.protocol.errors import Json
from airflow_provider_drs.protocol.jobs.replies import JobProgress, JobState
from airflow_provider_drs.protocol.jobs.status import HEALTHY
from airflow_provider_drs.protocol.jobs.wanted import job_problem
from airflow_provider_drs.protocol.polling import duration, utc
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply
from airflow_provider_drs.protocol.switchover.status import SwitchoverState, switchover_state
from airflow_provider_drs.protocol.switchover.witness import Look, word_at_start

# The guard that says that no switchover is running.
QUIET = "switchover_status"


@dataclass(frozen=True)
class Guard:
    """One condition, what was found, and what was wanted.

    :param value: the evidence, as DRS sent it.
    :param limit: what it must be.
    :param at: when it was read, UTC, ISO 8601.
    """

    name: str
    ok: bool
    value: float | str | None
    limit: str
    at: str

    def to_dict(self) -> Json:
        """Return the guard as plain JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.name} is {self.value!r}, must be {self.limit}"


def guards(
    state: JobState | None,
    progress: JobProgress | None,
    reply: SwitchoverReply,
    *,
    max_lag: float | None,
    attach: bool,
    at: float,
    look: Look | None = None,
) -> list[Guard]:
    """Return the guards: the job runs, its lag is known and within the limit, no switchover is running.

    :param state: the job's state, None where DRS does not list the job.
    :param progress: its progress, None likewise.
    :param reply: its switchover status.
    :param max_lag: seconds; None: any lag that is known.
    :param attach: a running switchover is to be joined.
    :param at: when they were read.
    :param look: who answers at the virtual IP address, which is one more guard; None: no witness was asked.
    """
    status = state.status if state else None
    lag = progress.lag if progress else None
    running = switchover_state(reply.status)
    fits = lag is not None and (max_lag is None or lag <= max_lag)
    quiet = running not in (SwitchoverState.RUNNING, SwitchoverState.UNKNOWN) or (
        attach and running is SwitchoverState.RUNNING
    )
    when, problem = utc(at), job_problem(state, progress)
    found = f"{status}, {problem}" if problem and status == HEALTHY else status
    judged = [
        Guard("job_state", status == HEALTHY and not problem, found, HEALTHY, when),
        Guard(
            "lag_seconds",
            fits,
            lag if lag is not None else (progress.lag_text if progress else None),
            "known" if max_lag is None else f"known and at most {duration(max_lag)}",
            when,
        ),
        Guard(QUIET, quiet, reply.status, "none running" if not attach else "known", when),
    ]
    if look is not None:
        holds, word = word_at_start(look)
        judged.append(Guard("witness", holds, word, "before", utc(look.at)))
    return judged
