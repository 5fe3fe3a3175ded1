"""What Airflow needs to find the provider, and what a DAG file pays for naming the sensor."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points, metadata

import pytest

HEAVY = ("requests", "aiohttp", "keystoneauth1", "urllib3", "airflow.triggers", "airflow_provider_drs.protocol.")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("sensors.drs", "DrsSwitchoverSensor"),
        ("operators.drs", "DrsSwitchoverOperator"),
        ("hooks.drs", "DrsHook"),
        ("links.drs", "DrsConsoleLink"),
    ],
)
def test_a_dag_file_loads_nothing_that_needs_the_network(module: str, name: str) -> None:
    """Clients are imported when first used; ``docs/benchmarks.md`` has the milliseconds this saves."""
    code = (
        "import json, sys; from airflow.sdk import BaseSensorOperator; before = set(sys.modules)\n"
        f"from airflow_provider_drs.{module} import {name}\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert "airflow_provider_drs.hooks" in loaded or "airflow_provider_drs.links" in loaded
    assert not [module for module in loaded if module.startswith(HEAVY)]


@pytest.mark.parametrize(
    ("module", "name", "kind"),
    [
        ("sensors.drs", "DrsSwitchoverSensor", "switchover"),
        ("operators.drs", "DrsStopJobOperator", "jobs"),
        ("operators.drs", "DrsCompareOperator", "compare"),
    ],
)
def test_a_dag_file_loads_the_kind_of_task_that_it_names(module: str, name: str, kind: str) -> None:
    kinds = {"downtime", "compare", "switchover", "jobs"}
    code = (
        f"import sys\nfrom airflow_provider_drs.{module} import {name}\n"
        "print(*[m for m in sys.modules if m.startswith('airflow_provider_drs.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    folder = f"airflow_provider_drs.{module.partition('.')[0]}."
    loaded = {m.removeprefix(folder) for m in done.stdout.split() if m.startswith(folder)} & kinds
    assert loaded == {kind}


def test_a_dag_file_with_a_sensor_loads_nothing_that_only_its_run_needs() -> None:
    code = (
        "import sys\nfrom airflow_provider_drs.sensors.drs import DrsSwitchoverSensor\n"
        "print(*[m for m in sys.modules if m.startswith('airflow_provider_drs.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {m.removeprefix("airflow_provider_drs.") for m in done.stdout.split()}
    assert "running" in loaded
    assert loaded.isdisjoint({"clients", "exceptions", "hooks.drs", "metrics", "triggers.without_worker", "versions"})


def test_metadata_is_what_airflow_reads() -> None:
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    [point] = [x for x in entry_points(group="apache_airflow_provider") if x.value.startswith("airflow_provider_drs")]
    info = point.load()()
    assert info["package-name"] == metadata("airflow-provider-drs")["Name"]

    hook = ProvidersManagerTaskRuntime().hooks["drs"]
    assert hook is not None
    assert hook.hook_class_name == "airflow_provider_drs.hooks.drs.DrsHook"
    assert (hook.connection_id_attribute_name, hook.connection_type) == ("drs_conn_id", "drs")
