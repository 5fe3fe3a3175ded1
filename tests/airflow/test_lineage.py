"""What OpenLineage's own listener sends of our tasks, to a file, from a process with nothing of the tests in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from openlineage.client.facet_v2 import RunFacet

from airflow_provider_drs.lineage import events
from airflow_provider_drs.protocol import Endpoint, Record
from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor
from airflow_provider_drs.simulator import Fault, Job, Simulator
from airflow_provider_drs.triggers.without_worker import needs_a_worker
from tests.airflow.lineage_dags import run as lineage_run
from tests.constants import COMPLETE, FAILED, JOB, START, numbered_job
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
SOURCE, TARGET = "mysql://192.0.2.10:3306", "mysql://192.0.2.20:3306"
DETAIL = "batch-detail"

Events = dict[str, dict[str, Any]]


def _jobs() -> list[Job]:
    scripts: dict[str, dict[str, Any]] = {
        "switch_failed": {"status_after_switch": [START, FAILED], "error_code": "DRS.M1", "error_msg": "no address"},
        "guard": {"status": "FULL_TRANSFER_STARTED"},
        "seen": {"status_script": [START, COMPLETE]},
        "seen_deferred": {"status_script": [START, COMPLETE]},
        "seen_failed": {"status_script": [FAILED]},
        "ready": {},
    }
    switches = {"status_script": [None], "status_after_switch": [START, COMPLETE]}
    jobs = [
        Job(job, **{**switches, **scripts.get(case, {})}) for case, job in lineage_run.JOBS.items() if case != "unknown"
    ]
    return [*jobs, Job(numbered_job(0))]


@pytest.fixture(scope="module")
def service() -> Any:
    with Simulator(jobs=_jobs()) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def sent(service: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Events:
    """The last event of each case's task, as it stands in the file."""
    place = tmp_path_factory.mktemp("lineage")
    transport = {"type": "file", "log_file_path": str(place / "events"), "append": True}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        "AIRFLOW_HOME": str(place / "home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(lineage_run.__file__).parent),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_CONN_DRS_DEFAULT": json.dumps(service.connection()),
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT": str(int(PATIENCE)),
    }
    command = [sys.executable, lineage_run.__file__]
    done = subprocess.run(command, env=environment, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    text = (place / "events").read_text()
    account = service.connection()
    assert account["password"] not in text
    told = [json.loads(line) for line in text.splitlines()]
    return {event["job"]["name"]: event for event in told if "." in event["job"]["name"]}


def _task(sent: Events, case: str) -> dict[str, Any]:
    return sent[f"{case}.wait"]


def _names(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(dataset["namespace"], dataset["name"]) for dataset in datasets]


@pytest.mark.parametrize(
    ("case", "event", "outcome"),
    [
        ("switched", "COMPLETE", "done"),
        ("switched_deferred", "COMPLETE", "done"),
        ("switch_failed", "FAIL", "failed"),
        ("guard", "FAIL", "read"),
    ],
)
def test_a_switchover(case: str, event: str, outcome: str, sent: Events, service: Simulator) -> None:
    found = _task(sent, case)
    facet = found["run"]["facets"]["drs_switchover"]
    assert (found["eventType"], facet["outcome"], facet["mode"]) == (event, outcome, "target")
    assert facet["job_id"] == lineage_run.JOBS[case]
    assert [guard["name"] for guard in facet["guards"]] == ["job_state", "lag_seconds", "switchover_status"]
    assert _names(found["inputs"]) == [(SOURCE, "/")]
    assert _names(found["outputs"]) == [(TARGET, "/")]
    [asked] = [call for call in service.calls(DETAIL) if facet["job_id"] in str(call.body)]
    assert asked.status == 200


def test_a_failed_switchover_says_what_drs_said(sent: Events) -> None:
    facet = _task(sent, "switch_failed")["run"]["facets"]["drs_switchover"]
    assert (facet["error_code"], facet["error_msg"], facet["decided_by"]) == ("DRS.M1", "no address", "drs")


@pytest.mark.parametrize(
    ("case", "event", "jobs", "result"),
    [
        ("seen", "COMPLETE", ["seen"], {"status": COMPLETE, "polls": 2}),
        ("seen_deferred", "COMPLETE", ["seen_deferred"], {"status": COMPLETE}),
        ("seen_failed", "FAIL", ["seen_failed"], None),
    ],
)
def test_a_sensor(case: str, event: str, jobs: list[str], result: dict[str, Any] | None, sent: Events) -> None:
    found = _task(sent, case)
    facet = found["run"]["facets"]["drs_wait"]
    assert (found["eventType"], facet["jobs"]) == (event, [lineage_run.JOBS[job] for job in jobs])
    assert (_names(found["inputs"]), _names(found["outputs"])) == ([(SOURCE, "/")], [(TARGET, "/")])
    if result is None:
        assert "result" not in facet
    else:
        assert facet["result"].items() >= result.items()


def test_a_sensor_of_many_jobs_names_a_server_once(sent: Events) -> None:
    found = _task(sent, "ready")
    jobs = [lineage_run.JOBS["ready"], numbered_job(0)]
    facet = found["run"]["facets"]["drs_wait"]
    assert (facet["jobs"], set(facet["result"])) == (jobs, set(jobs))
    assert (_names(found["inputs"]), _names(found["outputs"])) == ([(SOURCE, "/")], [(TARGET, "/")])


@pytest.mark.parametrize("case", ["unknown", "no_connection", "no_job"])
def test_who_could_not_ask_does_not_ask_for_this(case: str, sent: Events, service: Simulator) -> None:
    found = _task(sent, case)
    assert (found["eventType"], found["inputs"], found["outputs"]) == ("FAIL", [], [])
    assert found["run"]["facets"]["drs_wait"]["jobs"] == ([] if case == "no_job" else [lineage_run.JOBS[case]])
    assert not [call for call in service.calls(DETAIL) if lineage_run.JOBS[case] in str(call.body)]


def test_a_dry_run_is_no_switchover(sent: Events) -> None:
    found = _task(sent, "dry_run")
    assert (found["eventType"], found["inputs"], found["outputs"]) == ("COMPLETE", [], [])
    assert "drs_switchover" not in found["run"]["facets"]


def test_the_facet_has_all_of_the_evidence_but_what_airflows_own_facet_has() -> None:
    facet = {name for name in vars(RunFacet()) if name.startswith("_")}
    told = {field.name for field in events.fields(events.DrsSwitchoverRunFacet)} - facet
    told -= {field.name for field in events.fields(RunFacet)}
    assert Record(JOB, "target").evidence().keys() - told == {"dag_id", "run_id", "task_id", "map_index"}
    assert told <= Record(JOB, "target").evidence().keys()


@pytest.mark.parametrize(
    ("point", "namespace"),
    [
        (Endpoint("mysql", "192.0.2.1", 3306), "mysql://192.0.2.1:3306"),
        (Endpoint("postgresql", "192.0.2.1", 5432), "postgres://192.0.2.1:5432"),
        (Endpoint("taurus", "192.0.2.1", 3306), "mysql://192.0.2.1:3306"),
        (Endpoint("MySQL", "2001:db8::1", 3306), "mysql://[2001:db8::1]:3306"),
        (Endpoint("mongodb", "192.0.2.1:27017,192.0.2.2:27017"), "mongodb://192.0.2.1:27017,192.0.2.2:27017"),
        (Endpoint("newdb", "192.0.2.1"), "newdb://192.0.2.1"),
        (Endpoint("mysql", None, 3306, "rds-1"), None),
        (Endpoint(None, "192.0.2.1"), None),
    ],
)
def test_how_openlineage_writes_a_server(point: Endpoint, namespace: str | None) -> None:
    assert events._namespace(point) == namespace


@pytest.mark.parametrize(
    ("fault", "says"), [(Fault.no_permission(), "DRS.M00103"), (Fault.slow(30), "did not respond within")]
)
def test_without_the_details_the_evidence_is_told_all_the_same(
    fault: Fault, says: str, drs: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_drs.hooks.drs import DrsHook

    monkeypatch.setattr(events, "ANSWER_WITHIN", 0.5)
    drs.add_job(Job(JOB))
    drs.fault(DETAIL, fault)
    warned: list[str] = []

    class Log:
        def warning(self, text: str, *args: Any) -> None:
            warned.append(text % args)

    told = events.of_wait([JOB], {"status": COMPLETE}, True, DrsHook(), Log())
    assert (told.inputs, told.outputs, told.run_facets["drs_wait"].result) == ([], [], {"status": COMPLETE})
    assert [says in text for text in warned] == [True]


@pytest.mark.parametrize(
    ("settings", "needs"),
    [
        ({}, False),
        ({"TRANSPORT": '{"type": "console"}'}, True),
        ({"TRANSPORT": '{"type": "console"}', "DISABLED": "True"}, False),
    ],
)
def test_the_triggerer_ends_no_task_that_openlineage_listens_to(
    settings: dict[str, str], needs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow tells no listener of such an end."""
    for name, value in settings.items():
        monkeypatch.setenv(f"AIRFLOW__OPENLINEAGE__{name}", value)
    with DAG("ends", schedule=None):
        sensor = DrsSwitchoverSensor(task_id="wait", job_id=JOB, deferrable=True)
    assert needs_a_worker(sensor) is needs
