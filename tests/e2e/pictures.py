"""Makes the pictures of README and docs: ``python -m tests.e2e.pictures DIRECTORY``."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import expect, sync_playwright

from airflow_provider_drs.simulator import Job, Simulator
from tests.constants import START
from tests.e2e.browser import Person, launch
from tests.e2e.history import hours_ago, past_switchover
from tests.e2e.people import ADMIN
from tests.e2e.place import Place
from tests.e2e.runs import CLOSED_PORT, CODE, TEXT, run_path, sees_state
from tests.postgres import Postgres

JOB = "260e27fd-4976-44dc-9948-e1265e4jb201"
# High enough for the whole form.
WINDOW = {"width": 1440, "height": 1000}


def main() -> None:
    """Make an Airflow with cutovers, and take the pictures."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(Postgres())
        cloud = stack.enter_context(Simulator())
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pictures-")))
        airflow = stack.enter_context(Place(home / "airflow", database, cloud))
        airflow.run_module("tests.e2e.history", json.dumps(past()))
        browser = launch(stack.enter_context(sync_playwright()))
        stack.callback(browser.close)
        ada = Person(browser, airflow.url, viewport=WINDOW)
        ada.log_in(ADMIN, airflow.passwords[ADMIN])
        take_form(ada, folder)
        take_run(ada, airflow, cloud, folder)
        kept = ada.context.storage_state()
        for scheme in ("light", "dark"):
            take_page(Person(browser, airflow.url, kept, viewport=WINDOW, color_scheme=scheme), folder, scheme)


def iso(hours: float) -> str:
    """Return the time so many hours ago, as evidence has it."""
    return datetime.fromtimestamp(hours_ago(hours), UTC).isoformat(timespec="seconds")


def past() -> list[dict[str, Any]]:
    """Return switchovers of every kind that somebody looks for."""
    seen = {"side": "target", "value": "orders-db-2", "at": iso(30)}
    told = {"at_start": {**seen, "side": "source"}, "at_end": seen, "decided": False}
    approval = {"task_id": "approval", "by": "grace", "at": iso(30.2), "answer": "Approve"}
    return [
        past_switchover(11, hours_ago(9), "failed", error_code=CODE, error_msg=TEXT),
        past_switchover(12, hours_ago(30), witness=told, approvals=[approval]),
        past_switchover(13, hours_ago(33), "unknown", decided_by=None, reason="no response to the request"),
        past_switchover(14, hours_ago(50)),
        past_switchover(15, hours_ago(80)),
    ]


def take_form(ada: Person, folder: Path) -> None:
    """Take the trigger form of gated_cutover, filled in."""
    ada.open("/dags/gated_cutover")
    ada.button("Trigger Dag").click()
    form = ada.page.get_by_role("dialog")
    form.locator("[name=element_job_id]").fill(JOB)
    form.get_by_role("combobox", name=re.compile("^Database whose")).click()
    ada.page.get_by_role("option", name=re.compile("^target: ")).click()
    form.screenshot(path=folder / "form.png")


def take_run(ada: Person, airflow: Place, cloud: Simulator, folder: Path) -> None:
    """Take a run of verified_cutover while DRS switches over."""
    cloud.add_job(Job(JOB, status_after_switch=[START]))
    database = {"host": "127.0.0.1", "port": CLOSED_PORT}
    run_id = airflow.start("verified_cutover", job_id=JOB, mode="target", rollback_mode="source", max_lag=0, **database)
    ada.open(run_path("verified_cutover", run_id))
    sees_state(ada, "cutover.switchover", "Deferred")
    ada.page.screenshot(path=folder / "running.png", clip={"x": 0, "y": 0, "width": 1440, "height": 800})


def take_page(ada: Person, folder: Path, scheme: str) -> None:
    """Take the page "DRS cutovers", light or dark."""
    ada.open("/plugin/drs-cutovers")
    expect(ada.page.get_by_test_id("row").nth(4)).to_be_visible()
    ada.page.screenshot(path=folder / f"cutovers-{scheme}.png", clip={"x": 0, "y": 0, "width": 1440, "height": 700})
    ada.context.close()


if __name__ == "__main__":
    main()
