"""Runs of cutovers, and what becomes of their jobs at DRS."""

from __future__ import annotations

from playwright.sync_api import expect

from airflow_provider_drs.simulator import Job, Simulator
from tests.constants import COMPLETE, FAILED, START, numbered_job
from tests.e2e.browser import Person
from tests.e2e.place import Place

APPROVED, REJECTED, FAILING, WITH_A_WAY_BACK = (numbered_job(number) for number in range(1, 5))
CODE, TEXT = "DRS.M01501", "the virtual IP address could not be moved"
# Nobody listens there.
CLOSED_PORT = 9


def start_runs(airflow: Place, cloud: Simulator) -> dict[str, str]:
    """Start the runs that nobody has to fill in a form for; return their ids by job.

    A job that is switched stays so until `finish` or `fail` ends it.
    """
    cloud.add_job(Job(APPROVED, status_after_switch=[START]))
    cloud.add_job(Job(REJECTED))
    cloud.add_job(Job(FAILING, status_after_switch=[START]))
    cloud.add_job(Job(WITH_A_WAY_BACK, status_after_switch=[START, START, START, COMPLETE]))
    return {
        REJECTED: airflow.start("asked_cutover", job_id=REJECTED, mode="source"),
        FAILING: airflow.start("nightly_cutover", job_id=FAILING, mode="target"),
        WITH_A_WAY_BACK: airflow.start(
            "verified_cutover",
            job_id=WITH_A_WAY_BACK,
            mode="target",
            rollback_mode="source",
            max_lag=0,
            host="127.0.0.1",
            port=CLOSED_PORT,
        ),
    }


def finish(cloud: Simulator, job_id: str) -> None:
    """Let DRS complete the switchover of a job."""
    cloud.add_job(Job(job_id, status_script=[COMPLETE]))


def fail(cloud: Simulator, job_id: str) -> None:
    """Let DRS fail it."""
    cloud.add_job(Job(job_id, status_script=[FAILED], error_code=CODE, error_msg=TEXT))


def run_path(dag_id: str, run_id: str, task_id: str = "") -> str:
    """Return the address of a run's page, or of one of its tasks'."""
    return f"/dags/{dag_id}/runs/{run_id}" + (f"/tasks/{task_id}" if task_id else "")


def sees_state(person: Person, task_id: str, state: str) -> None:
    """Wait until the page of a run, which refreshes itself, shows a task in a state."""
    row = person.page.get_by_role("row").filter(has=person.page.get_by_role("link", name=task_id, exact=True))
    expect(row).to_contain_text(state)
