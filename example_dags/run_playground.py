"""An Airflow with its UI, the example DAGs, and a simulated DRS with a few jobs: to try it all without an account."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote, urlsplit

from demo.demo_airflow import DemoAirflow, DemoError, demo_airflow
from demo.playground_airflow import USER, PlaygroundAirflow

from airflow_provider_drs.simulator import Job, Simulator
from airflow_provider_drs.simulator.serving.signals import ended_by_signal

TO_APPROVE = "260e27fd-4976-44dc-9948-e1265e4jb201"
FAILS = "778e0c1b-5d2a-4f6e-8b3c-90a1d2cjb202"
CATCHES_UP = "333e9a7d-1c4b-4e8f-a5d6-b7c8e9fjb203"
YOURS = "9f1c5e2a-7b3d-4c6e-8a9f-1d2e3f4jb204"
SWITCHES_FOR = 20
# Seconds since the job was added, and its lag from then on: behind the limit of the run for a minute and a half.
SHRINKING_LAG: list[tuple[float, int | float | str | None]] = [
    (0, 90),
    (20, 64),
    (40, 41),
    (60, 22),
    (80, 9),
    (100, 2),
    (120, 0),
]
PLAYGROUND_BROKEN = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the playground until Ctrl-C or SIGTERM.

    :param arguments: the command line, default that of the process.
    :return: 0, or 2 if the playground itself did not work.
    """
    parser = argparse.ArgumentParser(description=__doc__, epilog="Ctrl-C ends it, and removes all that it has made.")
    parser.add_argument("--port", type=int, default=0, help="of Airflow's UI (default: a free one)")
    port = parser.parse_args(arguments).port
    with ended_by_signal() as ended:
        try:
            with demo_airflow("drs-playground-") as airflow:
                play(airflow, port, ended)
        except DemoError as error:
            say(f"The playground did not work: {error}")
            return PLAYGROUND_BROKEN
        except KeyboardInterrupt:
            pass  # ended while it was starting
    say("All of it has ended, and is removed.")
    return 0


def play(airflow: DemoAirflow, port: int, ended: threading.Event) -> None:
    """Start it all, say where it is, and wait for the end.

    :raises DemoError: something did not start, or has ended by itself.
    """
    say(f"Making an Airflow of its own in {airflow.directory} (removed at the end) ...")
    airflow.run("airflow", "db", "migrate")
    if ended.is_set():
        return
    with Simulator(directory=airflow.home) as service:
        say("Starting a simulated DRS, and Airflow (the first page takes half a minute) ...")
        watched = {"WATCHED_DRS_JOB": TO_APPROVE}
        with PlaygroundAirflow(airflow, port=port, environment=watched, stopped=ended.wait) as running:
            run_id = _set_up(running, service)
            say(_welcome(running, service, run_id))
            while not ended.wait(1):
                running.check()
            say("Ending Airflow and the simulated DRS ...")


def _set_up(running: PlaygroundAirflow, service: Simulator) -> str:
    """Make the connection and the jobs, start the runs, and wait until one asks for an approval; return its id."""
    running.add_connection("drs_default", service.connection(console_url=f"{service.url}/?job={{job_id}}"))
    usual = Job(YOURS, start_after=2, start_lasts=SWITCHES_FOR)
    why = "Service error: the virtual IP address could not be switched"
    service.add_job(replace(usual, name="stock"))
    service.add_job(replace(usual, job_id=TO_APPROVE, name="orders"))
    fails = replace(usual, job_id=FAILS, name="billing", final="SWITCH_VIP_FAILED")
    service.add_job(replace(fails, error_code="DRS.M01501", error_msg=why))
    approval = running.start("gated_cutover", job_id=TO_APPROVE, mode="target")
    running.start("fleet_cutover", job_ids=[FAILS], mode="target")
    # The way to a database of its own: the address of the simulated DRS, where something answers.
    address = urlsplit(service.url)
    service.add_job(replace(usual, job_id=CATCHES_UP, name="customers", lag_series=list(SHRINKING_LAG)))
    running.start(
        "verified_cutover", job_id=CATCHES_UP, mode="target", rollback_mode="source", host=address.hostname,
        port=address.port,
    )  # fmt: skip
    say("Waiting for the first cutover to ask for its approval ...")
    asks = ("awaiting_input", "deferred")
    running.until(
        lambda: running.state("gated_cutover", approval, "cutover.approval") in asks, "the approval to be asked for"
    )
    return approval


def _welcome(running: PlaygroundAirflow, service: Simulator, run_id: str) -> str:
    url = running.url
    return f"""
  Airflow    {url}
  user       {USER}
  password   {running.password}

What to do first:

1. Log in at {url}/required_actions
   A cutover waits for you there: "mode target: job ...{TO_APPROVE[-5:]}". Open it, read, press Approve.
2. Watch it switch (half a minute): {url}/dags/gated_cutover/runs/{quote(run_id)}
3. See all switchovers, those that need a person first: Browse, "DRS cutovers".
   One has failed: open it, and read what DRS said and what to do.
4. {url}/dags/verified_cutover waits for its job to catch up: look at the log of "ready".
5. Start one of your own: {url}/dags/switch_and_wait , Trigger, with the job
   {YOURS}

Jobs of the simulated DRS:
  {TO_APPROVE}  orders     waits for your approval (gated_cutover)
  {FAILS}  billing    its switchover fails (fleet_cutover)
  {CATCHES_UP}  customers  its lag shrinks for two minutes, then it is switched (verified_cutover)
  {YOURS}  stock      yours

DRS itself, with every request that it gets: {service.url}/
(the button "DRS console" of a task leads there; the browser warns, because its certificate is its own)

Ctrl-C ends it, and removes all that it has made."""


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
