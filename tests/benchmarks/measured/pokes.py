"""One sensor, poked again and again on a connection that is kept: what does one poke cost?"""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

from tests.benchmarks.jobs import job_id
from tests.benchmarks.measured.task import hand_back, read_task, silence
from tests.benchmarks.stub.state import PROJECT_ID

WARM_UP = 5


def _ours() -> Any:
    from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor

    return DrsSwitchoverSensor(task_id="wait", job_id=job_id(0), drs_conn_id="drs_bench")


def _http() -> Any:
    from airflow.providers.http.sensors.http import HttpSensor

    return HttpSensor(
        task_id="wait",
        http_conn_id="http_bench",
        endpoint=f"v3/{PROJECT_ID}/jobs/{job_id(0)}/get-switch-vip-status",
        response_check=lambda response: response.json()["status"] == "SWITCH_VIP_COMPLETE",
    )


SENSORS = {"ours": _ours, "http": _http}


def main() -> None:
    """Poke as the task says: ``sensor``, ``pokes``."""
    silence()
    task = read_task()
    sensor = SENSORS[task["sensor"]]()
    ti = SimpleNamespace(dag_id="bench", run_id="bench", task_id="wait", map_index=-1, try_number=1)
    context = {"ti": ti, "task_instance": ti}
    done = [sensor.poke(context) for _ in range(WARM_UP)]
    cpu = time.process_time()
    for _ in range(task["pokes"]):
        done.append(sensor.poke(context))
    cpu = time.process_time() - cpu
    hand_back(task, {"cpu_ms": cpu / task["pokes"] * 1000, "wrong": sum(map(bool, done))})


if __name__ == "__main__":
    main()
