"""The connection form of Airflow 2.11, which FAB makes: filled in, tested, saved and edited, with its secrets kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from airflow_provider_drs.get_provider_info import CONNECTION_FIELDS, STANDARD_FIELDS
from airflow_provider_drs.simulator import Simulator
from tests.e2e.airflow_2 import Airflow2
from tests.e2e.browser import Person
from tests.e2e.people import ADMIN
from tests.postgres import Postgres

NAME = "made_in_the_form"


@pytest.fixture(scope="module")
def airflow_2(database: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow2]:
    """The web server."""
    with Airflow2(tmp_path_factory.mktemp("airflow-2"), database) as running:
        yield running


def test_the_form_has_our_words_and_its_test_button_works(
    airflow_2: Airflow2, browser: Browser, cloud: Simulator
) -> None:
    ada = Person(browser, airflow_2.url)
    ada.log_in(ADMIN, airflow_2.password, "/login/")
    page = ada.page
    ada.open("/connection/add")
    page.locator("#conn_type").select_option("drs", force=True)  # a widget lies over it
    labels = [STANDARD_FIELDS[key] for key in ("login", "password", "host", "port")]
    for label in [*labels, *(field["label"] for field in CONNECTION_FIELDS.values())]:
        # What most need has a mark behind its label.
        expect(page.get_by_text(re.compile(rf"^\s*{re.escape(label)}( \*)?\s*$")).first).to_be_visible()

    fill_in(ada, cloud, NAME)
    press_test(ada, cloud.url)
    ada.context.close()


def test_secrets_survive_an_edit_of_something_else(airflow_2: Airflow2, browser: Browser, cloud: Simulator) -> None:
    ada = Person(browser, airflow_2.url)
    ada.log_in(ADMIN, airflow_2.password, "/login/")
    fill_in(ada, cloud, "logs_in_with_a_password")
    press_test(ada, cloud.url)
    save(ada)
    token = cloud.issued_tokens()[-1]
    fill_in(ada, cloud, "logs_in_with_a_token", login="", password="", domain_name="", token=token)
    save(ada)
    stored = secrets_of(airflow_2)
    assert stored == {"logs_in_with_a_password": (cloud.password, None), "logs_in_with_a_token": (None, token)}

    for name in stored:
        ada.open("/connection/list/")
        row = ada.page.locator("tr").filter(has_text=name)
        row.locator("a[href*='/connection/edit/']").click()
        assert not any(secret in ada.page.content() for secret in (cloud.password, token))
        if "token" in name:
            press_test(ada, "type token again")
        ada.page.locator("#description").fill("edited")
        save(ada)
        ada.open("/connection/list/")
        expect(row).to_contain_text("edited")
    assert secrets_of(airflow_2) == stored
    ada.context.close()


def fill_in(ada: Person, cloud: Simulator, conn_id: str, **given: str) -> None:
    """Fill in the form of a new connection.

    :param given: the values of fields by key, instead of those that lead to the DRS.
    """
    connection = cloud.connection()
    place = urlsplit(connection["host"])
    standard = {"conn_id": conn_id, "login": connection["login"], "password": connection["password"]}
    standard |= {"host": f"{place.scheme}://{place.hostname}", "port": str(place.port)}
    ada.open("/connection/add")
    ada.page.locator("#conn_type").select_option("drs", force=True)  # a widget lies over it
    for key, value in {**standard, **connection["extra"], **given}.items():
        ada.page.locator(f"#{key}" if key in standard else f"#extra__drs__{key}").fill(value)


def press_test(ada: Person, text: str) -> None:
    """Press the Test button, and wait until Airflow says the text."""
    ada.page.locator("#test-connection").click()
    said = ada.page.locator("#test-connection-status, .alert-message, .alert-success")
    expect(said.first).to_contain_text(text)


def save(ada: Person) -> None:
    """Press Save, and wait until that is done."""
    ada.page.locator("button[type=submit]").filter(has_text="Save").click()
    ada.sees(re.compile("(Added|Changed) Row"))


def secrets_of(airflow: Airflow2) -> dict[str, tuple[str | None, str | None]]:
    """Return password and token of each connection, as Airflow has them."""
    file = airflow.home / "connections.json"
    airflow.run("connections", "export", str(file), "--file-format", "json")
    found = json.loads(file.read_text())
    return {name: (one["password"] or None, json.loads(one["extra"]).get("token")) for name, one in found.items()}
