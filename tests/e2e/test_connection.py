"""The connection: its form filled in, tested, edited, with its secrets kept."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import Locator, expect

from airflow_provider_drs.get_provider_info import CONNECTION_FIELDS, STANDARD_FIELDS
from airflow_provider_drs.simulator import Simulator
from tests.e2e.browser import Person

CONN_TYPE = "DRS (Data Replication Service)"


def fill_in(ada: Person, cloud: Simulator, conn_id: str, **given: str) -> Locator:
    """Make a connection in the form; return its row in the list.

    :param given: the values of fields by key, instead of those that lead to the DRS.
    """
    connection = cloud.connection()
    place = urlsplit(connection["host"])
    values = {
        "login": connection["login"],
        "password": connection["password"],
        "host": f"{place.scheme}://{place.hostname}",
        "port": str(place.port),
        **connection["extra"],
        **given,
    }
    form = open_form(ada)
    form.get_by_label("Connection ID").fill(conn_id)
    for key, label in STANDARD_FIELDS.items():
        if key in values:
            form.get_by_label(label).fill(values.pop(key))
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    for key, value in values.items():
        form.locator(f"[name=element_{key}]").fill(value)
    save(form)
    return ada.page.get_by_role("row").filter(has_text=conn_id)


def open_form(ada: Person) -> Locator:
    """Open the form of a new connection to DRS."""
    ada.open("/connections")
    ada.button("Add Connection").click()
    form = ada.page.get_by_role("dialog")
    form.get_by_role("combobox", name="Connection Type").fill(CONN_TYPE)
    ada.page.get_by_role("option", name=CONN_TYPE).click()
    return form


def save(form: Locator) -> None:
    """Press Save, and wait until that is done."""
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()


def outcome_of_test(ada: Person, row: Locator) -> str:
    """Press the Test button; return what Airflow says."""
    ada.page.reload()  # what it has said before is gone then
    row.get_by_role("button", name="Test Connection").click()
    said = ada.page.get_by_role("status").filter(has_text="Test Connection")
    expect(said).to_be_visible()
    return said.inner_text()


def test_the_form_asks_in_the_words_of_the_documentation(ada: Person) -> None:
    form = open_form(ada)
    for key in ("login", "password", "host", "port"):
        expect(form.get_by_label(STANDARD_FIELDS[key])).to_be_visible()
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    for field in CONNECTION_FIELDS.values():
        expect(form.get_by_text(field["label"]).first).to_be_visible()


def test_secrets_survive_an_edit_of_something_else(ada: Person, cloud: Simulator) -> None:
    with_password = fill_in(ada, cloud, "logs_in_with_a_password")
    assert "Successful" in outcome_of_test(ada, with_password)
    token = cloud.issued_tokens()[-1]
    with_token = fill_in(ada, cloud, "logs_in_with_a_token", login="", password="", domain_name="", token=token)
    assert "Successful" in outcome_of_test(ada, with_token)

    for row in (with_password, with_token):
        row.get_by_role("button", name="Edit Connection").click()
        form = ada.page.get_by_role("dialog")
        form.get_by_label("Description").fill("edited")
        form.get_by_role("button", name="Extra Fields", exact=True).click()
        shown = form.get_by_label("IAM password") if row is with_password else form.locator("[name=element_token]")
        expect(shown).to_have_value("***")
        save(form)
        expect(row).to_contain_text("edited")
        assert "Successful" in outcome_of_test(ada, row)


def test_the_test_button_says_that_the_password_is_wrong(ada: Person, cloud: Simulator) -> None:
    said = outcome_of_test(ada, fill_in(ada, cloud, "has_a_wrong_password", password="not this one"))
    assert "Failed" in said
    assert "IAM password" in said
    assert "not this one" not in said
