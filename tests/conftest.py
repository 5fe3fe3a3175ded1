"""Fixtures for all tests. Airflow reads its settings when it is first imported, so they are set here, before that."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-test-"))
# Each worker of pytest-xdist has an Airflow of its own: database, configuration, logs.
os.environ["AIRFLOW_HOME"] = str(Path(os.environ["AIRFLOW_HOME"], os.environ.get("PYTEST_XDIST_WORKER", "")))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(__file__).parent / "airflow" / "dags")
os.environ["AIRFLOW__CORE__TEST_CONNECTION"] = "Enabled"
# A deferral that ends at once hurts only where a scheduler runs; tests/matrix has one, and leaves this as it is.
os.environ["AIRFLOW__DRS__DEFERRAL_HOLD"] = "0"
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

from airflow_provider_drs.clients.sync_client import close_kept_clients
from airflow_provider_drs.simulator import Simulator

# Groups of tests that share a fixture that is dear to make, each run by one worker. What takes longest is begun first,
# so that no worker is left with it at the end; the tests of a group come in the order of the beginnings of their ids.
# The first two have an Airflow each: with one for both, its tests, of which each waits for it, take all of the time.
GROUPS = {
    "standalone": (
        "tests/airflow/test_two_runs.py::test_all_are_started",
        "tests/airflow/test_standalone.py::test_all_are_started",
        "tests/airflow/test_fleet_standalone.py",
        "tests/airflow/test_standalone.py",
        "tests/airflow/test_two_runs.py",
        "tests/airflow/test_switchover_ended_in_triggerer.py",
    ),
    "killed workers": (
        "tests/airflow/test_killed_workers.py::test_each_worker_is_killed_at_its_step",
        "tests/airflow/test_killed_workers.py",
        "tests/airflow/test_killed_freeze.py",
    ),
    "examples": ("tests/airflow/test_examples.py",),
    "lab": ("tests/lab/test_kills.py",),
    "cutovers in the lab": ("tests/lab/",),
    "demo": ("tests/test_demo.py",),
    "keystone": ("tests/keystone/", "tests/test_keystone_harness.py"),
}

TOLD = pytest.StashKey[list[Exception]]()


def _group(nodeid: str) -> tuple[int, str]:
    """Return the place of a test in the order of all, and its group: that of its file where no other is named."""
    beginnings = [(name, begin) for name, all_of_it in GROUPS.items() for begin in all_of_it]
    found = [place for place, (_, begin) in enumerate(beginnings) if nodeid.startswith(begin)]
    if not found:
        return len(beginnings), nodeid.partition("::")[0]
    place = max(found, key=lambda place: len(beginnings[place][1]))
    return place, beginnings[place][0]


def keep_together(group: str, worker: str, place: Path) -> None:
    """Fail where another worker runs tests of this group: each of the two would make what they are to share.

    :param group: the name of the group.
    :param worker: the name of the worker of pytest-xdist that is about to run one of its tests.
    :param place: a folder that all workers share, where a link leads from the group to its worker.
    """
    assert group in GROUPS, f"name {group} in GROUPS of tests/conftest.py: it needs what a group shares"
    link = place / f"worker of {group}"
    with contextlib.suppress(FileExistsError):
        link.symlink_to(worker)
    assert str(link.readlink()) == worker, f"the group {group} is run by {link.readlink()}, and not by {worker}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the groups into their order."""
    items.sort(key=lambda item: _group(item.nodeid)[0])


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what collecting has left for good: all modules and thousands of tests.

    It reads them in each full collection otherwise, which costs more than most tests; what tests leave, it still finds.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Tell once why a shared fixture failed: the other tests that need it are skipped, as the run has failed anyway.

    pytest raises the exception that such a fixture has raised for each of them again.
    """
    told = item.session.stash.setdefault(TOLD, [])
    if "airflow" in getattr(item, "fixturenames", ()) and hasattr(item.config, "workerinput"):
        place = Path(item.config.option.basetemp).parent
        keep_together(_group(item.nodeid)[1], item.config.workerinput["workerid"], place)
    try:
        yield
    except Exception as error:
        if any(error is each for each in told):
            pytest.skip(f"what it needs has failed, as an earlier test tells: {type(error).__name__}")
        told.append(error)
        raise


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each group to one worker, in the order of the groups, with ``--dist loadgroup``.

    The scheduler of that name reads the group from the id of a test, into which pytest-xdist 3.8 cannot write it
    with pytest 9.2: without a word, every test is a group of its own then.
    """
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class GroupScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)[1]

    config.option.loadscopereorder = False
    return GroupScheduling(config, log) if config.getoption("dist") == "loadgroup" else None


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say how much of the package this run has covered, and where it has covered least.

    What the standalone Airflow and other processes run is not counted.
    """
    measured = Path(os.environ.get("SLIPCOVER_COVERAGE_DIR", ""), "merged.json")
    if hasattr(config, "workerinput") or not measured.is_file():
        return
    found = json.loads(measured.read_text())
    shutil.rmtree(measured.parent)
    worst = sorted((file["summary"]["percent_covered"], name) for name, file in found["files"].items())[:5]
    terminalreporter.write_sep("-", f"coverage: {found['summary']['percent_covered']:.1f} % of the lines")
    for percent, name in worst:
        terminalreporter.write_line(f"{percent:5.1f} %  {name}")


@pytest.fixture(autouse=True)
def _masked_secrets() -> Iterator[None]:
    """Let Airflow's mask forget the secrets of a test with the test.

    It makes one regular expression of all secrets it ever heard of, anew for each further one: without this, each
    test's password and tokens make all later tests slower.
    """
    yield
    for name in ("airflow._shared", "airflow.sdk._shared"):
        masks = sys.modules.get(f"{name}.secrets_masker.secrets_masker")
        if masks is not None:
            masks.reset_secrets_masker()
    hooks = sys.modules.get("airflow_provider_drs.hooks.drs")
    if hooks is not None:
        hooks._masked_tokens = 0  # type: ignore[attr-defined]  # a process masks only so many


@pytest.fixture
def drs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A simulated DRS that knows no job yet; the connection ``drs_default`` leads to it."""
    with Simulator() as simulator:
        monkeypatch.setenv("AIRFLOW_CONN_DRS_DEFAULT", json.dumps(simulator.connection()))
        yield simulator
        close_kept_clients()
