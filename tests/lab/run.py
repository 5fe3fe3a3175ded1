"""An Airflow of the lab's own, in which cutovers run at once, each in a place of its own."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

import requests

from airflow_provider_drs.simulator import Fault
from tests.airflow.standalone import NEVER_GIVEN_UP, PRELOADED, SETTINGS
from tests.constants import SWITCH
from tests.folders import temporary_folder
from tests.lab.network import Network, network
from tests.lab.place import LOOK_SECONDS, ROOT, Place, Servers, servers
from tests.lab.results import Meddler, Result, Task, judge
from tests.lab.variants import VARIANTS, Variant
from tests.matrix.cluster import Cluster
from tests.postgres import free_port
from tests.waiting import PATIENCE, until

DAGS = Path(__file__).parent / "dags"
AIRFLOW = (3, 3)
OVER = ("success", "failed")
# What each task of the lab would import for itself.
ALSO_PRELOADED = (
    "airflow.providers.postgres.hooks.postgres",
    "airflow_provider_drs.cutover_freeze",
    "airflow_provider_drs.witness",
    "psycopg2",
)
# Between two looks at an address, where there are many.
MANY_LOOK_SECONDS = 0.5
T = TypeVar("T")
WAITING = "select task_id from task_instance where dag_id = %s and run_id = %s and state = 'deferred'"
TASKS = """
    select task_id, state, try_number, extract(epoch from start_date)::float, extract(epoch from end_date)::float
    from task_instance where dag_id = %s and run_id = %s and start_date is not null
"""


class Lab:
    """An Airflow and two database servers; a context manager.

    :param slots: how many cutovers run at once: names and ports of their places must be known before Airflow starts.
    :param rate: rows a second, of each application.
    :param start_lasts: seconds for which DRS switches, where a variant does not say it.
    :param namespaces: the addresses are real ones, which move between network namespaces.
    """

    def __init__(
        self, slots: int = 1, *, rate: float = 200, start_lasts: float = 4, namespaces: bool = False
    ) -> None:  # fmt: skip
        self.slots, self.rate, self.start_lasts, self.namespaces = slots, rate, start_lasts, namespaces
        self._network: Network | None = None
        self._ports = [(free_port(), free_port()) for _ in range(slots)]
        self._free: SimpleQueue[int] = SimpleQueue()
        for slot in range(slots):
            self._free.put(slot)
        self._one = threading.Lock()
        self._stopped = threading.Event()

    def __enter__(self) -> Lab:
        with contextlib.ExitStack() as undo:
            self.folder = undo.enter_context(temporary_folder("drs-lab-"))
            if self.namespaces:
                self._network = undo.enter_context(network())
            self._servers = undo.enter_context(servers(self._network))
            environment = {
                **NEVER_GIVEN_UP,
                "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
                # A cutover has two tasks that run at once, and a slot that is free costs nothing.
                "AIRFLOW__CORE__PARALLELISM": str(4 + 2 * self.slots),
                # What the triggers of a dead triggerer wait for.
                "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
                "LAB_FOLDER": str(self.folder),
                "PYTHONPATH": os.pathsep.join([str(SETTINGS), str(ROOT)]),
                "PRELOADED": " ".join([*PRELOADED, *ALSO_PRELOADED]),
            }
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
            variant, slot, self._servers, self.folder, self.rate, self.start_lasts, self._ports[slot], self._network,
            # Each look is a process of the database.
            LOOK_SECONDS if self.slots == 1 else MANY_LOOK_SECONDS,
        )  # fmt: skip

    def run(self, variants: Iterable[Variant]) -> Iterator[tuple[Variant, Result]]:
        """Run cutovers, as many at once as there are slots, each in a place of its own that is new.

        :param variants: are taken one by one, each when there is a slot for it.
        :return: what became of each, in the order of their ends.
        """
        left = iter(variants)
        with ThreadPoolExecutor(self.slots) as pool:
            try:
                running = {pool.submit(self._run, each): each for each in itertools.islice(left, self.slots)}
                while running:
                    for ended in wait(running, return_when=FIRST_COMPLETED).done:
                        variant = running.pop(ended)
                        running |= {pool.submit(self._run, each): each for each in itertools.islice(left, 1)}
                        yield variant, ended.result()
            except BaseException:  # whoever ends the lab does not wait for the cutovers
                self._stopped.set()
                raise

    def _run(self, variant: Variant) -> Result:
        dag = f"lab_{variant.way}"
        self._until(lambda: self.cluster.rows("select 1 from serialized_dag where dag_id = %s", dag), "the DAG")
        slot = self._free.get()
        try:
            with self._place(slot, variant) as place:
                run = self._start(dag, place, variant)
                meddler = Meddler(variant, place, self._restart_triggerer)

                def over() -> str | None:
                    [(state,)] = self.cluster.rows("select state from dag_run where run_id = %s", run)
                    if state in OVER:
                        return str(state)
                    waiting = self.cluster.rows(WAITING, dag, run) if variant.triggerer else []
                    meddler.meddle([task_id for (task_id,) in waiting])
                    return None

                state = self._until(over, "the end of the run")
                return self._result(dag, run, state, place)
        finally:
            self._free.put(slot)

    def _restart_triggerer(self) -> None:
        with self._one:
            self.cluster.restart("triggerer")

    def _start(self, dag: str, place: Place, variant: Variant) -> str:
        asked = {"logical_date": None, "conf": conf_of(place, variant)}

        def sent() -> str | None:
            # Airflow knows the DAG before its API is there.
            with self._one, contextlib.suppress(requests.ConnectionError):
                return str(self.cluster.request("POST", f"/dags/{dag}/dagRuns", asked)["dag_run_id"])
            return None

        return until(sent, PATIENCE, "Airflow's API", over=lambda: bool(self.cluster.dead()))

    def _result(self, dag: str, run: str, state: str, place: Place) -> Result:
        tasks = [Task(*row) for row in self.cluster.rows(TASKS, dag, run)]
        alarms = place.folder / "alarms"
        told = alarms.read_text().splitlines() if alarms.exists() else []
        return judge(place, state, partial(self.cluster.xcom, dag, run), tasks, told)

    def _until(self, found: Callable[[], T | None], what: str) -> T:
        cluster = self.cluster
        return until(
            found, PATIENCE, what, over=lambda: bool(cluster.dead()) or self._stopped.is_set(),
            tell=lambda: f"; dead: {cluster.dead()}", interval=0.2,
        )  # fmt: skip


def place_of(
    variant: Variant, number: int, both: Servers, folder: Path, rate: float, start_lasts: float,
    ports: tuple[int, int] = (0, 0), network: Network | None = None,
    look_every: float = LOOK_SECONDS,
) -> Place:  # fmt: skip
    """Return the place of a variant, not yet entered; its number makes its names."""
    name = f"place{number}"
    made = Place(
        name,
        both,
        folder / name,
        variant.job_of(number, start_lasts),
        rate=rate,
        ports=ports,
        killable=variant.forwarder is not None,
        **variant.address,
    )
    if variant.lost:
        made.simulator.fault(SWITCH, Fault.lost())
    return made


def conf_of(place: Place, variant: Variant) -> dict[str, str]:
    """Return the conf of the DAG run that switches a place."""
    return {"place": place.name, "job_id": place.job.job_id, "killed": variant.killed or ""}


def environment_of(place: Place) -> dict[str, str]:
    """Return the two connections of a place as environment variables."""
    connections = {"drs": place.simulator.connection(), "database": place.connection()}
    return {f"AIRFLOW_CONN_{what}_{place.name}".upper(): json.dumps(each) for what, each in connections.items()}
