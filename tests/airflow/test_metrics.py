"""The metrics that Airflow's own stats send out: to a StatsD and an OpenTelemetry collector that are of this test."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from airflow_provider_drs.simulator import Fault, Job, Simulator
from tests.constants import GET_STATUS, JOB

AGES = ("drs.response_age.", "drs.oldest_wait.")
WAITS = f"""
import airflow.sdk.serde  # as the triggerer does, which sets the stats up
import asyncio
from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor
from airflow_provider_drs.triggers.drs import DrsSwitchoverTrigger

async def wait():
    return [event async for event in DrsSwitchoverTrigger({JOB!r}, poke_interval=0.05).run()]

async def both():
    return await asyncio.gather(wait(), wait())

if {{how!r}} == "trigger":
    asyncio.run(both())
else:
    class Ti:
        dag_id = run_id = task_id = "x"
        map_index = -1
        def xcom_push(self, **kwargs): pass
    DrsSwitchoverSensor(task_id="wait", job_id={JOB!r}, poke_interval=0.05).execute({{{{"ti": Ti()}}}})
"""


def _run(how: str, **options: str) -> None:
    """Let a process of its own wait, with these options of Airflow's metrics."""
    environment = {**os.environ, **{f"AIRFLOW__METRICS__{name}": value for name, value in options.items()}}
    code = WAITS.format(how=how)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def _collector() -> Iterator[tuple[HTTPServer, dict[str, str]]]:
    """Run an OpenTelemetry collector; yield it, and the kind of each metric that it has received."""
    kinds: dict[str, str] = {}

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    kinds.update((one.name, str(one.WhichOneof("data"))) for one in scope.metrics)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server, kinds
        finally:
            server.shutdown()
            thread.join()


def _sent(how: str, drs: Simulator) -> tuple[Counter[str], dict[str, list[float]]]:
    """Let a process of its own wait; return how often each metric was sent, and the values of those of a time."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        statsd.bind(("127.0.0.1", 0))
        _run(how, STATSD_ON="True", STATSD_HOST="127.0.0.1", STATSD_PORT=str(statsd.getsockname()[1]))
        statsd.setblocking(False)
        lines = list[str]()
        while True:
            try:
                lines += statsd.recv(65536).decode().splitlines()
            except BlockingIOError:
                break
    named = [
        re.fullmatch(r"airflow\.(drs\.[A-Za-z_.]+):([-+0-9.e]+)\|(c|ms|g)", line) for line in lines if ".drs." in line
    ]
    assert all(named), lines
    sent, ages = Counter[str](), dict[str, list[float]]()
    for name, value, kind in (found.groups() for found in named if found):
        if name.startswith(AGES):
            ages.setdefault(name, []).append(float(value))
        else:
            sent[f"{name}={value}" if kind == "g" else f"{name}|{kind}"] += 1
    return sent, ages


def test_what_a_triggerer_sends(drs: Simulator) -> None:
    drs.add_job(Job(JOB, status_script=["SWITCH_VIP_START", "SWITCH_VIP_START", "SWITCH_VIP_COMPLETE"]))
    drs.fault(GET_STATUS, Fault.status(503))
    sent, ages = _sent("trigger", drs)
    polls = len(drs.calls(GET_STATUS))
    assert sent.pop("drs.polls|c") == sent.pop("drs.poll_duration|ms") == polls
    assert sent == {
        "drs.errors.DrsServerError|c": 1,
        "drs.token_renewals|c": 1,
        "drs.detection_delay|ms": 2,
        "drs.waits=1": 2,
        "drs.waits=2": 1,
        "drs.waits=0": 1,
    }
    response, oldest = (ages[f"{name}drs_default"] for name in AGES)
    assert response[0] > 0, "the first poll failed"
    assert response[1:] == [0.0] * (polls - 1)
    assert oldest[-1] == 0, "nobody waits any more"


def test_what_a_worker_sends(drs: Simulator) -> None:
    drs.add_job(Job(JOB, status_script=["SWITCH_VIP_COMPLETE"]))
    drs.fault(GET_STATUS, Fault.expired_token())
    sent, ages = _sent("poke", drs)
    assert sent["drs.polls|c"] == sent["drs.poll_duration|ms"] == 1, "one call, though it took two requests"
    assert sent["drs.token_renewals|c"] == 2
    assert ages == {"drs.response_age.drs_default": [0.0]}


def test_what_the_exporter_of_opentelemetry_sends(drs: Simulator) -> None:
    drs.add_job(Job(JOB, status_script=["SWITCH_VIP_START", "SWITCH_VIP_COMPLETE"]))
    drs.fault(GET_STATUS, Fault.status(503))
    with _collector() as (server, kinds):
        _run("trigger", OTEL_ON="True", OTEL_HOST="127.0.0.1", OTEL_PORT=str(server.server_port))
    kinds = {name.removeprefix("airflow."): kind for name, kind in kinds.items() if ".drs." in name}
    timers = {kinds.pop(name).removeprefix("exponential_") for name in ("drs.poll_duration", "drs.detection_delay")}
    assert timers == {"histogram"}
    assert kinds == {
        "drs.polls": "sum",
        "drs.errors.drsservererror": "sum",
        "drs.token_renewals": "sum",
        "drs.waits": "gauge",
        "drs.response_age.drs_default": "gauge",
        "drs.oldest_wait.drs_default": "gauge",
    }
