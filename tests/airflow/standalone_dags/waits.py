"""DAGs that the standalone Airflow of the tests runs; the job to wait for comes with the run."""

from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor

OPTIONS = {
    "deferred": {"deferrable": True, "poke_interval": 0.5},
    "poked": {"poke_interval": 0.5},
    # Airflow takes a task that is due again before its scheduler has seen the last process end for a lost one.
    "rescheduled": {"mode": "reschedule", "poke_interval": 6},
    "timed_out": {"deferrable": True, "timeout": timedelta(seconds=3), "retries": 2},
    "timed_out_softly": {"deferrable": True, "timeout": timedelta(seconds=3), "soft_fail": True},
}

for name, options in OPTIONS.items():
    with DAG(name, schedule=None, params={"job_id": Param(type="string")}, is_paused_upon_creation=False):
        DrsSwitchoverSensor(task_id="wait", job_id="{{ params.job_id }}", **options)
