"""A DAG that DRS starts: each time a switchover of the watched job ends, whoever has asked for it.

If a run stops, the runbook says what each message means and what to do: `airflow-drs docs runbook`.
"""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG, Asset, task
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_drs.triggers.events import DrsSwitchoverEventTrigger

# Watched from when the file is read, so that no parameter of a run can name it.
JOB_ID = os.environ.get("WATCHED_DRS_JOB", "260e27fd-4976-44dc-9948-e1265e4jb201")

# Assets are watched from Airflow 3.0 on; before, there is no such DAG.
if AIRFLOW_V_3_0_PLUS:
    from airflow.sdk import AssetWatcher

    switchover = Asset(
        "switchover_of_orders",
        watchers=[AssetWatcher(name="drs", trigger=DrsSwitchoverEventTrigger(job_id=JOB_ID))],
    )

    with DAG(
        dag_id="event_driven",
        schedule=[switchover],
        max_active_runs=1,  # one end is told after the other
        default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
        doc_md=__doc__,
        tags=["drs"],
    ) as dag:

        @task
        def tell(triggering_asset_events=None):
            """Stand in for your own next step."""
            extras = [event.extra or {} for events in triggering_asset_events.values() for event in events]
            # An event that a person made by hand has no payload: it says nothing about a switchover.
            ended = [extra["payload"] for extra in extras if "payload" in extra]
            for end in ended:
                print(f"Job {end['job_id']}: switchover {end['outcome']}, seen at {end['seen_at']}")
            return ended

        tell()
