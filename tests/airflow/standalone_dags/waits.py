"""DAGs that the standalone Airflow of the tests runs; the job to wait for comes with the run."""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, Param, task

from airflow_provider_drs.sensors.drs import DrsSwitchoverSensor


def say_so(context):
    print("a worker begins")


def called_back(context):
    print("called back")


def checked(context, result):
    print("checked after the end")


# With a default: Airflow's triggerer dies of a param without one when a task starts from it.
PARAMS = {"job_id": Param("", type="string")}

OPTIONS: dict[str, dict[str, Any]] = {
    "deferred": {"deferrable": True, "poke_interval": 0.5},
    "deferred_resumed": {"deferrable": True, "poke_interval": 0.5, "end_from_trigger": False},
    "deferred_called_back": {"deferrable": True, "poke_interval": 0.5, "on_success_callback": called_back},
    "deferred_with_outlet": {"deferrable": True, "poke_interval": 0.5, "outlets": [Asset("switched")]},
    "deferred_post_execute": {"deferrable": True, "poke_interval": 0.5, "post_execute": checked},
    "started_from_trigger": {"start_from_trigger": True, "poke_interval": 0.5},
    "started_called_back": {"start_from_trigger": True, "poke_interval": 0.5, "on_success_callback": called_back},
    "started_with_retries": {
        **{
            "start_from_trigger": True,
            "poke_interval": 0.5,
            "drs_conn_id": "{{ dag_run.conf.get('conn', 'drs_default') }}",
        },
        **{"retries": 1, "retry_delay": timedelta(0)},
    },
    "poked": {"poke_interval": 0.5},
    # Airflow takes a task that is due again before its scheduler has seen the last process end for a lost one.
    "rescheduled": {"mode": "reschedule", "poke_interval": 15},
    "timed_out": {"deferrable": True, "timeout": timedelta(seconds=15), "retries": 2},
    "timed_out_softly": {"deferrable": True, "timeout": timedelta(seconds=15), "soft_fail": True},
    "started_timed_out": {"start_from_trigger": True, "timeout": timedelta(seconds=15), "retries": 2},
}

for name, options in OPTIONS.items():
    with DAG(name, schedule=None, params=PARAMS, is_paused_upon_creation=False):
        DrsSwitchoverSensor(task_id="wait", job_id="{{ params.job_id }}", pre_execute=say_so, **options)

MAPPED_OVER: dict[str, dict[str, Any]] = {
    "mapped_over": {"deferrable": True},
    "started_mapped_over": {"start_from_trigger": True},
}

for name, options in MAPPED_OVER.items():
    with DAG(name, schedule=None, params=PARAMS, is_paused_upon_creation=False):
        wait = DrsSwitchoverSensor(task_id="wait", job_id="{{ params.job_id }}", poke_interval=0.5, **options)
        task(task_id="each")(lambda item: print(item)).expand(item=wait.output)

with DAG("mapped", schedule=None, params=PARAMS, is_paused_upon_creation=False):
    DrsSwitchoverSensor.partial(task_id="wait", start_from_trigger=True, poke_interval=0.5, pre_execute=say_so).expand(
        job_id=["{{ params.job_id }}"]
    )
