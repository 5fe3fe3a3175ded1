"""A real scheduler, triggerer and API server run the sensor against a DRS behind HTTPS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_drs.simulator import Job, Simulator
from tests.airflow.standalone import Standalone
from tests.airflow.waits import JOB

STATUS = "get-switch-vip-status"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def airflow(cloud: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    connection = cloud.connection()
    connection["extra"] |= {"region": "eu-de", "console_url": "https://console.example/{region}/{job_id}"}
    home, dags = tmp_path_factory.mktemp("standalone"), Path(__file__).parent / "standalone_dags"
    with Standalone(home, dags, {"AIRFLOW_CONN_DRS_DEFAULT": json.dumps(connection)}) as running:
        yield running


def _job(name: str) -> str:
    return f"{JOB[:-6]}jb{sum(name.encode()) % 10000:04}"


def test_the_triggerer_waits_and_the_link_is_there_meanwhile(cloud: Simulator, airflow: Standalone) -> None:
    job = _job("deferred")
    cloud.add_job(Job(job, status_script=["SWITCH_VIP_START"]))
    run = airflow.start("deferred", job_id=job)
    airflow.state("deferred", run, "deferred")
    cloud.wait_for(STATUS, 2)

    links = airflow.get(f"/dags/deferred/dagRuns/{run}/taskInstances/wait/links")
    assert links["extra_links"] == {"DRS console": f"https://console.example/eu-de/{job}"}

    cloud.add_job(Job(job, status_script=["SWITCH_VIP_COMPLETE"]))
    assert airflow.state("deferred", run, "success", "failed") == "success"
    xcom = airflow.xcom("deferred", run)
    assert (xcom["job_id"], xcom["status"]) == (job, "SWITCH_VIP_COMPLETE")
    assert xcom["polls"] == len([entry for entry in cloud.calls(STATUS) if entry.job_id == job])
    links = airflow.get(f"/dags/deferred/dagRuns/{run}/taskInstances/wait/links")
    assert links["extra_links"] == {"DRS console": f"https://console.example/eu-de/{job}"}


@pytest.mark.parametrize("dag_id", ["poked", "rescheduled", "deferred"])
@pytest.mark.parametrize(("final", "state"), [("SWITCH_VIP_COMPLETE", "success"), ("SWITCH_VIP_FAILED", "failed")])
def test_each_mode_in_real_processes(
    dag_id: str, final: str, state: str, cloud: Simulator, airflow: Standalone
) -> None:
    job = _job(dag_id + final)
    cloud.add_job(Job(job, status_script=["EMPTY", "SWITCH_VIP_START", "SWITCH_VIP_START", final], error_msg="in use"))
    run = airflow.start(dag_id, job_id=job)
    assert airflow.state(dag_id, run, "success", "failed") == state
    assert airflow.task(dag_id, run)["try_number"] == 1
    if state == "success":
        assert airflow.xcom(dag_id, run)["polls"] == 4
    log = airflow.task_log(dag_id, run)
    assert log.count(f"Job {job}: no switchover yet") == 1, "said once, in every mode"
    assert log.count(f"Job {job}: switchover in progress") == 1


@pytest.mark.parametrize(
    ("dag_id", "workers"),
    [
        ("deferred", 1),
        ("deferred_resumed", 2),
        ("deferred_called_back", 2),
        ("deferred_with_outlet", 2),
        ("deferred_post_execute", 2),
        ("started_from_trigger", 0),
        ("started_called_back", 1),
        ("mapped", 1),
    ],
)
def test_how_many_workers_a_good_end_takes(dag_id: str, workers: int, cloud: Simulator, airflow: Standalone) -> None:
    job = _job(f"workers{dag_id}")
    cloud.add_job(Job(job, status_script=["SWITCH_VIP_START"] * 6 + ["SWITCH_VIP_COMPLETE"]))
    run = airflow.start(dag_id, job_id=job)
    task = f"/dags/{dag_id}/dagRuns/{run}/taskInstances/wait" + ("/0" if dag_id == "mapped" else "")
    ended = airflow.until(lambda: (s := airflow.get(task)["state"]) in ("success", "failed") and s, 120, "the end")
    log = airflow.task_log(dag_id, run)
    assert ended == "success", log
    assert log.count("a worker begins") == workers
    assert log.count("called back") == dag_id.count("called_back")
    assert log.count("checked after the end") == dag_id.count("post_execute")
    if dag_id != "mapped":
        xcom = airflow.xcom(dag_id, run)
        assert isinstance(xcom, dict)
        assert list(xcom) == ["job_id", "status", "first_polled_at", "done_at", "polls"]
        assert (xcom["job_id"], xcom["polls"]) == (job, 7)
        assert airflow.xcom(dag_id, run, "drs_console_link") == f"https://console.example/eu-de/{job}"
    if dag_id == "deferred_with_outlet":
        [event] = airflow.get("/assets/events")["asset_events"]
        assert event["source_dag_id"] == dag_id


@pytest.mark.parametrize("dag_id", ["mapped_over", "started_mapped_over"])
def test_what_is_mapped_over_the_result_runs(dag_id: str, cloud: Simulator, airflow: Standalone) -> None:
    job = _job(f"over{dag_id}")
    cloud.add_job(Job(job, status_script=["SWITCH_VIP_START", "SWITCH_VIP_COMPLETE"]))
    run = airflow.start(dag_id, job_id=job)
    each = f"/dags/{dag_id}/dagRuns/{run}/taskInstances?task_id=each"
    states = lambda: {t["state"] for t in airflow.get(each)["task_instances"] if t["task_id"] == "each"}  # noqa: E731
    over = {"success", "failed", "upstream_failed"}
    assert airflow.until(lambda: (s := states()) and s <= over and s, 120, "the mapped tasks") == {"success"}


def test_a_start_in_the_triggerer_is_retried_as_any_other(cloud: Simulator, airflow: Standalone) -> None:
    job = _job("retried")
    cloud.add_job(Job(job, status_script=["SWITCH_VIP_START"]))
    run = airflow.start("started_with_retries", job_id=job, conn="nobody")
    assert airflow.state("started_with_retries", run, "success", "failed") == "failed"
    assert airflow.task("started_with_retries", run)["try_number"] == 2
    assert "Connection 'nobody': it is not defined" in airflow.task_log("started_with_retries", run)


@pytest.mark.parametrize("dag_id", ["started_from_trigger", "deferred"])
def test_a_bad_end_resumes_on_a_worker(dag_id: str, cloud: Simulator, airflow: Standalone) -> None:
    job = _job(f"bad{dag_id}")
    cloud.add_job(Job(job, status_script=["SWITCH_VIP_START"] * 6 + ["SWITCH_VIP_FAILED"], error_msg="in use"))
    run = airflow.start(dag_id, job_id=job)
    assert airflow.state(dag_id, run, "success", "failed", "up_for_retry") == "failed"
    log = airflow.task_log(dag_id, run)
    assert "DrsSwitchoverFailedError" in log
    assert log.count("a worker begins") == (1 if dag_id == "started_from_trigger" else 2)


@pytest.mark.parametrize(
    ("dag_id", "state"),
    [("timed_out", "failed"), ("timed_out_softly", "skipped"), ("started_timed_out", "failed")],
)
def test_the_timeout_of_a_deferred_wait(dag_id: str, state: str, cloud: Simulator, airflow: Standalone) -> None:
    job = _job(dag_id)
    cloud.add_job(Job(job, status_script=["SWITCH_VIP_START"]))
    run = airflow.start(dag_id, job_id=job)
    assert airflow.state(dag_id, run, "success", "failed", "skipped", "up_for_retry") == state
    assert airflow.task(dag_id, run)["try_number"] == 1, "a time-out is not retried"


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
    kept = b"".join(path.read_bytes() for path in airflow.home.glob("airflow.db*"))
    assert b"DrsSwitchoverTrigger" in kept or b"drs_console_link" in kept, (
        "the database that is searched is the right one"
    )
    for secret in (cloud.password, *cloud.issued_tokens()):
        assert secret not in written
        assert secret.encode() not in kept
