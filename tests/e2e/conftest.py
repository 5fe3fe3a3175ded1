"""One Airflow, one DRS and one browser for all tests; each test has a window of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from airflow_provider_drs.simulator import Simulator
from tests.e2e.browser import Person, launch
from tests.e2e.people import ADMIN, VIEWER
from tests.e2e.place import Place
from tests.e2e.runs import start_runs
from tests.postgres import Postgres


@pytest.fixture(scope="session")
def database() -> Iterator[Postgres]:
    """The PostgreSQL server of every Airflow here."""
    with Postgres() as running:
        yield running


@pytest.fixture(scope="session")
def cloud() -> Iterator[Simulator]:
    """The DRS, over TLS."""
    with Simulator() as running:
        yield running


@pytest.fixture(scope="session")
def airflow(database: Postgres, cloud: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The Airflow."""
    with Place(tmp_path_factory.mktemp("airflow"), database, cloud) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser; a window of it is opened for each test."""
    with sync_playwright() as playwright:
        running = launch(playwright)
        yield running
        running.close()


@pytest.fixture(scope="session")
def logged_in(airflow: Place, browser: Browser) -> dict[str, Any]:
    """What the browser keeps of each person's log-in."""
    kept: dict[str, Any] = {}
    for name in (ADMIN, VIEWER):
        person = Person(browser, airflow.url)
        person.log_in(name, airflow.passwords[name])
        kept[name] = person.context.storage_state()
        person.context.close()
    return kept


@pytest.fixture
def someone(
    airflow: Place, browser: Browser, logged_in: dict[str, Any], request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[..., Person]]:
    """Give a window to somebody: ``someone(ADMIN)``; ``someone(None)`` has not logged in."""
    people: list[Person] = []

    def sit_down(name: str | None, **more: Any) -> Person:
        people.append(Person(browser, airflow.url, logged_in.get(name) if name else None, **more))
        return people[-1]

    failures = request.session.testsfailed
    yield sit_down
    for number, person in enumerate(people):
        if request.session.testsfailed > failures:
            picture = tmp_path / f"window-{number}.png"
            person.page.screenshot(path=picture)
            print(f"the window was at {person.page.url}: {picture}")
        person.context.close()


@pytest.fixture
def ada(someone: Callable[..., Person]) -> Person:
    """An administrator."""
    return someone(ADMIN)


@pytest.fixture(scope="session")
def runs(airflow: Place, cloud: Simulator) -> dict[str, str]:
    """The ids of runs, by job."""
    return start_runs(airflow, cloud)
