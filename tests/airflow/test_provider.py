"""What Airflow needs to find the provider, and what a DAG file pays for naming the sensor."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points, metadata

import pytest

HEAVY = ("requests", "aiohttp", "keystoneauth1", "urllib3", "airflow.triggers", "airflow_provider_drs.protocol.")


@pytest.mark.parametrize("module", ["sensors.drs", "hooks.drs", "links.drs"])
def test_a_dag_file_loads_nothing_that_needs_the_network(module: str) -> None:
    """Clients are imported when first used; ``docs/benchmarks.md`` has the milliseconds this saves."""
    code = (
        "import json, sys; from airflow.sdk import BaseSensorOperator; before = set(sys.modules)\n"
        f"import airflow_provider_drs.{module}\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert "airflow_provider_drs.hooks" in loaded or "airflow_provider_drs.links" in loaded
    assert not [name for name in loaded if name.startswith(HEAVY)]


def test_metadata_is_what_airflow_reads() -> None:
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    [point] = [x for x in entry_points(group="apache_airflow_provider") if x.value.startswith("airflow_provider_drs")]
    info = point.load()()
    assert info["package-name"] == metadata("airflow-provider-drs")["Name"]

    hook = ProvidersManagerTaskRuntime().hooks["drs"]
    assert hook is not None
    assert hook.hook_class_name == "airflow_provider_drs.hooks.drs.DrsHook"
    assert (hook.connection_id_attribute_name, hook.connection_type) == ("drs_conn_id", "drs")
