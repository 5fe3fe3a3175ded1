"""Every example DAG in a real Airflow (scheduler, triggerer, API server) against a DRS behind HTTPS."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_drs.simulator import Job, Simulator
from tests.airflow.standalone import Standalone
from tests.constants import COMPLETE, FAILED, GET_STATUS, START, SWITCH, numbered_job

EXAMPLES = Path(__file__).parents[2] / "example_dags"
WATCHED = numbered_job(299)
AT_ONCE = 2
# How long a switchover takes: a deferred task that is due again within seconds can meet Airflow's scheduler before that
# has seen the end of the process that deferred it, which Airflow takes for a lost task.
LASTS = 20


FLEET = [numbered_job(number) for number in range(20, 25)]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Simulator]:
    with Simulator() as simulator:
        # What stands when the watching begins is left over, and starts nothing.
        simulator.add_job(Job(WATCHED, status_script=[COMPLETE]))
        yield simulator


@pytest.fixture(scope="module")
def airflow(cloud: Simulator, airflow_db: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    environment = {
        "AIRFLOW_CONN_DRS_DEFAULT": json.dumps(cloud.connection()),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__PARALLELISM": "8",
        # A triggerer that has died is to be noticed soon.
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        "WATCHED_DRS_JOB": WATCHED,
    }
    with Standalone(tmp_path_factory.mktemp("examples"), EXAMPLES, environment, airflow_db) as running:
        yield running


def _gated(cloud: Simulator, airflow: Standalone, job_id: str, refused: str | None = None) -> str:
    """Bring a cutover to its approval; return the run's id."""
    cloud.add_job(Job(job_id, start_lasts=LASTS, compare_seconds=0, compare_refused=refused))
    run = airflow.start("gated_cutover", job_id=job_id, mode="target")
    _asks(airflow, "gated_cutover", run, "cutover.approval")
    return run


def _asks(airflow: Standalone, dag_id: str, run: str, task_id: str) -> None:
    """Wait until a task asks for its approval."""
    airflow.state(dag_id, run, "awaiting_input", task_id=task_id)

    def worker_is_over() -> bool:
        lines = [line for line in airflow.log_text().splitlines() if "Received executor event" in line and run in line]
        return any(f"task_id='{task_id}'" in line for line in lines)

    # Airflow fails a task that is answered before the scheduler has seen the end of the process that asks.
    airflow.until(worker_is_over, "the scheduler to see the end of the process that asks")


@pytest.fixture(scope="module")
def database() -> Iterator[int]:
    """A port at which something answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture(scope="module")
def nobody() -> Iterator[int]:
    """A port at which nothing does, nor will."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture(scope="module")
def runs(cloud: Simulator, airflow: Standalone, database: int, nobody: int) -> dict[str, str]:
    """All that needs nobody's answer, started at once."""
    cloud.add_job(Job(numbered_job(1), start_lasts=LASTS, running=True))
    cloud.add_job(Job(numbered_job(2), start_after=1, start_lasts=LASTS, leftover=COMPLETE))
    for job in FLEET:
        cloud.add_job(Job(job, start_lasts=LASTS, final=FAILED if job == FLEET[0] else COMPLETE))
    for number in (30, 31):
        cloud.add_job(Job(numbered_job(number), start_lasts=LASTS))
    there: dict[str, Any] = {"host": "127.0.0.1", "mode": "target", "rollback_mode": "source"}
    return {
        "wait": airflow.start("wait_for_switchover", job_id=numbered_job(1)),
        "switch": airflow.start("switch_and_wait", job_id=numbered_job(2), mode="source"),
        "fleet": airflow.start("fleet_cutover", job_ids=FLEET, mode="target"),
        "answers": airflow.start("verified_cutover", job_id=numbered_job(30), port=database, **there),
        "silent": airflow.start("verified_cutover", job_id=numbered_job(31), port=nobody, **there),
    }


def _ends(airflow: Standalone, dag_id: str, run_id: str) -> dict[str, str]:
    """Wait for the end of a run; return the state of each of its tasks, and that of the run as ``run``."""

    def ended() -> str | None:
        state = airflow.get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"]
        return state if state in ("success", "failed") else None

    state = airflow.until(ended, f"the end of {dag_id} {run_id}")
    tasks = airflow.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=100")["task_instances"]
    return {"run": state, **{task["task_id"].removeprefix("cutover."): task["state"] for task in tasks}}


def _answer(
    airflow: Standalone, run_id: str, option: str, dag_id: str = "gated_cutover", task_id: str = "cutover.approval"
) -> None:
    path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
    airflow.send("PATCH", path, {"chosen_options": [option], "params_input": {}})


def _posts(cloud: Simulator, job_id: str) -> int:
    return len([entry for entry in cloud.calls(SWITCH) if entry.job_id == job_id])


