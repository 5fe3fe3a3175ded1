"""Whoever types the steps of the tutorials, one after the other, gets to their end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ("first_wait", "first_cutover")
STEP = r"<!-- a step of the tutorial -->\n```shell\n(.*?)```"


def test_a_first_wait_and_a_first_cutover(tmp_path: Path) -> None:
    text = "".join((DOCS / f"{page}.md").read_text() for page in PAGES)
    steps = re.findall(STEP, text, re.S)
    assert len(steps) == text.count("```shell") - 1, "all but the installation"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "AIRFLOW"))}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    log = tmp_path / "log"
    with log.open("w") as said_to:
        # In a session of its own, which ends with all that the steps have begun.
        typed = subprocess.Popen(
            ["/bin/sh", "-ec", "\n".join(steps)],
            env=environment, cwd=tmp_path, stdout=said_to, stderr=said_to, start_new_session=True,
        )  # fmt: skip
        try:
            code = typed.wait()
        finally:
            os.killpg(typed.pid, signal.SIGTERM)
            typed.wait()
    said = log.read_text()
    assert code == 0, said[-4000:]
    for seen in (
        "SWITCH_VIP_START",  # airflow-drs status
        r"switchover done \(SWITCH_VIP_COMPLETE\)",
        "was seen switched at",
        r"The call would be: POST .*switch-vip",  # airflow-drs plan
        r"│ done +│",  # airflow-drs cutovers
    ):
        assert re.search(seen, said), f"{seen}: {said[-4000:]}"
