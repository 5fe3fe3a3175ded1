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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from airflow_provider_drs.simulator import Fault, Simulator, Vip
from tests.constants import BATCH_STATUS, GET_STATUS, SWITCH
from tests.matrix.cases import Case, cases_of
from tests.matrix.cluster import Cluster
from tests.matrix.lags import deferral_lags
from tests.postgres import Postgres

# Seconds for all runs of a version, from the start of Airflow on.
ALL_WITHIN = 1200
OVER = ("success", "failed")
LINKED = ("switchover_poke_done", "operator_deferrable_retries_0_done")
WITNESS = "witness"
LINK = "https://console.example/eu-de/{job_id}"
# Airflow's own fault (docs/versions.md): it fails a task that comes back before its scheduler has read that it left.
RACE = re.compile(
    r"reported that the task instance (<TaskInstance: (?P<dag_id>[^.]+)\..*?) finished with state success, "
    r"but .* attribute is (?:queued|scheduled)"
)
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

        def run(part: list[Case]) -> dict[str, Any]:
            own = Path(tempfile.mkdtemp(dir=folder))
            return Run((major, minor), part, own, arguments).run()

        result = judged(run, cases)
        arguments.result.write_text(json.dumps(result))
    finally:
        if arguments.keep:
            print(f"{arguments.version}: kept {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if any(result["misses"].values()) else 0


def judged(run: Callable[[list[Case]], dict[str, Any]], cases: list[Case]) -> dict[str, Any]:
    """Run cases, and once more those that missed because Airflow itself had failed a task of theirs.

    :param run: runs cases, and returns what :meth:`Run.run` does.
    :return: the same; of what ran twice, what missed in the second run.
    """
    result = run(cases)
    again = [case for case in cases if result["misses"][case.name] and case.name in result["struck"]]
    for case in again:
        print(f"{case.name} runs once more, for Airflow failed it: {result['misses'][case.name]}", flush=True)
    if again:
        second = run(again)
        result["misses"] |= {case.name: second["misses"][case.name] for case in again}
        result["misses"] |= {name: missed for name, missed in second["misses"].items() if missed}
        result |= {key: result[key] + second[key] for key in ("seconds", "cpu")}
        result["again"] = [case.name for case in again]
    return result


class Run:
    """One run of the cases.

    :param folder: for Airflow; empty.
    """

    def __init__(self, version: tuple[int, int], cases: list[Case], folder: Path, arguments: Any) -> None:
        self.version, self.cases, self.folder, self.arguments = version, cases, folder, arguments
        self.simulators: dict[str, Simulator] = {}
        self.killed: set[str] = set()
        self.approved = False
        self.read_again_at = 0.0
        self.links: dict[str, str] = {}
        self.databases: dict[str, Postgres] = {}
        self.vips: dict[str, Vip] = {}

    def run(self) -> dict[str, Any]:
        """Return what missed, by case, and the figures."""
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            self._witnessed(stack)
            for name in ("drs_default", "drs_empty", "drs_lost", "drs_read", "drs_post", "drs_away"):
                known = [job for case in self.cases if case.conn == name != "drs_empty" for job in case.jobs]
                vips = self.vips.values() if name == "drs_default" else ()
                self.simulators[name] = stack.enter_context(Simulator(jobs=known, vips=vips))
            self.simulators["drs_away"].fault(GET_STATUS, Fault.status(503), times=5)
            self.simulators["drs_lost"].fault(SWITCH, Fault.lost(), times=None)
            self.simulators["drs_read"].fault(BATCH_STATUS, Fault.slow(25), times=None)
            self.simulators["drs_post"].fault(SWITCH, Fault.slow(25), times=None)
            self.cluster = stack.enter_context(Cluster(self.version, self.folder, self._environment()))
            self._wait()
            seconds = time.monotonic() - began
            # A last line may still be on its way into a log.
            time.sleep(2)
            misses, race = self._judge()
            busy = self.cluster.cpu_seconds() + time.process_time()
            found = {"lags": deferral_lags(self.cluster.logs()), "struck": sorted(race), "misses": misses}
        return {"seconds": round(seconds), "cpu": round(busy), "python": sys.version.split()[0], **found}

    def _witnessed(self, stack: contextlib.ExitStack) -> None:
        """Start the databases behind the virtual IP addresses, if there are any."""
        watched = [case for case in self.cases if case.vip]
        if not watched:
            return
        for side in ("source", "target"):
            server = self.databases[side] = stack.enter_context(Postgres())
            server.rows(f"create role {WITNESS} login password '{server.password}'")
        # One password leads to both: whoever asks cannot know where the address leads.
        source, target = self.databases["source"], self.databases["target"]
        target.rows(f"alter role {WITNESS} password '{source.password}'")
        for case in watched:
            self.vips[case.name] = Vip(0, source.port, target.port, job_id=case.jobs[0].job_id, moves=case.vip)  # type: ignore[arg-type]

    def _environment(self) -> dict[str, str]:
        made = {
            # With several loads for each core the scheduler was behind for up to 12 seconds.
            "AIRFLOW__DRS__DEFERRAL_HOLD": "20",
            "MATRIX_VERSION": self.arguments.version,
            "MATRIX_FOLDER": str(self.folder),
            "MATRIX_ONLY": f"^(?:{'|'.join(case.name for case in self.cases)})$",
            **({"MATRIX_CI": "1"} if self.arguments.ci else {}),
        }
        for name, simulator in self.simulators.items():
            more = {"region": "eu-de", "console_url": LINK, "timeout": 60}
            made[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(simulator.connection(**more))
        for name, vip in self.vips.items():
            login = {"login": WITNESS, "password": self.databases["source"].password}
            address = {"conn_type": "postgres", "host": "127.0.0.1", "port": vip.port, "schema": "postgres", **login}
            made[f"AIRFLOW_CONN_VIP_{name.upper()}"] = json.dumps(address)
        for side, server in self.databases.items():
            [(who,)] = server.rows("select system_identifier from pg_control_system()")
            made[f"MATRIX_{side.upper()}"] = str(who)
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
            self._read_the_file_again()
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

    def _read_the_file_again(self) -> None:
        """Have Airflow read the DAGs once more: it starts a watcher when it reads the file of an active asset."""
        name = "asset_watcher"
        if not any(case.name == name for case in self.cases) or time.monotonic() < self.read_again_at:
            return
        begun = self.cluster.rows("select 1 from trigger where classpath like '%.DrsSwitchoverEventTrigger'")
        if self.cluster.rows("select 1 from asset_active") and not begun:
            with contextlib.suppress(requests.RequestException):
                token = self.cluster.request("GET", f"/dags/{name}")["file_token"]
                self.cluster.request("PUT", f"/parseDagFile/{token}")
                self.read_again_at = time.monotonic() + 60

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

    def _judge(self) -> tuple[dict[str, str], set[str]]:
        logs = list(self.cluster.logs())
        misses = {case.name: "; ".join(self._missed(case, logs)) for case in self.cases}
        linked = {case.name: case for case in self.cases if case.name in self.links}
        wrong = [name for name, case in linked.items() if self.links[name] != LINK.format(job_id=case.jobs[0].job_id)]
        unseen = {case.name for case in self.cases if case.name in LINKED} - linked.keys()
        misses["console_link"] = f"{wrong}: {self.links}, not seen: {unseen}" if wrong or unseen else ""
        secret = [self.simulators["drs_default"].password, *(server.password for server in self.databases.values())]
        secret += [token for simulator in self.simulators.values() for token in simulator.issued_tokens()]
        misses["no_secret_in_logs"] = ", ".join(
            sorted({str(path.relative_to(self.folder)) for path, text in logs if any(word in text for word in secret)})
        )
        misses["no_false_warning"] = ", ".join(
            sorted({str(path.relative_to(self.folder)) for path, text in logs if OUTSIDE.search(text)})
        )
        scheduler = "\n".join(text for path, text in logs if path.name == "scheduler.log")
        return misses, {hit["dag_id"] for hit in RACE.finditer(scheduler)}

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
        for place, wanted in case.results.items():
            said = self.cluster.xcom(case.name, "%", *place.split(":"))
            found += [
                f"{path} of {place} is {at(said, path)!r}, not {value!r}"
                for path, value in wanted.items()
                if at(said, path) != value
            ]
        if case.logs and not any(f"{case.name}/" in str(path) and re.search(case.logs, text) for path, text in logs):
            found.append(f"no log says {case.logs!r}")
        return found


def at(found: Any, path: str) -> Any:
    """Return what stands at a path of names and numbers; a text that says so where nothing does."""
    for name in path.split("."):
        try:
            found = found[int(name) if isinstance(found, list) else name]
        except (KeyError, IndexError, TypeError):
            return f"nothing at {name}"
    return found


if __name__ == "__main__":
    sys.exit(main())