def test_each_example_is_short_and_loads(airflow: Standalone) -> None:
    files = {path.stem: path for path in EXAMPLES.glob("*.py") if not path.stem.startswith("run_")}
    assert all(len(path.read_text().splitlines()) < 70 for path in files.values())
    airflow.until(lambda: airflow.get("/dags")["total_entries"] == len(files), "all examples to be read")
    assert {dag["dag_id"] for dag in airflow.get("/dags")["dags"]} == set(files)
    assert airflow.get("/importErrors")["import_errors"] == []


def test_each_example_is_fit_to_be_copied(airflow: Standalone) -> None:
    switching = {
        path.stem for path in EXAMPLES.glob("*.py") if re.search("DrsSwitchoverOperator|cutover\\(", path.read_text())
    }
    assert len(switching) >= 4
    for found in airflow.get("/dags")["dags"]:
        dag = airflow.get(f"/dags/{found['dag_id']}/details")
        tasks, params = airflow.get(f"/dags/{found['dag_id']}/tasks")["tasks"], dag["params"] or {}
        assert dag["max_active_runs"] == 1, "two runs could meet"
        assert "airflow-drs docs runbook" in dag["doc_md"]
        assert ("dry_run" in params) == (dag["dag_id"] in switching)
        assert {task["task_id"] for task in tasks if not task["retries"]} <= {"cutover.approval", "fleet.approval"}
        assert "max_lag" not in params or params["max_lag"]["value"] in (0, 30)


def test_wait_for_switchover(airflow: Standalone, runs: dict[str, str]) -> None:
    assert set(_ends(airflow, "wait_for_switchover", runs["wait"]).values()) == {"success"}


def test_switch_and_wait(cloud: Simulator, airflow: Standalone, runs: dict[str, str]) -> None:
    assert set(_ends(airflow, "switch_and_wait", runs["switch"]).values()) == {"success"}
    assert cloud.switched(numbered_job(2)) == ["source"]
    assert airflow.xcom("switch_and_wait", runs["switch"], task_id="switch")["outcome"] == "accepted"


def test_approved(cloud: Simulator, airflow: Standalone) -> None:
    run = _gated(cloud, airflow, numbered_job(10), refused="DRS.M00304")  # the others are compared
    assert cloud.switched(numbered_job(10)) == []
    details = airflow.get(f"/dags/gated_cutover/dagRuns/{run}/taskInstances/cutover.approval/-1/hitlDetails")
    assert details["subject"] == f"mode target: job …{numbered_job(10)[-5:]}"
    assert "| Comparison | **skipped**: DRS does not compare this job (objects) |" in details["body"]
    _answer(airflow, run, "Approve")
    assert _ends(airflow, "gated_cutover", run) == {
        "run": "success", "ready": "success", "comparison": "skipped", "approval": "success", "switchover": "success",
        "dry_run": "skipped", "for_real": "success", "done": "success", "switched": "success",
        "approval_reminder": "success",
    }  # fmt: skip
    assert cloud.switched(numbered_job(10)) == ["target"]


def test_the_guards_are_read_again_after_the_approval(cloud: Simulator, airflow: Standalone) -> None:
    run = _gated(cloud, airflow, numbered_job(11))
    cloud.add_job(Job(numbered_job(11), lag_script=["900"]))
    _answer(airflow, run, "Approve")
    assert _ends(airflow, "gated_cutover", run) == {
        "run": "failed", "ready": "success", "comparison": "success", "approval": "success", "switchover": "failed",
        "dry_run": "skipped", "for_real": "success", "done": "upstream_failed", "switched": "upstream_failed",
        "approval_reminder": "success",
    }  # fmt: skip
    evidence = airflow.xcom("gated_cutover", run, "switchover", task_id="cutover.switchover")
    assert [(g["name"], g["value"]) for g in evidence["guards"] if not g["ok"]] == [("lag_seconds", 900.0)]
    assert "DrsGuardError" in airflow.task_log("gated_cutover", run)
    assert _posts(cloud, numbered_job(11)) == 0


def test_rejected(cloud: Simulator, airflow: Standalone) -> None:
    run = _gated(cloud, airflow, numbered_job(12))
    _answer(airflow, run, "Reject")
    ended = _ends(airflow, "gated_cutover", run)
    assert (ended["run"], ended["approval"], ended["switchover"]) == ("failed", "failed", "upstream_failed")
    assert _posts(cloud, numbered_job(12)) == 0


