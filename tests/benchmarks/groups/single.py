"""What one poke costs, and what a DAG file pays for naming the sensor."""

from __future__ import annotations

import sys
from typing import Any

from tests.benchmarks.control import polls
from tests.benchmarks.goals import Kind, Row, ratios
from tests.benchmarks.groups import Session
from tests.benchmarks.processes import Program

INTERPRETERS = 20
CLASSES = {
    "ours": ("airflow_provider_drs.sensors.drs", "DrsSwitchoverSensor"),
    "http": ("airflow.providers.http.sensors.http", "HttpSensor"),
}
_IMPORT = """
import time
from airflow.sdk import DAG, BaseSensorOperator
began = time.process_time()
from {module} import {name}
print((time.process_time() - began) * 1000)
"""


def poke(session: Session) -> list[Row]:
    """A few hundred pokes in a row, the server responding at once."""
    control = session.stub.control
    control.configure(delay=0.0)
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "http": []}
    pokes = 100 if session.quick else 300
    try:
        for number in range(session.rounds):
            for name, each in runs.items():
                session.say(f"poke: round {number + 1} of {session.rounds}, {name}")
                control.reset()
                run = session.stub.measure("pokes", 120, sensor=name, pokes=pokes)
                each.append({**run, "polls": polls(control.counts()), "tls": control.counts()["tls"]})
    finally:
        control.configure(delay=0.02)
    session.raw["poke"] = runs
    # Pokes that asked nobody, or saw an end, cost something else.
    well = [run if run["polls"] >= pokes and not run["wrong"] else {} for run in runs["ours"]]
    return [
        Row("poke", "CPU of one poke / HttpSensor.poke", ratios(well, runs["http"], "cpu_ms"), 1 / 25, Kind.RATIO),
        Row("poke", "CPU of one poke: DrsSwitchoverSensor", [run["cpu_ms"] for run in runs["ours"]], unit=" ms"),
        Row("poke", "CPU of one poke: HttpSensor", [run["cpu_ms"] for run in runs["http"]], unit=" ms"),
    ]


def imports(session: Session) -> list[Row]:
    """Fresh interpreters, in turn; of each the least, which a busy machine disturbs least."""
    session.say(f"imports: {INTERPRETERS} interpreters each")
    for name in CLASSES:  # compiles what has no bytecode yet
        _import(session, name)
    runs: list[dict[str, float]] = [{name: _import(session, name) for name in CLASSES} for _ in range(INTERPRETERS)]
    session.raw["imports"] = runs
    ours, http = (min(run[name] for run in runs) for name in CLASSES)
    return [
        Row("imports", f"CPU of importing {CLASSES['ours'][1]} on top of the SDK", [ours], 5.0, Kind.TIME, " ms"),
        Row("imports", f"the same / importing {CLASSES['http'][1]}", [ours / http], 1 / 36, Kind.RATIO),
        Row("imports", f"CPU of importing {CLASSES['http'][1]}", [http], unit=" ms"),
    ]


def _import(session: Session, which: str) -> float:
    module, name = CLASSES[which]
    command = [sys.executable, "-c", _IMPORT.format(module=module, name=name)]
    with Program(f"import {name}", command, session.stub.environment()) as program:
        return float(program.output(120).split()[-1])
