"""Starting the stub and the measured processes, and ending them on every path."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from tests.benchmarks.control import Control

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / ".bench"


class MeasuringError(Exception):
    """A measured process did not come to its end."""


def end_group(process: subprocess.Popen[Any]) -> None:
    """End a process that leads a group, and all it started."""
    for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)


class Stub:
    """The stub in a process of its own, and the environment of those who poll it."""

    def __enter__(self) -> Stub:
        # Of its own, because several stubs can be there at the same time.
        self._folder = tempfile.TemporaryDirectory(prefix="drs-bench-", ignore_cleanup_errors=True)
        self.ca_file = Path(self._folder.name) / "ca.pem"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.stub", str(self.ca_file)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        try:
            ports = json.loads(self._process.stdout.readline())
            self.port, self.control_port = ports["port"], ports["control_port"]
            self.control = Control(self.control_port)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.control.close()
        self._end()

    def _end(self) -> None:
        end_group(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._folder.cleanup()

    def environment(self, drs_port: int | None = None) -> dict[str, str]:
        """Return the environment of a measured process: the connections, and whom to trust.

        :param drs_port: where DRS and its like are to be found, if not at the stub; IAM always is.
        """
        port = drs_port or self.port
        base = f"https://127.0.0.1:{port}"
        ca_file = str(self.ca_file)
        drs = {
            "host": base,
            "login": "bench",
            "password": "bench",
            "extra": {
                "auth_url": f"https://127.0.0.1:{self.port}/v3",
                "domain_name": "BENCH",
                "project_name": "bench",
                "verify": ca_file,
            },
        }
        # The others cannot log in: they get a token that outlives the run.
        headers = {"X-Auth-Token": self.control.token(), "X-Language": "en-us", "Accept": "application/json"}
        connections = {
            "DRS_BENCH": {"conn_type": "drs", **drs},
            "HTTP_BENCH": {"conn_type": "http", "host": base, "extra": headers},
            "DBT_BENCH": {"conn_type": "dbt_cloud", "host": f"127.0.0.1:{port}", "login": "1", "password": "bench"},
        }
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW")},
            **{f"AIRFLOW_CONN_{name}": json.dumps(fields) for name, fields in connections.items()},
            "AIRFLOW_HOME": str(Path(self._folder.name) / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "SSL_CERT_FILE": ca_file,
            "REQUESTS_CA_BUNDLE": ca_file,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "BENCH_STUB": base,
        }

    def measure(self, module: str, patience: float, /, drs_port: int | None = None, **task: Any) -> dict[str, Any]:
        """Run ``measured/<module>.py`` to its end; return the figures it hands back.

        :param patience: seconds after which to end it.
        :param drs_port: as for :meth:`environment`.
        """
        with self.measuring(module, drs_port, **task) as measured:
            return measured.figures(patience)

    def measuring(self, module: str, drs_port: int | None = None, **task: Any) -> Measured:
        """Return ``measured/<module>.py`` as a context, to run beside others."""
        return Measured(module, {**task, "control_port": self.control_port}, self.environment(drs_port))


class Program:
    """A program that runs until it ends, or its context does.

    :param name: what errors call it.
    :param command: its command line.
    """

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.name, self._command, self._environment = name, command, environment

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            # Files, since nobody reads along and a full pipe would stop the program.
            self._out, self._err = (stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(2))
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=self._out,
                stderr=self._err,
                start_new_session=True,
            )
            stack.callback(end_group, self._process)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def output(self, patience: float) -> str:
        """Return what it wrote to stdout.

        :raises MeasuringError: it failed, or is not done in time; with what it wrote to stderr.
        """
        how = "failed"
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            how = f"was not done after {patience:g} s"
        if self._process.returncode != 0:
            self._err.seek(0)
            raise MeasuringError(f"{self.name} {how}:\n{self._err.read()[-4000:]}")
        self._out.seek(0)
        return self._out.read()


class Measured(Program):
    """A module of ``measured``, and what it hands back."""

    def __init__(self, module: str, task: dict[str, Any], environment: dict[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="drs-bench-", ignore_cleanup_errors=True)
        self._result = Path(self._folder.name) / "figures.json"
        what = json.dumps({**task, "result": str(self._result)})
        command = [sys.executable, "-m", f"tests.benchmarks.measured.{module}", what]
        super().__init__(f"{module} {task}", command, environment)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._folder.cleanup()

    def figures(self, patience: float) -> dict[str, Any]:
        """Return what it hands back; as :meth:`output`."""
        self.output(patience)
        return dict(json.loads(self._result.read_text()))


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """Lend a port of loopback that refuses connections: bound, so that nobody else gets it, and never listened on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])
