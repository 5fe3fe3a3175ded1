"""A real scheduler, triggerer and API server run the sensor against a DRS behind HTTPS."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_provider_drs.simulator import Job, Simulator
from tests.airflow.standalone import Standalone
from tests.constants import COMPLETE, FAILED, GET_STATUS, START, numbered_job


@dataclass(frozen=True)
class Wait:
    """A run of one of the DAGs, and what DRS says to it poll by poll; it never ends where ``final`` is None.

    Where a worker defers, the end comes once the scheduler has seen that worker end, see ``Standalone.deferred``.
    """

    dag_id: str
    final: str | None = COMPLETE
    conf: tuple[tuple[str, str], ...] = ()

    @property
    def job_id(self) -> str:
        return numbered_job(1000 + zlib.crc32(repr(self).encode()) % 9000)

    @property
    def script(self) -> list[str | None]:
        if self.final is None:
            return [START]
        return ["EMPTY", START, START, *([] if self.is_deferred else [self.final])]

    @property
    def is_deferred(self) -> bool:
        """Whether a worker begins the wait and hands it to the triggerer."""
        return self.final is not None and self.dag_id.startswith(("deferred", "mapped_over"))

    def __str__(self) -> str:
        return f"{self.dag_id} to {self.final}"


Runs = dict[Wait, str]


@pytest.fixture(scope="session")
def runs(request: pytest.FixtureRequest, cloud: Simulator, airflow: Standalone) -> Runs:
    """Start the runs of all chosen tests at once, so that the whole takes little longer than one; return their ids."""
    chosen = (
        item for item in request.session.items if isinstance(item, pytest.Function) and item.path == Path(__file__)
    )
    waits = (item.callspec.params.get("wait") for item in chosen if hasattr(item, "callspec"))
    started: Runs = {}
    scripts: dict[str, list[str | None]] = {}
    for wait in waits:
        if isinstance(wait, Wait) and wait not in started:
            scripts[wait.job_id] = wait.script
            cloud.add_job(Job(wait.job_id, status_script=scripts[wait.job_id], error_msg="in use"))
            started[wait] = airflow.start(wait.dag_id, job_id=wait.job_id, **dict(wait.conf))
    waiting = {wait for wait in started if wait.is_deferred}

    def deferred() -> set[Wait]:
        seen = airflow.deferred()
        return {wait for wait in waiting if started[wait] in seen}

    while waiting:
        for wait in airflow.until(deferred, f"{[str(wait) for wait in waiting]} to be deferred"):
            scripts[wait.job_id].append(wait.final)
            waiting.remove(wait)
    return started


def _polls(cloud: Simulator, job_id: str) -> int:
    return len([entry for entry in cloud.calls(GET_STATUS) if entry.job_id == job_id])


def each(*waits: Wait) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("wait", waits, ids=str)


def test_all_are_started(runs: Runs) -> None:
    """Other tests run meanwhile, see ``GROUPS`` in ``tests/conftest.py``."""
    assert len(set(runs.values())) == len(runs)


def test_the_triggerer_waits_and_the_link_is_there_meanwhile(cloud: Simulator, airflow: Standalone) -> None:
    job = numbered_job(999)
    cloud.add_job(Job(job, status_script=[START]))
    run = airflow.start("deferred", job_id=job)
    airflow.state("deferred", run, "deferred")
    airflow.until(lambda: _polls(cloud, job) >= 2 and run in airflow.deferred(), "two polls")

    links = airflow.get(f"/dags/deferred/dagRuns/{run}/taskInstances/wait/links")
    assert links["extra_links"] == {"DRS console": f"https://console.example/eu-de/{job}"}

    cloud.add_job(Job(job, status_script=[COMPLETE]))
    assert airflow.state("deferred", run, "success", "failed") == "success"
    xcom = airflow.xcom("deferred", run)
    assert (xcom["job_id"], xcom["status"]) == (job, COMPLETE)
    assert xcom["polls"] == _polls(cloud, job)
    links = airflow.get(f"/dags/deferred/dagRuns/{run}/taskInstances/wait/links")
    assert links["extra_links"] == {"DRS console": f"https://console.example/eu-de/{job}"}


@each(*(Wait(dag_id, final) for dag_id in ("poked", "rescheduled", "deferred") for final in (COMPLETE, FAILED)))
def test_each_mode_in_real_processes(wait: Wait, cloud: Simulator, airflow: Standalone, runs: Runs) -> None:
    state = airflow.state(wait.dag_id, runs[wait], "success", "failed")
    log = airflow.task_log(wait.dag_id, runs[wait])
    assert state == ("success" if wait.final == COMPLETE else "failed"), log
    assert airflow.task(wait.dag_id, runs[wait])["try_number"] == 1
    if state == "success":
        assert airflow.xcom(wait.dag_id, runs[wait])["polls"] == _polls(cloud, wait.job_id)
    assert log.count(f"Job {wait.job_id}: no switchover yet") == 1, "said once, in every mode"
    assert log.count(f"Job {wait.job_id}: switchover in progress") == 1


@pytest.mark.parametrize(
    ("wait", "workers"),
    [
        (Wait("deferred"), 1),
        (Wait("deferred_resumed"), 2),
        (Wait("deferred_called_back"), 2),
        (Wait("deferred_with_outlet"), 2),
        (Wait("deferred_post_execute"), 2),
        (Wait("started_from_trigger"), 0),
        (Wait("started_called_back"), 1),
        (Wait("mapped"), 1),
    ],
    ids=str,
)
def test_how_many_workers_a_good_end_takes(
    wait: Wait, workers: int, cloud: Simulator, airflow: Standalone, runs: Runs
) -> None:
    dag_id, run, job = wait.dag_id, runs[wait], wait.job_id
    task = f"/dags/{dag_id}/dagRuns/{run}/taskInstances/wait" + ("/0" if dag_id == "mapped" else "")
    ended = airflow.until(lambda: (s := airflow.get(task)["state"]) in ("success", "failed") and s, "the end")
    log = airflow.task_log(dag_id, run)
    assert ended == "success", log
    assert log.count("a worker begins") == workers
    assert log.count("called back") == dag_id.count("called_back")
    assert log.count("checked after the end") == dag_id.count("post_execute")
    if dag_id != "mapped":
        xcom = airflow.xcom(dag_id, run)
        assert isinstance(xcom, dict)
        assert list(xcom) == ["job_id", "status", "first_polled_at", "done_at", "polls"]
        assert (xcom["job_id"], xcom["polls"]) == (job, _polls(cloud, job))
        assert airflow.xcom(dag_id, run, "drs_console_link") == f"https://console.example/eu-de/{job}"
    if dag_id == "deferred_with_outlet":
        [event] = airflow.get("/assets/events")["asset_events"]
        assert event["source_dag_id"] == dag_id


@each(Wait("mapped_over"), Wait("started_mapped_over"))
def test_what_is_mapped_over_the_result_runs(wait: Wait, airflow: Standalone, runs: Runs) -> None:
    tasks = f"/dags/{wait.dag_id}/dagRuns/{runs[wait]}/taskInstances?task_id=each"
    states = lambda: {t["state"] for t in airflow.get(tasks)["task_instances"] if t["task_id"] == "each"}  # noqa: E731
    over = {"success", "failed", "upstream_failed"}
    assert airflow.until(lambda: (s := states()) and s <= over and s, "the mapped tasks") == {"success"}


@each(Wait("started_with_retries", None, conf=(("conn", "nobody"),)))
def test_a_start_in_the_triggerer_is_retried_as_any_other(wait: Wait, airflow: Standalone, runs: Runs) -> None:
    assert airflow.state(wait.dag_id, runs[wait], "success", "failed") == "failed"
    assert airflow.task(wait.dag_id, runs[wait])["try_number"] == 2
    assert "[Connection 'nobody'" in airflow.task_log(wait.dag_id, runs[wait])


@each(Wait("started_from_trigger", FAILED), Wait("deferred", FAILED))
def test_a_bad_end_resumes_on_a_worker(wait: Wait, airflow: Standalone, runs: Runs) -> None:
    assert airflow.state(wait.dag_id, runs[wait], "success", "failed", "up_for_retry") == "failed"
    log = airflow.task_log(wait.dag_id, runs[wait])
    assert "DrsSwitchoverFailedError" in log
    assert log.count("a worker begins") == (1 if wait.dag_id == "started_from_trigger" else 2)


@pytest.mark.parametrize(
    ("wait", "state"),
    [
        (Wait("timed_out", None), "failed"),
        (Wait("timed_out_softly", None), "skipped"),
        (Wait("started_timed_out", None), "failed"),
    ],
    ids=str,
)
def test_the_timeout_of_a_deferred_wait(wait: Wait, state: str, airflow: Standalone, runs: Runs) -> None:
    assert airflow.state(wait.dag_id, runs[wait], "success", "failed", "skipped", "up_for_retry") == state
    assert airflow.task(wait.dag_id, runs[wait])["try_number"] == 1, "a timeout is not retried"


def test_airflow_finds_the_provider_and_tests_the_connection(cloud: Simulator, airflow: Standalone) -> None:
    assert "airflow-provider-drs" in airflow.cli("providers", "list").stdout
    tested = airflow.cli("connections", "test", "drs_default")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "Connection success" in tested.stdout

    form = next(kind for kind in airflow.get("/connections/hook_meta", api="/ui") if kind["connection_type"] == "drs")
    assert {"region", "auth_url", "token", "console_url"} <= set(form["extra_fields"])


def test_no_secret_in_any_log_or_in_the_database(cloud: Simulator, airflow: Standalone) -> None:
    written = airflow.log_text()
    assert "switchover in progress" in written, "the log that is searched is the right one"
    kept = airflow.database_bytes()
    assert b"DrsSwitchoverTrigger" in kept or b"drs_console_link" in kept, (
        "the database that is searched is the right one"
    )
    for secret in (cloud.password, *cloud.issued_tokens()):
        assert secret not in written
        assert secret.encode() not in kept


def test_a_start_that_fails_leaves_no_process_behind(tmp_path: Path) -> None:
    started = Standalone(tmp_path / "home", tmp_path / "dags", {}, start_within=1)
    with pytest.raises(AssertionError, match="waited for a healthy Airflow in vain"), started:
        pass
    assert len(started.processes) == len(started.parts)
    for process in started.processes.values():
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
