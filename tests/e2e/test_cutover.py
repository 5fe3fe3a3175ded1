"""Cutovers from the trigger form to their end: deferred, approved, rejected, done, failed, taken back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from airflow_provider_drs.simulator import Simulator
from tests.e2e.browser import Person, is_readable
from tests.e2e.people import ADMIN
from tests.e2e.runs import APPROVED, CODE, FAILING, REJECTED, TEXT, WITH_A_WAY_BACK, fail, finish, run_path, sees_state


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


@pytest.mark.parametrize("typed", [" ", "two words", f" {APPROVED}"])
def test_what_can_be_no_job_starts_no_run(typed: str, ada: Person, runs: dict[str, str]) -> None:
    trigger(ada, typed)
    ada.sees(f"Invalid input for param job_id: '{typed}'")


def test_from_the_form_to_the_evidence(ada: Person, cloud: Simulator, runs: dict[str, str]) -> None:
    trigger(ada, APPROVED)
    ada.page.wait_for_url(re.compile("/runs/"))
    run_id = run_id_of(ada.page)

    sees_state(ada, "cutover.approval", "Awaiting Input")
    answer(ada, APPROVED, "Approve")

    ada.open(run_path("gated_cutover", run_id))
    sees_state(ada, "cutover.switchover", "Deferred")
    finish(cloud, APPROVED)
    sees_state(ada, "cutover.switchover", "Success")

    ada.open(run_path("gated_cutover", run_id, "cutover.switchover") + "/xcom")
    evidence = ada.page.get_by_role("row").filter(has=ada.page.get_by_role("cell", name="switchover", exact=True))
    # Airflow shows the first lines of it, and the rest in a window to scroll; all of it is on the page of cutovers.
    ada.button("Expand all extra JSON").click()
    for text in ('"mode": "target"', f'"user": "{ADMIN}"', '"guards"'):
        expect(evidence).to_contain_text(text)
    link = ada.page.get_by_role("link", name=f"{cloud.url}/?job={APPROVED}")
    expect(link).to_have_attribute("href", f"{cloud.url}/?job={APPROVED}")


def test_a_rejected_cutover_switches_nothing(ada: Person, cloud: Simulator, runs: dict[str, str]) -> None:
    ada.open(run_path("asked_cutover", runs[REJECTED]))
    sees_state(ada, "cutover.approval", "Awaiting Input")
    answer(ada, REJECTED, "Reject")
    ada.open(run_path("asked_cutover", runs[REJECTED]))
    sees_state(ada, "cutover.approval", "Failed")
    sees_state(ada, "cutover.switchover", "Upstream Failed")
    assert cloud.switched(REJECTED) == []


def test_why_a_switchover_failed_is_read_without_scrolling(ada: Person, cloud: Simulator, runs: dict[str, str]) -> None:
    ada.open(run_path("nightly_cutover", runs[FAILING]))
    sees_state(ada, "cutover.switchover", "Deferred")
    fail(cloud, FAILING)
    sees_state(ada, "cutover.switchover", "Failed")
    ada.click(ada.page.get_by_role("link", name="cutover.switchover", exact=True))
    line = ada.page.get_by_role("code").filter(has_text=CODE).first
    expect(line).to_be_visible()
    assert is_readable(line, CODE)
    assert is_readable(line, TEXT)


def test_a_verification_that_fails_and_the_way_back(ada: Person, cloud: Simulator, runs: dict[str, str]) -> None:
    ada.open(run_path("verified_cutover", runs[WITH_A_WAY_BACK]))
    sees_state(ada, "cutover.switchover", "Success")
    sees_state(ada, "cutover.database_answers", "Failed")
    sees_state(ada, "cutover.rollback", "Success")
    expect(ada.page.get_by_role("heading", name=runs[WITH_A_WAY_BACK])).to_be_visible()
    expect(ada.page.get_by_text("Failed").first).to_be_visible()
    assert cloud.switched(WITH_A_WAY_BACK) == ["target", "source"]

    ada.open(f"/plugin/drs-cutovers?job_id={WITH_A_WAY_BACK}")
    there_and_back = ada.page.get_by_test_id("row")
    expect(there_and_back).to_have_count(2)
    expect(there_and_back.nth(0)).to_contain_text("source")
    expect(there_and_back.nth(1)).to_contain_text("target")