def test_fleet(cloud: Simulator, airflow: Standalone, runs: dict[str, str]) -> None:
    ended = _ends(airflow, "fleet_cutover", runs["fleet"])
    assert ended["run"] == "failed", "one of the switchovers failed"
    assert [cloud.switched(job) for job in FLEET] == [["target"]] * len(FLEET), "which held up no other"
    tasks = airflow.get(f"/dags/fleet_cutover/dagRuns/{runs['fleet']}/taskInstances?limit=100")["task_instances"]
    mapped = [task for task in tasks if task["task_id"] == "switch"]
    assert sorted(task["state"] for task in mapped) == ["failed", *["success"] * 4]
    starts = sorted(task["start_date"] for task in mapped)
    at_once = [sum(task["start_date"] <= start < task["end_date"] for task in mapped) for start in starts]
    assert max(at_once) == AT_ONCE


def test_canary_fleet(cloud: Simulator, airflow: Standalone) -> None:
    jobs = [numbered_job(number) for number in (40, 41)]
    for job in jobs:
        cloud.add_job(Job(job, start_lasts=LASTS))
    run = airflow.start("canary_fleet", job_ids=jobs, mode="target")
    _asks(airflow, "canary_fleet", run, "fleet.approval")
    _answer(airflow, run, "Approve", "canary_fleet", "fleet.approval")
    ended = _ends(airflow, "canary_fleet", run)
    assert [cloud.switched(job) for job in jobs] == [["target"]] * 2
    passed_over = {"fleet.dry_run": "skipped", "fleet.job.cutover.dry_run": "skipped"}
    assert ended == {**dict.fromkeys(ended, "success"), **passed_over}


@pytest.mark.parametrize(
    ("job", "name", "verified"), [(numbered_job(30), "answers", True), (numbered_job(31), "silent", False)]
)
def test_verified_cutover(
    job: str, name: str, verified: bool, cloud: Simulator, airflow: Standalone, runs: dict[str, str]
) -> None:
    ended = _ends(airflow, "verified_cutover", runs[name])
    assert cloud.switched(job) == (["target"] if verified else ["target", "source"])
    assert ended == {
        "run": "success" if verified else "failed",
        "ready": "success",
        "switchover": "success",
        "database_answers": "success" if verified else "failed",
        "rollback_gate": "skipped" if verified else "success",
        "rollback": "skipped" if verified else "success",
        "done": "success" if verified else "upstream_failed",
        "switched": "success" if verified else "upstream_failed",
        "dry_run": "skipped",
        "for_real": "success",
    }


@pytest.mark.parametrize("host", ["", " ", " 127.0.0.1", "http://127.0.0.1/", "127.0.0.1:3306"])
def test_a_slip_in_the_address_switches_nothing(host: str, airflow: Standalone) -> None:
    conf = {"job_id": numbered_job(32), "mode": "target", "rollback_mode": "source", "host": host}
    path = "/api/v2/dags/verified_cutover/dagRuns"
    refused = airflow.request("POST", path, {"logical_date": None, "conf": conf})
    assert (refused.status_code, "Invalid input for param host" in refused.text) == (400, True)


def test_event_driven(cloud: Simulator, airflow: Standalone) -> None:
    def runs() -> list[dict[str, Any]]:
        return list(airflow.get("/dags/event_driven/dagRuns")["dag_runs"])

    def told() -> list[dict[str, Any]]:
        found = [airflow.xcom("event_driven", run["dag_run_id"], task_id="tell") for run in runs()]
        return sorted((end for ends in found for end in ends), key=lambda end: end["seen_at"])

    def polls(more: int) -> None:
        """Wait until the job was polled so many times from now on."""
        seen = len([entry for entry in cloud.calls(GET_STATUS) if entry.job_id == WATCHED])
        airflow.until(
            lambda: len([entry for entry in cloud.calls(GET_STATUS) if entry.job_id == WATCHED]) >= seen + more,
            "polls",
        )

    def until_told(count: int) -> list[dict[str, Any]]:
        airflow.until(lambda: [run["state"] for run in runs()] == ["success"] * count, f"{count} runs")
        return told()

    polls(2)
    assert runs() == []
    cloud.add_job(Job(WATCHED, status_script=[START, FAILED], error_code="DRS.M9", error_msg="in use"))
    [end] = until_told(1)
    assert (end["job_id"], end["outcome"], end["error_code"]) == (WATCHED, "failed", "DRS.M9")

    polls(2)  # by now it is written down
    airflow.kill("triggerer")
    # What it last saw is known only from the asset's state store: without it, this would be left over.
    cloud.add_job(Job(WATCHED, status_script=[COMPLETE]))
    airflow.begin("triggerer")
    ends = until_told(2)
    polls(2)
    assert [end["outcome"] for end in ends] == ["failed", "done"]
    assert len(runs()) == 2, "each was told once"
    written = airflow.log_text()
    assert not [secret for secret in (cloud.password, *cloud.issued_tokens()) if secret in written]
