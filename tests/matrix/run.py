"""Runs all cases in the Airflow of the environment that runs this, and judges them from outside.

``python -m tests.matrix.run VERSION RESULT-FILE [--ci] [--keep]``, in an environment that has that version.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import requests

from airflow_provider_drs.simulator import Fault, Simulator
from tests.constants import BATCH_STATUS, GET_STATUS, SWITCH
from tests.matrix.cases import Case, cases_of
from tests.matrix.cluster import Cluster

# Seconds for all runs of a version, from the start of Airflow on.
ALL_WITHIN = 1200
OVER = ("success", "failed")
LINKED = ("switchover_poke_done", "operator_deferrable_retries_0_done")
LINK = "https://console.example/eu-de/{job_id}"
RACE = re.compile(r"reported that the task instance (.*?) finished with state success, but .* attribute is queued")
OUTSIDE = re.compile(r"cannot be called outside")


def main() -> int:
    """Run and judge; write ``{case: "" or what missed}`` to the result file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("version")
    parser.add_argument("result", type=Path)
    parser.add_argument("--ci", action="store_true")
    parser.add_argument("--only", default="", help="a regular expression for the names of the cases")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    arguments = parser.parse_args()
    # A terminated run ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    major, minor = (int(number) for number in arguments.version.split(".")[:2])
    cases = [case for case in cases_of((major, minor), arguments.ci) if re.search(arguments.only, case.name)]
    folder = Path(tempfile.mkdtemp(prefix=f"matrix-{arguments.version}-"))
    try:
        result = Run((major, minor), cases, folder, arguments).run()
        arguments.result.write_text(json.dumps(result))
    finally:
        if arguments.keep:
            print(f"{arguments.version}: kept {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if any(result["misses"].values()) else 0


class Run:
    """One run of the cases.

    :param folder: for Airflow; empty.
    """

    def __init__(self, version: tuple[int, int], cases: list[Case], folder: Path, arguments: Any) -> None:
        self.version, self.cases, self.folder, self.arguments = version, cases, folder, arguments
        self.simulators: dict[str, Simulator] = {}
        self.killed: set[str] = set()
        self.approved = False
        self.links: dict[str, str] = {}

    def run(self) -> dict[str, Any]:
        """Return what missed, by case, and the figures."""
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            for name in ("drs_default", "drs_empty", "drs_lost", "drs_read", "drs_post"):
                known = [job for case in self.cases if case.conn == name != "drs_empty" for job in case.jobs]
                self.simulators[name] = stack.enter_context(Simulator(jobs=known))
            self.simulators["drs_lost"].fault(SWITCH, Fault.lost(), times=None)
            self.simulators["drs_read"].fault(BATCH_STATUS, Fault.slow(25), times=None)
            self.simulators["drs_post"].fault(SWITCH, Fault.slow(25), times=None)
            self.cluster = stack.enter_context(Cluster(self.version, self.folder, self._environment()))
            self._wait()
            seconds = time.monotonic() - began
            # A last line may still be on its way into a log.
            time.sleep(2)
            misses, race = self._judge()
        return {"seconds": round(seconds), "misses": misses, "struck": race, "python": sys.version.split()[0]}

    def _environment(self) -> dict[str, str]:
        made = {
            "MATRIX_VERSION": self.arguments.version,
            "MATRIX_FOLDER": str(self.folder),
            "MATRIX_ONLY": self.arguments.only,
            **({"MATRIX_CI": "1"} if self.arguments.ci else {}),
        }
        for name, simulator in self.simulators.items():
            more = {"region": "eu-de", "console_url": LINK, "timeout": 60}
            made[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(simulator.connection(**more))
        return made

    # While they run

    def _wait(self) -> None:
        """Wait until each run is over; kill, approve and look at links meanwhile."""
        until, told = time.monotonic() + ALL_WITHIN, 0.0
        while True:
            over = {name for name, state in self.cluster.rows("select dag_id, state from dag_run") if state in OVER}
            if time.monotonic() - told > 30:
                told = time.monotonic()
                print(f"{self.arguments.version}: {len(over)} of {len(self.cases)} runs are over", flush=True)
            self._kill()
            self._look_at_the_link()
            self._approve()
            if len(over) == len(self.cases):
                return
            if time.monotonic() > until or self.cluster.dead():
                print(f"{self.arguments.version}: not over; dead: {self.cluster.dead()}", flush=True)
                return
            time.sleep(1)

    def _kill(self) -> None:
        for case in self.cases:
            place = self.folder / f"{case.name}.pid"
            if not case.name.startswith("killed") or case.name in self.killed or not place.exists():
                continue
            simulator, job = self.simulators[case.conn], case.jobs[0].job_id
            posts = [entry for entry in simulator.calls(SWITCH) if entry.job_id == job]
            polls = [entry for entry in simulator.calls(GET_STATUS) if entry.job_id == job]
            reached = {
                "killed_reading": bool(simulator.calls(BATCH_STATUS)),
                "killed_posting": bool(posts),
                "killed_waiting": bool(posts) and any(entry.at > posts[0].at + 3 for entry in polls),
            }
            if reached[case.name]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(place.read_text()), signal.SIGKILL)
                self.killed.add(case.name)
                simulator.clear_faults()

    def _approve(self) -> None:
        """Approve as a person would, not within the seconds in which Airflow takes a task that resumes for lost."""
        name = "cutover_approved"
        if self.approved or not any(case.name == name for case in self.cases):
            return
        runs = self.cluster.rows(
            "select run_id from task_instance where dag_id = %s and task_id = 'cutover.approval' "
            "and state in ('deferred', 'awaiting_input') and updated_at < now() - interval '20 seconds'",
            name,
        )
        if runs:
            path = f"/dags/{name}/dagRuns/{runs[0][0]}/taskInstances/cutover.approval"
            for place in (f"{path}/-1/hitlDetails", f"{path}/hitlDetails"):
                with contextlib.suppress(requests.RequestException):
                    self.cluster.request("PATCH", place, {"chosen_options": ["Approve"], "params_input": {}})
                    self.approved = True
                    return

    def _look_at_the_link(self) -> None:
        """Ask Airflow for the console's link of tasks."""
        for case in self.cases:
            if case.name not in LINKED or case.name in self.links:
                continue
            runs = self.cluster.rows(
                "select run_id from xcom where dag_id = %s and key = 'drs_console_link'", case.name
            )
            if runs:
                path = f"/dags/{case.name}/dagRuns/{runs[0][0]}/taskInstances/task/links"
                with contextlib.suppress(requests.RequestException):
                    said = self.cluster.request("GET", path)
                    self.links[case.name] = str(said.get("extra_links", said)["DRS console"])

    # Afterwards

    def _judge(self) -> tuple[dict[str, str], int]:
        logs = list(self.cluster.logs())
        misses = {case.name: "; ".join(self._missed(case, logs)) for case in self.cases}
        linked = {case.name: case for case in self.cases if case.name in self.links}
        wrong = [name for name, case in linked.items() if self.links[name] != LINK.format(job_id=case.jobs[0].job_id)]
        misses["console_link"] = f"{wrong}: {self.links}" if wrong or not linked else ""
        secret = [self.simulators["drs_default"].password]
        secret += [token for simulator in self.simulators.values() for token in simulator.issued_tokens()]
        misses["no_secret_in_logs"] = ", ".join(
            sorted({str(path.relative_to(self.folder)) for path, text in logs if any(word in text for word in secret)})
        )
        misses["no_false_warning"] = ", ".join(
            sorted({str(path.relative_to(self.folder)) for path, text in logs if OUTSIDE.search(text)})
        )
        scheduler = "\n".join(text for path, text in logs if path.name == "scheduler.log")
        struck = set(RACE.findall(scheduler))
        return misses, len(struck)

    def _missed(self, case: Case, logs: list[tuple[Path, str]]) -> list[str]:
        """Return in what a case did not come out as it should."""
        found: list[str] = []
        rows = self.cluster.rows(
            "select task_id, map_index, state, try_number from task_instance where dag_id = %s", case.name
        )
        states: dict[str, set[str]] = {}
        for task, _, state, _ in rows:
            states.setdefault(task, set()).add(str(state))
        for task, state in case.states.items():
            if states.get(task) != {state}:
                found.append(f"{task} is {'/'.join(sorted(states.get(task, {'missing'})))}, not {state}")
        tries = max((number for task, _, _, number in rows if task == "task"), default=0)
        if case.tries is not None and tries != case.tries:
            found.append(f"{tries} tries, not {case.tries}")
        jobs = {job.job_id for job in case.jobs}
        posts = [entry for entry in self.simulators[case.conn].calls(SWITCH) if entry.job_id in jobs]
        if len(posts) != case.posts:
            found.append(f"{len(posts)} requests to switch, not {case.posts}")
        if case.outcome:
            said = self.cluster.xcom(case.name, "%", case.evidence_of, "switchover")
            if said.get("outcome") != case.outcome:
                found.append(f"the evidence says {said.get('outcome')!r}, not {case.outcome!r}")
            if not case.posts and said.get("posted_at") is not None:
                found.append("the evidence tells of a request that was not sent")
        if case.logs and not any(f"{case.name}/" in str(path) and re.search(case.logs, text) for path, text in logs):
            found.append(f"no log says {case.logs!r}")
        return found


if __name__ == "__main__":
    sys.exit(main())
