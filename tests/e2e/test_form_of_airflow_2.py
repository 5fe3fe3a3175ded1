"""The connection form of Airflow 2.11, which FAB makes: filled in and tested."""

from __future__ import annotations

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

    connection = cloud.connection()
    place = urlsplit(connection["host"])
    standard = {"conn_id": NAME, "login": connection["login"], "password": connection["password"]}
    standard |= {"host": f"{place.scheme}://{place.hostname}", "port": str(place.port)}
    for key, value in standard.items():
        page.locator(f"#{key}").fill(value)
    for key, value in connection["extra"].items():
        page.locator(f"#extra__drs__{key}").fill(value)
    page.locator("#test-connection").click()
    expect(page.locator("#test-connection-status, .alert-message, .alert-success").first).to_contain_text(cloud.url)
    ada.context.close()
