"""Waits for a switchover, from beginning to end, in a real Airflow against a simulated DRS."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from demo.demo_airflow import DemoAirflow, DemoError, demo_airflow
from demo.timeline import POLL, Run, Switchover, Timeline, timeline
from rich.console import Console
from rich.table import Table

from airflow_provider_drs.simulator import Job, Simulator

JOB = Job(
    "260e27fd-4976-44dc-9948-e1265e4jb201",
    start_after=2,
    start_lasts=6,
    error_code="DRS.M01501",
    error_msg="Service error: the virtual IP address could not be switched",
)
#: What the service says in the end, and what the DAG run is then to end as.
OUTCOMES = {"complete": ("SWITCH_VIP_COMPLETE", "success"), "failed": ("SWITCH_VIP_FAILED", "failed")}
DEMO_BROKEN = 2
WIDTH_WITHOUT_TERMINAL = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo.

    :param arguments: the command line, default that of the process.
    :return: 0 if the DAG run succeeded, 1 if it failed as it was to, 2 if the demo itself did not work.
    """
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="The exit code is 0 only if the DAG run succeeded. With --outcome failed it is 1, as intended: DRS says "
        "that the switchover failed, so the run fails. It is 2 if the demo itself did not work.",
    )
    parser.add_argument("--outcome", choices=OUTCOMES, default="complete", help="of the switchover (%(default)s)")
    final, expected = OUTCOMES[parser.parse_args(arguments).outcome]
    try:
        with demo_airflow() as airflow:
            run = demonstrate(airflow, replace(JOB, final=final))
            if run.state != expected:
                raise DemoError(f"the DAG run ended as {run.state!r} instead of {expected!r}: {run.error or run.tasks}")
    except DemoError as error:
        say(f"The demo did not work: {error}")
        return DEMO_BROKEN
    if run.state == "success":
        return 0
    say("The run failed because the switchover did: this is as intended, and so is the exit code 1.")
    return 1


def demonstrate(airflow: DemoAirflow, job: Job) -> Run:
    """Run the DAG once against a simulated service and print what happens.

    :param airflow: where to run it.
    :param job: the job to wait for; its switchover begins once it has been polled.
    :return: the DAG run.
    :raises DemoError: a command of Airflow did not work.
    """
    say(f"Making an Airflow of its own in {airflow.directory} (removed afterwards) ...")
    airflow.run("airflow", "db", "migrate")
    with Simulator(jobs=[job], directory=airflow.home) as service:
        say(f"Started a simulated DRS and IAM at {service.url}, with a certificate authority of its own.")
        say(f"Set AIRFLOW_CONN_DRS_DEFAULT: connection drs_default leads there, as user {service.user}.")
        say(f"Running the DAG wait_for_switchover for job {job.job_id}, deferrable:")
        switchovers = begin_after_first_poll(service, job, lambda line: say(f"  at the service: {line}"))
        result = airflow.home / "result.json"
        airflow.run(
            "demo.dag_run",
            job.job_id,
            str(result),
            connections={"drs_default": service.connection()},
            show=lambda line: say(f"  provider's log: {line}"),
        )
        run = Run(**json.loads(result.read_text(encoding="utf-8")))
        if not switchovers:
            raise DemoError(f"the DAG run ended as {run.state!r} before DRS was polled: {run.error or run.tasks}")
        print_timeline(timeline(service.journal, switchovers[0], run), run)
    return run


def begin_after_first_poll(service: Simulator, job: Job, tell: Callable[[str], None]) -> list[Switchover]:
    """Let the switchover begin shortly after the first poll, however long Airflow takes to get there.

    :return: empty, and from its end on with the switchover.
    """
    begun: list[Switchover] = []

    def begin() -> None:
        service.wait_for(POLL, timeout=threading.TIMEOUT_MAX)
        tell(f"the switchover begins in {job.start_after:g} s and takes {job.start_lasts:g} s")
        time.sleep(job.start_after)
        begins_at = time.time()
        service.add_job(replace(job, running=True, start_after=0, start_lasts=threading.TIMEOUT_MAX))
        polls = len(service.calls(POLL))
        time.sleep(job.start_lasts)
        # On a slow machine no poll may have fallen into it: it ends once it was seen.
        service.wait_for(POLL, polls + 1, timeout=threading.TIMEOUT_MAX)
        begun.append(Switchover(begins_at, time.time(), job.final))
        service.add_job(replace(job, status_script=[job.final]))

    threading.Thread(target=begin, daemon=True).start()
    return begun


def print_timeline(found: Timeline, run: Run) -> None:
    """Print the moments and what came of the run."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_WITHOUT_TERMINAL)
    table = Table("when", "what", title="Timeline, from the start of the DAG run", title_justify="left")
    for at, what in found.moments:
        table.add_row(f"{at:+.1f} s", what)
    table.add_section()
    table.add_row("", f"polls: {found.polls}")
    delay = "none: it was not seen" if found.detection_delay is None else f"{found.detection_delay:.1f} s"
    table.add_row("", f"detection delay: {delay}")
    console.print(table, markup=False)
    if run.xcom:
        say(f"XCom of the sensor: {json.dumps(run.xcom, indent=2)}")
    if run.message:
        say(f"The next task: {run.message}")
    if run.error:
        say(f"The sensor's error: {run.error}")
    say(f"DAG run {run.run_id}: {run.state}")


def say(line: str) -> None:
    """Print a line at once, also into a pipe, and as a whole: two threads speak here."""
    print(f"{line}\n", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
