"""A cutover that proves itself: after the switchover the database must answer, or it is switched back.

The run fails if the cutover did, whatever came of switching back.
"""

from __future__ import annotations

import socket

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator

with DAG(
    dag_id="verified_cutover",
    schedule=None,
    params={
        "job_id": Param(type="string", title="DRS job", description="Of a cross-AZ task, the parent's id."),
        "mode": Param("target", enum=["source", "target"], title="Database whose virtual IP address to switch"),
        "max_lag": Param(0, type="number", minimum=0, title="Seconds the job may lag behind"),
        "host": Param(type="string", title="Virtual IP address", description="Where the database is to answer."),
        "port": Param(3306, type="integer", minimum=1, maximum=65535),
    },
    tags=["drs"],
) as dag:

    @task
    def database_answers(switchover, params=None):
        """Stand in for your own check, such as a query that writes; ``switchover`` is the evidence."""
        socket.create_connection((params["host"], params["port"]), timeout=10).close()

    switch_back = DrsSwitchoverOperator(
        task_id="switch_back",
        job_id="{{ params.job_id }}",
        mode="{{ 'source' if params.mode == 'target' else 'target' }}",
        deferrable=True,
    )

    cutover(
        job_id="{{ params.job_id }}",
        mode="{{ params.mode }}",
        max_lag="{{ params.max_lag }}",
        verify=database_answers,
        on_failure=switch_back,
        deferrable=True,
    )
