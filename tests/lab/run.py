"""An Airflow of the lab's own, in which cutovers run at once, each in a place of its own."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_provider_drs.simulator import Fault
from tests.constants import SWITCH
from tests.lab.place import Place, Servers, servers
from tests.lab.results import Result, Task, judge, meddle
from tests.lab.variants import Variant
from tests.matrix.cluster import Cluster
from tests.waiting import PATIENCE, until

DAGS = Path(__file__).parent / "dags"
AIRFLOW = (3, 3)
OVER = ("success", "failed")
SWITCHOVER = "cutover.switchover"
TASKS = """
    select task_id, state, extract(epoch from start_date)::float, extract(epoch from end_date)::float
    from task_instance where dag_id = %s and run_id = %s and start_date is not null
"""


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
            both = undo.enter_context(servers())
            self.places = {
                name: undo.enter_context(place_of(variant, number, both, self.folder, self.rate, self.start_lasts))
                for number, (name, variant) in enumerate(self.variants.items())
            }
            home = self.folder / "airflow"
            home.mkdir()
            self.cluster = undo.enter_context(Cluster(AIRFLOW, home, self._environment()))
            self._stack = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _environment(self) -> dict[str, str]:
        made = {"AIRFLOW__CORE__DAGS_FOLDER": str(DAGS), "LAB_FOLDER": str(self.folder)}
        for place in self.places.values():
            made |= environment_of(place)
        return made

    def run(self, way: str = "poke") -> dict[str, Result]:
        """Run all cutovers at once, and return what became of each.

        :param way: how the cutover waits: ``poke`` or ``deferrable``.
        """
        dag = f"lab_{way}"
        self._until(lambda: self.cluster.rows("select 1 from serialized_dag where dag_id = %s", dag), "the DAG")
        runs = {}
        for name, place in self.places.items():
            asked = {"logical_date": None, "conf": conf_of(place)}
            runs[name] = str(self.cluster.request("POST", f"/dags/{dag}/dagRuns", asked)["dag_run_id"])
        states: dict[str, str] = {}

        def over() -> bool:
            states.update(self.cluster.rows("select run_id, state from dag_run where dag_id = %s", dag))
            waiting = [name for name, run in runs.items() if states[run] not in OVER]
            for name in waiting:
                meddle(self.variants[name], self.places[name])
            return not waiting

        self._until(over, "the end of the runs")
        results = {}
        for name, run in runs.items():
            tasks = [Task(*row) for row in self.cluster.rows(TASKS, dag, run)]
            evidence = self.cluster.xcom(dag, run, SWITCHOVER, "switchover")
            results[name] = judge(self.places[name], states[run], evidence, tasks)
        return results

    def _until(self, found: Any, what: str) -> None:
        cluster = self.cluster
        until(found, PATIENCE, what, over=lambda: bool(cluster.dead()), tell=lambda: f"; dead: {cluster.dead()}")


def place_of(
    variant: Variant, number: int, both: Servers, folder: Path, rate: float, start_lasts: float
) -> Place:  # fmt: skip
    """Return the place of a variant, not yet entered; its number makes its names."""
    name = f"place{number}"
    made = Place(name, both, folder / name, variant.job_of(number, start_lasts), rate=rate, **variant.address)
    if variant.lost:
        made.simulator.fault(SWITCH, Fault.lost())
    return made


def conf_of(place: Place) -> dict[str, str]:
    """Return the conf of the DAG run that switches a place."""
    return {"place": place.name, "job_id": place.job.job_id}


def environment_of(place: Place) -> dict[str, str]:
    """Return the two connections of a place as environment variables."""
    connections = {"drs": place.simulator.connection(), "database": place.connection()}
    return {f"AIRFLOW_CONN_{what}_{place.name}".upper(): json.dumps(each) for what, each in connections.items()}
