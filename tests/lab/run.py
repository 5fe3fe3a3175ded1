"""An Airflow of the lab's own, in which cutovers run at once, each in a place of its own."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests

from airflow_provider_drs.simulator import Fault
from tests.airflow.standalone import NEVER_GIVEN_UP
from tests.constants import SWITCH
from tests.lab.place import Place, Servers, servers
from tests.lab.results import Result, Task, judge, meddle
from tests.lab.variants import VARIANTS, Variant
from tests.matrix.cluster import Cluster
from tests.postgres import free_port
from tests.waiting import PATIENCE, until

DAGS = Path(__file__).parent / "dags"
AIRFLOW = (3, 3)
OVER = ("success", "failed")
SWITCHOVER = "cutover.switchover"
TASKS = """
    select task_id, state, try_number, extract(epoch from start_date)::float, extract(epoch from end_date)::float
    from task_instance where dag_id = %s and run_id = %s and start_date is not null
"""


class Lab:
    """An Airflow and two database servers; a context manager.

    :param slots: how many cutovers run at once: names and ports of their places must be known before Airflow starts.
    :param rate: rows a second, of each application.
    :param start_lasts: seconds for which DRS switches.
    """

    def __init__(self, slots: int = 1, *, rate: float = 200, start_lasts: float = 4) -> None:
        self.slots, self.rate, self.start_lasts = slots, rate, start_lasts
        self._ports = [(free_port(), free_port()) for _ in range(slots)]

    def __enter__(self) -> Lab:
        with contextlib.ExitStack() as undo:
            self.folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="drs-lab-")))
            self._servers = undo.enter_context(servers())
            environment = {
                **NEVER_GIVEN_UP, "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS), "LAB_FOLDER": str(self.folder)
            }  # fmt: skip
            for slot in range(self.slots):
                environment |= environment_of(self._place(slot, VARIANTS["complete"]))
            home = self.folder / "airflow"
            home.mkdir()
            self.cluster = undo.enter_context(Cluster(AIRFLOW, home, environment))
            self._stack = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _place(self, slot: int, variant: Variant) -> Place:
        return place_of(
            variant, slot, self._servers, self.folder, self.rate, self.start_lasts, ports=self._ports[slot]
        )  # fmt: skip

    def run(self, variants: Sequence[Variant], way: str = "poke") -> list[Result]:
        """Run cutovers at once, each in a place of its own, and return what became of each.

        :param variants: one for each slot at most.
        :param way: how the cutover waits: ``poke`` or ``deferrable``.
        """
        dag = f"lab_{way}"
        self._until(lambda: self.cluster.rows("select 1 from serialized_dag where dag_id = %s", dag), "the DAG")
        with contextlib.ExitStack() as stack:
            places = [stack.enter_context(self._place(slot, variant)) for slot, variant in enumerate(variants)]
            runs = [self._start(dag, place) for place in places]
            states: dict[str, str] = {}

            def over() -> bool:
                states.update(self.cluster.rows("select run_id, state from dag_run where dag_id = %s", dag))
                for variant, place, run in zip(variants, places, runs, strict=True):
                    if states[run] not in OVER:
                        meddle(variant, place)
                return all(states[run] in OVER for run in runs)

            self._until(over, "the end of the runs")
            return [self._result(dag, run, states[run], place) for run, place in zip(runs, places, strict=True)]

    def _start(self, dag: str, place: Place) -> str:
        asked = {"logical_date": None, "conf": conf_of(place)}

        def sent() -> str | None:
            # Airflow knows the DAG before its API is there.
            with contextlib.suppress(requests.ConnectionError):
                return str(self.cluster.request("POST", f"/dags/{dag}/dagRuns", asked)["dag_run_id"])
            return None

        return until(sent, PATIENCE, "Airflow's API", over=lambda: bool(self.cluster.dead()))

    def _result(self, dag: str, run: str, state: str, place: Place) -> Result:
        tasks = [Task(*row) for row in self.cluster.rows(TASKS, dag, run)]
        return judge(place, state, self.cluster.xcom(dag, run, SWITCHOVER, "switchover"), tasks)

    def _until(self, found: Any, what: str) -> None:
        cluster = self.cluster
        until(found, PATIENCE, what, over=lambda: bool(cluster.dead()), tell=lambda: f"; dead: {cluster.dead()}")


def place_of(
    variant: Variant, number: int, both: Servers, folder: Path, rate: float, start_lasts: float,
    ports: tuple[int, int] = (0, 0),
) -> Place:  # fmt: skip
    """Return the place of a variant, not yet entered; its number makes its names."""
    name = f"place{number}"
    made = Place(
        name, both, folder / name, variant.job_of(number, start_lasts), rate=rate, ports=ports, **variant.address
    )
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
