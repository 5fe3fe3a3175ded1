"""The smallest wait, from nothing but an installed wheel: one sensor, one simulated switchover, one run."""

import json
import os
from pathlib import Path

from airflow.sdk import DAG

import airflow_provider_drs
from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor
from airflow_provider_drs.simulator import Job, Simulator

JOB = "260e27fd-4976-44dc-9948-e1265e4jb201"

with DAG("smallest", schedule=None) as dag:
    DrsSwitchoverSensor(task_id="wait", job_id=JOB, poke_interval=1)


def main() -> str:
    """Run the DAG; return the state of its run."""
    # It sets up a database, which the file of a DAG does not need.
    from airflow.utils.db import initdb

    with Simulator(jobs=[Job(JOB, status_script=["SWITCH_VIP_START", "SWITCH_VIP_COMPLETE"])]) as simulator:
        os.environ["AIRFLOW_CONN_DRS_DEFAULT"] = json.dumps(simulator.connection())
        initdb()
        return str(dag.test().state)


# Airflow reads this file again, from its DAGs folder.
if __name__ == "__main__":
    if "AIRFLOW__CORE__DAGS_FOLDER" not in os.environ:
        raise SystemExit(f"set AIRFLOW__CORE__DAGS_FOLDER to {Path(__file__).parent}")
    state = main()
    print(f"{airflow_provider_drs.__file__}: {state}")
    raise SystemExit(state != "success")
