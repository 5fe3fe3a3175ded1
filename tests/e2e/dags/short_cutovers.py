"""Cutovers with little beside the switchover."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_drs.cutover import cutover
from airflow_provider_drs.params import job_id_param, mode_param

for dag_id, approve in (("nightly_cutover", False), ("asked_cutover", True)):
    with DAG(dag_id=dag_id, schedule=None, params={"job_id": job_id_param(), "mode": mode_param()}):
        cutover(job_id="{{ params.job_id }}", mode="{{ params.mode }}", approve=approve, deferrable=True)
