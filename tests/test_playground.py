"""The playground as `make playground` runs it: a person finds what is promised there, and nothing is left of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
import requests

from tests.waiting import PATIENCE, until

CHECKOUT = Path(__file__).resolve().parent.parent
LAST_LINE = "Ctrl-C ends it, and removes all that it has made."


class Playground:
    """One that runs, and what it has printed so far."""

    def __init__(self, folder: Path) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.printed = folder / "printed"
        with self.printed.open("wb") as printed:
            self.process = subprocess.Popen(
                [sys.executable, CHECKOUT / "example_dags" / "run_playground.py"],
                env={**os.environ, "TMPDIR": str(self.temporary), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
            )

    def until_printed(self, text: str) -> str:
        until(
            lambda: text in self.output(),
            PATIENCE,
            f"{text!r}",
            over=lambda: self.process.poll() is not None,
            tell=lambda: f"; it printed:\n{self.output()}",
        )
        return self.output()

    def output(self) -> str:
        return self.printed.read_text(encoding="utf-8", errors="replace")

    def processes(self) -> list[psutil.Process]:
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def of_its_airflow(self) -> list[psutil.Process]:
        """Return all processes whose AIRFLOW_HOME is in its folder, whoever their parent is."""
        found = []
        for process in psutil.process_iter():
            try:
                home = process.environ().get("AIRFLOW_HOME", "")
            except psutil.Error:
                continue
            if home.startswith(str(self.temporary)):
                found.append(process)
        return found


@pytest.fixture
def playground(tmp_path: Path) -> Iterator[Playground]:
    running = Playground(tmp_path)
    try:
        yield running
    finally:
        running.process.terminate()
        running.process.wait(PATIENCE)
        for left in running.of_its_airflow():
            left.kill()


def test_a_person_finds_what_is_promised_and_nothing_is_left(playground: Playground) -> None:
    output = playground.until_printed(LAST_LINE)
    [url] = re.findall(r"Airflow +(http://127\.0\.0\.1:\d+)$", output, re.MULTILINE)
    [user] = re.findall(r"user +(\S+)$", output, re.MULTILINE)
    [password] = re.findall(r"password +(\S+)$", output, re.MULTILINE)
    with requests.Session() as session:
        session.trust_env = False
        page = session.get(f"{url}/required_actions", timeout=PATIENCE)
        assert (page.ok, "<title>" in page.text) == (True, True)
        assert session.get(f"{url}/api/v2/connections", timeout=PATIENCE).status_code == 401
        answer = session.post(f"{url}/auth/token", json={"username": user, "password": password}, timeout=PATIENCE)
        session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        asked = session.get(f"{url}/api/v2/dags/gated_cutover/dagRuns/~/hitlDetails", timeout=PATIENCE).json()
        assert [detail["subject"] for detail in asked["hitl_details"]] == ["mode target: job …jb201"]
        tested = session.post(f"{url}/api/v2/connections/test", json={"connection_id": "drs_default",
                              "conn_type": "drs"}, timeout=PATIENCE)  # fmt: skip
        assert tested.status_code != 403, "the Test button is there"
        [run] = session.get(f"{url}/api/v2/dags/verified_cutover/dagRuns", timeout=PATIENCE).json()["dag_runs"]
        assert run["state"] in ("running", "success")
    its = playground.processes()
    assert len(its) >= 4
    playground.process.send_signal(signal.SIGTERM)
    assert playground.process.wait(PATIENCE) == 0
    # What has ended stays a zombie until whoever has inherited it looks.
    assert not [process for process in its if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert playground.of_its_airflow() == []
    assert list(playground.temporary.iterdir()) == []
    assert playground.output().endswith("All of it has ended, and is removed.\n")


def test_ctrl_c_ends_it_while_it_is_starting(playground: Playground) -> None:
    playground.until_printed("Starting a simulated DRS")
    until(lambda: len(playground.of_its_airflow()) >= 2, PATIENCE, "the first processes of Airflow")
    playground.process.send_signal(signal.SIGINT)
    assert playground.process.wait(PATIENCE) == 0
    assert playground.of_its_airflow() == []
    assert list(playground.temporary.iterdir()) == []


def test_a_killed_one_leaves_nothing_either(playground: Playground) -> None:
    playground.until_printed("Starting a simulated DRS, and Airflow")
    until(lambda: len(playground.of_its_airflow()) >= 4, PATIENCE, "all parts of Airflow", tell=playground.output)
    playground.process.kill()
    until(lambda: list(playground.temporary.iterdir()) == [], PATIENCE, "an empty folder")
    until(lambda: playground.of_its_airflow() == [], PATIENCE, "the end of its Airflow")
