"""An Airflow of its own for the demo: home, database and log in one temporary folder."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from demo.guard import Guard, guard

DAGS_FOLDER = Path(__file__).resolve().parent.parent
SLOWEST_COMMAND_SECONDS = 180
PROVIDER = "airflow_provider_drs."


class DemoError(Exception):
    """The demo itself did not work, whatever the DAG run was to show."""


class DemoAirflow:
    """Runs commands of Airflow in a temporary folder.

    The folder is ``directory``, the file ``log`` keeps all that the commands print. Nothing of the caller's own
    Airflow takes part: neither its home nor its environment variables.
    """

    def __init__(self, directory: Path, guard: Guard) -> None:
        self.directory = directory
        self.guard = guard
        self.home = directory / "airflow"
        self.log = directory / "airflow.log"
        self.home.mkdir()

    def run(
        self,
        *arguments: str,
        connections: Mapping[str, Any] | None = None,
        show: Callable[[str], None] | None = None,
    ) -> None:
        """Run ``python -m ARGUMENTS`` to its end.

        :param connections: Airflow connections by id, as the JSON form of ``AIRFLOW_CONN_...`` has them.
        :param show: is told what the provider logs, when it does.
        :raises DemoError: it ended with an error, or not within SLOWEST_COMMAND_SECONDS.
        """
        began = time.monotonic()
        command = [sys.executable, "-m", *arguments]
        with (
            self.log.open("a", encoding="utf-8") as log,
            subprocess.Popen(
                command,
                cwd=DAGS_FOLDER,
                env=self.environment(connections or {}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
            ) as process,
            _killed_after(SLOWEST_COMMAND_SECONDS, process),
        ):
            self.guard.watch(process.pid)
            if process.stdout is None:
                raise DemoError("no output to read")
            for line in process.stdout:
                log.write(line)
                log.flush()
                entry = _entry(line)
                if show and PROVIDER in str(entry.get("logger")):
                    show(str(entry["event"]))
        if process.returncode:
            took = time.monotonic() - began
            raise DemoError(f"{' '.join(arguments[:2])} ended with code {process.returncode} after {took:.0f} s")

    def environment(self, connections: Mapping[str, Any]) -> dict[str, str]:
        """Return the environment of its commands.

        :param connections: as for :meth:`run`.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}
        return {
            **kept,
            "HOME": str(self.home),
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS_FOLDER),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # One JSON object per line tells the provider's lines from all others.
            "AIRFLOW__LOGGING__JSON_LOGS": "True",
            # A proxy cannot reach the simulator, which listens on this machine only.
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            **{f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(fields) for conn_id, fields in connections.items()},
        }


@contextlib.contextmanager
def demo_airflow(prefix: str = "drs-demo-") -> Iterator[DemoAirflow]:
    """Lend an Airflow; nothing is left of it but, after a DemoError, the log, whose end is printed.

    :param prefix: of the name of its folder.
    """
    directory = Path(tempfile.mkdtemp(prefix=prefix))
    keep = False
    with guard(str(directory)) as watching:
        made = DemoAirflow(directory, watching)
        try:
            yield made
        except DemoError:
            keep = made.log.exists()
            if keep:
                print(f"\nEnd of Airflow's log, {made.log}:\n{_tail(made.log)}\n")
            raise
        finally:
            shutil.rmtree(made.home if keep else directory)


@contextlib.contextmanager
def _killed_after(seconds: float, process: subprocess.Popen[str]) -> Iterator[None]:
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    except BaseException:
        process.kill()
        raise
    finally:
        timer.cancel()


def _entry(line: str) -> dict[str, Any]:
    """Return a line of Airflow's log as the JSON object it is; {} for what is none."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and "event" in found else {}


def _tail(log: Path, lines: int = 25) -> str:
    return "\n".join(_readable(line) for line in log.read_text(encoding="utf-8").splitlines()[-lines:])


def _readable(line: str) -> str:
    entry = _entry(line)
    if not entry:
        return line
    causes = [f"{cause.get('exc_type')}: {cause.get('exc_value')}" for cause in entry.get("exception") or ()]
    return " | ".join([f"{entry.get('level', '')}: {entry['event']}", *causes])
