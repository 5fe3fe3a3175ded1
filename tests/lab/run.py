"""Runs cutovers in an Airflow of the lab's own, and finds out what became of each."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_drs.simulator import Fault
from tests.constants import SWITCH
from tests.lab.place import Count, Place, Servers, servers
from tests.lab.variants import Variant
from tests.matrix.cluster import Cluster
from tests.waiting import PATIENCE, until

DAGS = Path(__file__).parent / "dags"
AIRFLOW = (3, 3)
OVER = ("success", "failed")
SWITCHOVER = "cutover.switchover"


@dataclass(frozen=True)
class Result:
    """What became of one cutover.

    :param state: of the DAG run.
    :param evidence: what the switchover left behind.
    :param serves: who answers at the address; None: nobody.
    :param thawed: whether the application writes again.
    :param count: the rows at the side that serves, or that did last.
    :param moments: when (seconds since the epoch) what happened.
    :param gaps: by name, seconds for which there was no service.
    """

    state: str
    evidence: Mapping[str, Any]
    serves: str | None
    thawed: bool
    count: Count
    moments: Sequence[tuple[float, str]]
    gaps: Mapping[str, float | None]

    @property
    def outcome(self) -> str | None:
        """What the evidence says."""
        return self.evidence.get("outcome")

    @property
    def is_done(self) -> bool:
        """Whether the cutover is done and no row is lost, nor there twice."""
        whole = not self.count.lost and not self.count.twice and self.count.found == self.count.acknowledged
        return self.state == "success" and self.outcome == "done" and whole


class Lab:
    """An Airflow and two database servers; a context manager.

    :param variants: by name; each gets a place of its own, whose names must be known before Airflow starts.
    :param rate: rows a second, of each application.
    :param start_lasts: seconds for which DRS switches.
    """

    def __init__(self, variants: Mapping[str, Variant], *, rate: float = 200, start_lasts: float = 4) -> None:
        self.variants, self.rate, self.start_lasts = variants, rate, start_lasts

    def __enter__(self) -> Lab:
        with contextlib.ExitStack() as undo:
            self.folder = Path(tempfile.mkdtemp(prefix="drs-lab-"))
            undo.callback(shutil.rmtree, self.folder, ignore_errors=True)
            both = undo.enter_context(servers(self.folder / "servers"))
            self.places = {
                name: undo.enter_context(self._place(number, name, both)) for number, name in enumerate(self.variants)
            }
            home = self.folder / "airflow"
            home.mkdir()
            self.cluster = undo.enter_context(Cluster(AIRFLOW, home, self._environment()))
            self._stack = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _place(self, number: int, name: str, both: Servers) -> Place:
        variant = self.variants[name]
        job = variant.job_of(number, self.start_lasts)
        return Place(_id(name), both, self.folder / _id(name), job, rate=self.rate, **variant.address)

    def _environment(self) -> dict[str, str]:
        connections = {
            f"AIRFLOW_CONN_{what}_{_id(name)}".upper(): json.dumps(fields)
            for name, place in self.places.items()
            for what, fields in (("drs", place.simulator.connection()), ("database", place.connection()))
        }
        return {"AIRFLOW__CORE__DAGS_FOLDER": str(DAGS), "LAB_FOLDER": str(self.folder), **connections}

    def run(self, way: str = "poke") -> dict[str, Result]:
        """Run all cutovers at once, and return what became of each."""
        dag = f"lab_{way}"
        self._until(lambda: self.cluster.rows("select 1 from serialized_dag where dag_id = %s", dag), "the DAG")
        runs = {}
        for name, place in self.places.items():
            if self.variants[name].lost:
                place.simulator.fault(SWITCH, Fault.lost())
            conf = {"place": place.name, "job_id": place.job.job_id}
            run = self.cluster.request("POST", f"/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})
            runs[name] = str(run["dag_run_id"])
        waiting = set(runs)

        def over() -> bool:
            states = dict(self.cluster.rows("select run_id, state from dag_run where dag_id = %s", dag))
            waiting.difference_update([name for name in waiting if states[runs[name]] in OVER])
            for name in waiting:
                self._meddle(self.variants[name], self.places[name])
            return not waiting

        self._until(over, "the end of the runs")
        return {name: self._judge(dag, run, self.places[name]) for name, run in runs.items()}

    def _until(self, found: Any, what: str) -> None:
        until(
            found, PATIENCE, what, over=lambda: bool(self.cluster.dead()), tell=lambda: f"; dead: {self.cluster.dead()}"
        )

    def _check_that_it_lives(self) -> None:
        if dead := self.cluster.dead():
            raise AssertionError(f"a part of Airflow has ended: {dead}")

    def _meddle(self, variant: Variant, place: Place) -> None:
        asked = place.simulator.calls(SWITCH)
        if variant.silent and asked:
            place.address.down = True
        mark = place.folder / "switchover.pid"
        if variant.killed and asked and mark.exists() and time.time() > asked[0].at + place.job.start_after:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(mark.read_text()), signal.SIGKILL)
            mark.rename(mark.with_suffix(".killed"))

    def _judge(self, dag: str, run: str, place: Place) -> Result:
        [(state,)] = self.cluster.rows("select state from dag_run where dag_id = %s and run_id = %s", dag, run)
        thawed = place.state() == "running"
        if thawed:
            # One more row, so that the application has met whoever serves now.
            ended = time.time()
            place.until(lambda: place.acknowledged()[-1][1] > ended, "the application to write")
        serves = place.served()
        last = serves or next((side for _, side in reversed(place.answers) if side), "source")
        tasks = self.cluster.rows(
            "select task_id, state, extract(epoch from start_date)::float, extract(epoch from end_date)::float "
            "from task_instance where dag_id = %s and run_id = %s and start_date is not null", dag, run,
        )  # fmt: skip
        evidence = self.cluster.xcom(dag, run, SWITCHOVER, "switchover")
        return Result(
            state, evidence, serves, thawed, place.count(last), sorted(self._moments(place, tasks)), _gaps(place)
        )

    def _moments(self, place: Place, tasks: Sequence[tuple[Any, ...]]) -> Iterator[tuple[float, str]]:
        for task_id, state, began, ended in tasks:
            yield began, f"task {task_id} begins"
            if ended:
                yield ended, f"task {task_id}: {state}"
        for entry in place.simulator.calls(SWITCH):
            yield entry.at, "DRS is asked to switch over"
            if place.job.status_after_switch is None:
                yield entry.at + place.job.start_after, "START at DRS"
                final = place.job.final.removeprefix("SWITCH_VIP_")
                yield entry.at + place.job.start_after + place.job.start_lasts, f"{final} at DRS"
        for at, side in place.answers[1:]:
            yield at, f"at the address: {side or 'nobody'}"


def _gaps(place: Place) -> dict[str, float | None]:
    """Return for how long there was no service: by DRS's word, at the address, and as the application felt it."""
    asked = place.simulator.calls(SWITCH) and place.job.status_after_switch is None
    silences = [after - at for (at, side), (after, _) in itertools.pairwise(place.answers) if side is None]
    written = [at for _, at, _ in place.acknowledged()]
    return {
        "DRS, from START to the end": place.job.start_lasts if asked else None,
        "nobody at the address": sum(silences) if silences else None,
        "no write confirmed": max((after - at for at, after in itertools.pairwise(written)), default=None),
    }


def _id(name: str) -> str:
    return name.replace("-", "_")
