"""What has become of a run, from outside: by DRS's journal, Airflow's database, and what everybody has written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_drs.simulator import Entry
from tests.cluster.kinds import Kind
from tests.constants import SWITCH

OVER = ("success", "failed")
# What DRS has not taken: it may be asked again.
REFUSED = range(400, 500)
# Nobody of ours may leave these behind, whatever happens to the process.
LEFT_OPEN = re.compile(
    r"Unclosed (?:client session|connector)|Task exception was never retrieved|Task was destroyed but it is pending"
    r"|coroutine '[^']*' was never awaited"
)
# An error of a task or trigger, as the log has it: one line of JSON, or a traceback of several lines.
TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?P<frames>(?:[ \t]+.*\n|\n)+)(?P<error>[\w.]+)")
OURS = "airflow_provider_drs/"
TOLD = re.compile(r"(?:^|\.)(?:Drs\w+|AirflowFailException|AirflowSensorTimeout|AirflowSkipException|TaskDeferred)$")


@dataclass
class Run:
    """One run of a kind, and what missed."""

    kind: Kind
    run_id: str
    job_id: str
    state: str = ""
    wrong: list[str] = field(default_factory=list)
    switched_twice: list[str] = field(default_factory=list)
    no_evidence: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    #: Why Airflow itself failed it, where one clear mended it.
    healed: str = ""

    @property
    def misses(self) -> list[str]:
        """All that missed."""
        return [*self.switched_twice, *self.wrong, *self.no_evidence, *self.waiting]


def judge(
    run: Run, tasks: Iterable[tuple[str, str]], xcoms: dict[tuple[str, str], Any], journal: Iterable[Entry],
    switched: list[str],
) -> None:  # fmt: skip
    """Write down what missed.

    :param tasks: task ids and states of the run.
    :param xcoms: what tasks left, by task and key.
    :param journal: DRS's.
    :param switched: the modes of the switchovers that DRS accepted.
    """
    run.wrong, run.switched_twice, run.no_evidence, run.waiting = [], [], [], []
    posts = [
        entry for entry in journal
        if entry.call == SWITCH and entry.job_id == run.job_id and entry.status not in REFUSED
    ]  # fmt: skip
    if len(posts) > len(run.kind.modes) or len(switched) > len(run.kind.modes):
        run.switched_twice.append(f"{len(posts)} requests, of which DRS took {switched}, for {list(run.kind.modes)}")
    elif switched != list(run.kind.modes):
        run.wrong.append(f"DRS switched {switched}, not {list(run.kind.modes)}")
    expected = "failed" if "failed" in run.kind.states.values() else "success"
    if run.state not in OVER:
        run.waiting.append(f"the run is {run.state}")
    elif run.state != expected:
        run.wrong.append(f"the run is {run.state}, not {expected}")
    for task, state in tasks:
        wanted = run.kind.states.get(task, "success")
        if state != wanted:
            run.wrong.append(f"{task} is {state}, not {wanted}")
    for task, outcomes in run.kind.outcomes.items():
        found = xcoms.get((task, "switchover"))
        if not found:
            run.no_evidence.append(f"{task} left no evidence")
        elif found.get("outcome") not in outcomes:
            run.wrong.append(f"the evidence of {task} says {found.get('outcome')!r}, not {' or '.join(outcomes)}")
    for task in run.kind.results:
        if not xcoms.get((task, "return_value")):
            run.no_evidence.append(f"{task} left no result")


def tracebacks(text: str) -> list[str]:
    """Return the errors that nobody raised on purpose and that come out of our code, and what was left open."""
    found = [hit.group(0) for hit in LEFT_OPEN.finditer(text)]
    for hit in TRACEBACK.finditer(text):
        frames = [line for line in hit["frames"].splitlines() if line.lstrip().startswith("File ")]
        if frames and OURS in frames[-1] and not TOLD.search(hit["error"]):
            found.append(f"{hit['error']} at {frames[-1].strip()}")
    for line in text.splitlines():
        if '"error_detail"' in line:
            found += _from_json(line)
    return found


def _from_json(line: str) -> list[str]:
    try:
        chain = json.loads(line).get("error_detail") or []
    except (ValueError, AttributeError):
        return []
    found = []
    # The first one is what the task ended with.
    for error in chain[:1]:
        frames = error.get("frames") or []
        if frames and OURS in str(frames[-1].get("filename")) and not TOLD.search(str(error.get("exc_type"))):
            found.append(f"{error['exc_type']}: {error.get('exc_value')} at {frames[-1]}")
    return found


class Logs:
    """What was written since the last look, file by file.

    :param folder: Airflow's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[Path, int] = {}

    def new(self) -> dict[Path, str]:
        """Return what is new."""
        found = {}
        for path in [*self.folder.glob("*.log"), *(self.folder / "logs").rglob("*.log*")]:
            if not path.is_file():
                continue
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                text = file.read()
            self._read[path] = self._read.get(path, 0) + len(text)
            if text:
                found[path] = text.decode(errors="replace")
        return found
