"""A real triggerer ends the task of a switchover; and what becomes of a resume that no worker can take up."""

from __future__ import annotations

from typing import Any

import requests

from airflow_provider_drs.simulator import Job, Simulator
from tests.airflow.standalone import Standalone
from tests.constants import COMPLETE, START, numbered_job

KEYS = ("switchover", "return_value")


def _deferred(cloud: Simulator, airflow: Standalone, dag_id: str, job: str) -> tuple[str, list[str | None]]:
    """Start a run, and return its id once it is deferred, with what DRS is to say of the job."""
    script: list[str | None] = [START]
    cloud.add_job(Job(job, no_switchover="null", status_after_switch=script))
    run = airflow.start(dag_id, job_id=job)
    airflow.until(lambda: run in airflow.deferred(), f"{dag_id} to be deferred")
    return run, script


def _clear(airflow: Standalone, dag_id: str, run: str, state: str) -> None:
    # Airflow may end a run with the states from before a clear that comes in between; then nothing would start.
    airflow.until(lambda: airflow.get(f"/dags/{dag_id}/dagRuns/{run}")["state"] == state, "the end of the run")
    chosen = {"dry_run": False, "dag_run_id": run, "task_ids": ["switch"], "only_failed": False, "reset_dag_runs": True}
    airflow.send("POST", f"/dags/{dag_id}/clearTaskInstances", chosen)
    airflow.until(lambda: airflow.task(dag_id, run, "switch")["try_number"] == 2, "the second try")
    assert airflow.state(dag_id, run, "success", "failed", task_id="switch") == "success"


def _responds(airflow: Standalone) -> bool:
    try:
        return requests.get(f"{airflow.workers_url}/health", timeout=10).ok
    except requests.RequestException:
        return False


def _evidence(airflow: Standalone, dag_id: str, run: str) -> dict[str, Any]:
    """Return the evidence, which stands under both keys."""
    first, second = (airflow.xcom(dag_id, run, key, task_id="switch") for key in KEYS)
    assert first == second
    return dict(first)


def test_what_no_worker_can_take_up_is_ended_there_or_healed_by_a_clear(cloud: Simulator, airflow: Standalone) -> None:
    """The API server of the workers is away when the switchover ends, so that no worker can start."""
    there, here = numbered_job(601), numbered_job(602)
    ended, script_there = _deferred(cloud, airflow, "ended_there", there)
    resumed, script_here = _deferred(cloud, airflow, "resumed_here", here)
    airflow.kill("execution")
    script_there.append(COMPLETE)
    script_here.append(COMPLETE)
    assert airflow.state("ended_there", ended, "success", "failed", task_id="switch") == "success"
    assert airflow.state("resumed_here", resumed, "success", "failed", task_id="switch") == "failed"
    airflow.begin("execution")
    airflow.until(lambda: _responds(airflow), "the API server of the workers")

    log = airflow.task_log("ended_there", ended)
    assert log.count("a worker begins") == 1
    done = _evidence(airflow, "ended_there", ended)
    assert (done["outcome"], done["status"], done["decided_by"]) == ("done", COMPLETE, "drs")
    assert [change["status"] for change in done["observed"]][-2:] == [START, COMPLETE]
    assert done["seconds"]["switchover"] > 0
    # The runbook's row: failed, an evidence that is not over, and no error of this provider in the log.
    assert _evidence(airflow, "resumed_here", resumed)["outcome"] == "accepted"
    assert "Drs" not in "".join(
        line for line in airflow.task_log("resumed_here", resumed).splitlines() if "rror" in line
    )

    _clear(airflow, "resumed_here", resumed, "failed")
    assert _evidence(airflow, "resumed_here", resumed)["outcome"] == "done"
    assert cloud.switched(here) == ["target"]
    # Its record says so too, though a triggerer cannot save it.
    _clear(airflow, "ended_there", ended, "success")
    assert "has switched it already" in airflow.task_log("ended_there", ended)
    again = _evidence(airflow, "ended_there", ended)
    changed = {name for name in done if again[name] != done[name]}
    # What the mark does not have: the last read, and when the end was seen first, a second before it was certain.
    assert changed <= {"watched", "observed"}, {name: (done[name], again[name]) for name in changed}
    assert [change["status"] for change in again["observed"]] == [change["status"] for change in done["observed"]]
    assert cloud.switched(there) == ["target"]
