"""The demo as `make demo` runs it, and the example DAGs as Airflow loads them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from demo.timeline import LOG_IN, POLL, Run, Switchover, timeline

from airflow_provider_drs.simulator import Entry, Simulator
from tests.constants import JOB
from tests.waiting import PATIENCE

CHECKOUT = Path(__file__).resolve().parent.parent
EXAMPLES = CHECKOUT / "example_dags"


@dataclass
class Demo:
    """A demo that ran: its exit code, what it printed, and the folders it was given."""

    code: int
    output: str
    home: Path
    temporary: Path

    def at(self, what: str) -> float:
        """The time of the moment that begins so, from the timeline."""
        found = re.findall(rf"([+-]\d+\.\d) s\W+{re.escape(what)}", self.output)
        assert len(found) == 1, f"{what!r} is not once in:\n{self.output}"
        return float(found[0])


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    for name in ("home", "temporary"):
        (folder / name).mkdir(parents=True)
    folders = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "temporary"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [sys.executable, EXAMPLES / "run_demo.py", *arguments],
        cwd=folder,
        env={**os.environ, **folders, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str], folder: Path) -> Demo:
    with process:
        output, _ = process.communicate(timeout=PATIENCE)
    return Demo(process.returncode, output, folder / "home", folder / "temporary")


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Demo]:
    """The demo with either outcome; both run at the same time."""
    folders = {outcome: tmp_path_factory.mktemp("demo") / outcome for outcome in ("complete", "failed")}
    processes = {outcome: start(folder, "--outcome", outcome) for outcome, folder in folders.items()}
    return {outcome: finish(process, folders[outcome]) for outcome, process in processes.items()}


def test_a_completed_switchover_ends_with_success(demos: Mapping[str, Demo]) -> None:
    demo = demos["complete"]
    assert demo.code == 0, demo.output
    assert re.search(r"^DAG run manual__\S+: success$", demo.output, re.MULTILINE)
    assert '"status": "SWITCH_VIP_COMPLETE"' in demo.output
    assert f"Job {JOB}: DRS reports the switchover complete, seen at" in demo.output


def test_a_failed_switchover_ends_with_its_message_and_exit_code_1(demos: Mapping[str, Demo]) -> None:
    demo = demos["failed"]
    assert demo.code == 1, demo.output
    assert re.search(r"^DAG run manual__\S+: failed$", demo.output, re.MULTILINE)
    assert "The sensor's error: The switchover failed: DRS.M01501: Service error" in demo.output
    assert "DRS reports the switchover complete" not in demo.output
    assert demo.output.rstrip().splitlines()[-1].endswith("this is as intended, and so is the exit code 1.")


@pytest.mark.parametrize(("outcome", "final"), [("complete", "COMPLETE"), ("failed", "FAILED")])
def test_the_timeline_is_in_order(demos: Mapping[str, Demo], outcome: str, final: str) -> None:
    demo = demos[outcome]
    moments = [
        demo.at("DAG run started"),
        demo.at("token issued"),
        demo.at("first poll"),
        demo.at("START at the service"),
        demo.at("START first seen (poll"),
        demo.at(f"{final} at the service"),
        demo.at(f"{final} seen by the sensor (poll"),
        demo.at("DAG run ended"),
    ]
    assert moments == sorted(moments)
    assert moments[0] == 0
    # How many polls fall into a time depends on the machine.
    polls = [int(number) for number in re.findall(r"polls?:? (\d+)", demo.output)]
    assert polls == sorted(polls)
    assert polls[0] > 1, "the first comes before it begins"
    assert polls[1] == polls[2], "the last is the one that sees the end"
    delay = re.search(r"detection delay: (\d+\.\d) s", demo.output)
    assert delay is not None
    assert float(delay[1]) == pytest.approx(moments[6] - moments[5], abs=0.11)


@pytest.mark.parametrize(
    ("outcome", "end"), [("complete", ["done"]), ("failed", ["failed", "The switchover failed: DRS.M01501: Service"])]
)
def test_the_providers_log_lines_are_shown_and_airflows_are_not(
    demos: Mapping[str, Demo], outcome: str, end: list[str]
) -> None:
    display_text = re.findall(r"provider's log: (.*)", demos[outcome].output)
    expected = ("no switchover yet", "Deferring: ", "in progress", *end)
    for line, part in zip(display_text, expected, strict=True):
        assert JOB in line
        assert part in line
    assert "DAG TEST" not in demos[outcome].output


@pytest.mark.parametrize("outcome", ["complete", "failed"])
def test_nothing_secret_is_printed(demos: Mapping[str, Demo], outcome: str) -> None:
    assert Simulator(tls=False).password not in demos[outcome].output
    # A token is more than a hundred of these; nothing else that is printed comes near.
    assert not re.search(r"[A-Za-z0-9_-]{60}", demos[outcome].output)


@pytest.mark.parametrize("outcome", ["complete", "failed"])
def test_nothing_is_left_behind(demos: Mapping[str, Demo], outcome: str) -> None:
    assert list(demos[outcome].home.iterdir()) == []
    assert list(demos[outcome].temporary.iterdir()) == []


def test_an_airflow_that_does_not_work_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    fake = tmp_path / "packages" / "airflow"
    fake.mkdir(parents=True)
    (fake / "__init__.py").touch()
    (fake / "__main__.py").write_text("import sys; print('no room for the database'); sys.exit(3)")
    demo = finish(start(tmp_path / "demo", PYTHONPATH=str(fake.parent)), tmp_path / "demo")
    assert demo.code == 2
    assert "no room for the database" in demo.output
    assert "The demo did not work: airflow db ended with code 3" in demo.output
    [log] = demo.temporary.rglob("*.*")
    assert str(log) in demo.output


def a_run(state: str = "success", **values: object) -> Run:
    given = {"started_at": 100.0, "ended_at": 130.0, "xcom": None, "message": None, "error": None, **values}
    return Run(run_id="manual", state=state, tasks={}, **given)  # type: ignore[arg-type]


def request(at: float, call: str, status: int) -> Entry:
    return Entry(at, call, "GET", "/", {}, JOB, status, None, None, {}, answered=True)


def test_a_start_that_no_poll_fell_into_is_not_in_the_timeline() -> None:
    journal = [request(101, LOG_IN, 201), request(102, POLL, 422), request(107, POLL, 200)]
    found = timeline(journal, Switchover(103, 106, "SWITCH_VIP_FAILED"), a_run("failed"))
    assert found.moments == [
        (0, "DAG run started"),
        (1, "token issued"),
        (2, "first poll"),
        (3, "START at the service"),
        (6, "FAILED at the service"),
        (7, "FAILED seen by the sensor (poll 2)"),
        (30, "DAG run ended: failed"),
    ]
    assert (found.polls, found.detection_delay) == (2, 1)


def test_a_wait_that_ended_before_the_switchover_did_not_detect_it() -> None:
    journal = [request(101, LOG_IN, 401), request(102, POLL, 422)]
    found = timeline(journal, Switchover(103, 106, "SWITCH_VIP_COMPLETE"), a_run("failed"))
    assert found.detection_delay is None
    assert [what for _, what in found.moments if "token" in what or "seen" in what] == []


def test_the_sensors_own_account_says_when_it_knew() -> None:
    run = a_run(xcom={"done_at": "1970-01-01T00:01:47.500000+00:00"})
    found = timeline([request(107, POLL, 200)], Switchover(103, 106, "SWITCH_VIP_COMPLETE"), run)
    assert found.detection_delay == 1.5


# Airflow's own code for .airflowignore uses a name that its library has given up.
@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")
def test_every_example_dag_loads_without_a_word() -> None:
    from airflow.dag_processing.dagbag import DagBag

    dag_files = {
        path for path in EXAMPLES.rglob("*.py") if not path.name.startswith("run_") and path.parent.name != "demo"
    }
    bag = DagBag(dag_folder=str(EXAMPLES))
    assert bag.import_errors == {}
    assert bag.captured_warnings == {}
    assert {Path(dag.fileloc) for dag in bag.dags.values()} == dag_files
    assert "wait_for_switchover" in bag.dags


@pytest.mark.parametrize("extra", [None, {}, {"from": "the button 'Create asset event'"}])
def test_an_asset_event_that_a_person_made_is_passed_over(extra: dict[str, Any] | None) -> None:
    from event_driven import dag

    end = {"job_id": JOB, "outcome": "done", "seen_at": "2026-11-27T12:00:00+00:00"}
    events = [SimpleNamespace(extra=extra), SimpleNamespace(extra={"payload": end})]
    tell: Any = dag.get_task("tell")
    assert tell.python_callable(triggering_asset_events={"switchover_of_orders": events}) == [end]
