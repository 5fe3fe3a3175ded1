"""The DAGs under whose names the tests run sensors of their own: Airflow runs none it does not find in a file."""

from airflow.sdk import DAG, BaseOperator

for mode in ("poke", "reschedule", "deferrable"):
    with DAG(f"wait_{mode}", schedule=None):
        BaseOperator(task_id="wait")
