"""Cutovers from the trigger form to their end: deferred, approved, rejected, done."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from airflow_provider_drs.simulator import Simulator
from tests.e2e.browser import Person, is_readable
from tests.e2e.runs import APPROVED, REJECTED, finish, run_path, sees_state


def answer(ada: Person, job_id: str, with_what: str) -> None:
    """Find the question about a job in the list, read it, and answer it."""
    ada.open("/required_actions")
    question = ada.page.get_by_role("link").filter(has_text=job_id[-5:])
    expect(question).to_have_count(1)
    subject = question.inner_text()
    assert re.fullmatch(r"mode (source|target): job .*", subject)
    assert is_readable(question, job_id[-5:])
    ada.click(question)
    body = ada.page.get_by_role("table").filter(has_text=job_id)
    for row in ("Job", "Mode", "Who serves now", "Lag", "Comparison", "DRS console", "After your answer"):
        expect(body.get_by_role("row").filter(has_text=row).first).to_be_visible()
    ada.click(ada.button(with_what, exact=True))
    ada.sees(re.compile("Response received at"))


def run_id_of(page: Page) -> str:
    found = re.search(r"/runs/([^/?]+)", page.url)
    assert found, page.url
    return found[1]


def trigger(ada: Person, job_id: str) -> None:
    """Fill in the trigger form of gated_cutover, and press its button."""
    ada.open("/dags/gated_cutover")
    ada.button("Trigger Dag").click()
    form = ada.page.get_by_role("dialog")
    button = form.get_by_role("button", name="Trigger", exact=True)
    expect(form.get_by_text("DRS does not document which database serves afterwards.").first).to_be_visible()
    expect(button).to_be_disabled()  # nothing is filled in
    form.locator("[name=element_job_id]").fill(job_id)
    form.get_by_role("combobox", name=re.compile("^Database whose")).click()
    ada.page.get_by_role("option", name=re.compile("^target: ")).click()
    button.click()


def test_what_can_be_no_job_starts_no_run(ada: Person, runs: dict[str, str]) -> None:
    trigger(ada, "two words")
    ada.sees("Failed to Trigger Dag")


def test_from_the_form_to_the_end(ada: Person, cloud: Simulator, runs: dict[str, str]) -> None:
    trigger(ada, APPROVED)
    ada.page.wait_for_url(re.compile("/runs/"))
    run_id = run_id_of(ada.page)

    sees_state(ada, "cutover.approval", "Awaiting Input")
    answer(ada, APPROVED, "Approve")

    ada.open(run_path("gated_cutover", run_id))
    sees_state(ada, "cutover.switchover", "Deferred")
    finish(cloud, APPROVED)
    sees_state(ada, "cutover.switchover", "Success")


def test_a_rejected_cutover_switches_nothing(ada: Person, cloud: Simulator, runs: dict[str, str]) -> None:
    ada.open(run_path("asked_cutover", runs[REJECTED]))
    sees_state(ada, "cutover.approval", "Awaiting Input")
    answer(ada, REJECTED, "Reject")
    ada.open(run_path("asked_cutover", runs[REJECTED]))
    sees_state(ada, "cutover.approval", "Failed")
    sees_state(ada, "cutover.switchover", "Upstream Failed")
    assert cloud.switched(REJECTED) == []
