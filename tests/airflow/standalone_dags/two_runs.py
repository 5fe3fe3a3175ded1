"""DAGs of which two runs are started together, each kept apart by another means."""

from typing import Any

from airflow.sdk import DAG, Param

from airflow_provider_drs.operators.drs import DrsSwitchoverOperator

# The pool has one slot, and counts deferred tasks.
APART: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "max_active_runs": ({"max_active_runs": 1}, {}),
    "pool": ({}, {"pool": "switchovers"}),
    "max_active_tis_per_dag": ({}, {"max_active_tis_per_dag": 1}),
}

for name, (of_dag, of_task) in APART.items():
    for way in ("poke", "deferrable"):
        with DAG(
            f"two_runs_{name}_{way}",
            schedule=None,
            params={"job_id": Param(type="string")},
            is_paused_upon_creation=False,
            **of_dag,
        ):
            DrsSwitchoverOperator(
                task_id="switch",
                job_id="{{ params.job_id }}",
                mode="target",
                deferrable=way == "deferrable",
                poll_interval=1,
                settle=None,
                **of_task,
            )
