"""Runs the example DAG once, in this process: ``python -m demo.dag_run JOB_ID RESULT_FILE``.

Airflow logs to standard output. How the run ended goes into RESULT_FILE, see :class:`demo.timeline.Run`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from wait_for_switchover import dag


def main(job_id: str, result_file: str) -> None:
    """Run the DAG to its end, whatever that is, and write the result.

    :param job_id: the DAG's parameter.
    :param result_file: where the result goes, as JSON.
    """
    errors: list[str] = []
    dag.get_task("wait").on_failure_callback = [lambda context: errors.append(str(context["exception"]))]
    run = dag.test(run_conf={"job_id": job_id})
    tasks = {ti.task_id: ti for ti in run.get_task_instances()}
    result = {
        "run_id": run.run_id,
        "state": run.state,
        "started_at": run.start_date.timestamp(),
        "ended_at": run.end_date.timestamp(),
        "tasks": {task_id: ti.state for task_id, ti in tasks.items()},
        "xcom": tasks["wait"].xcom_pull(task_ids="wait"),
        "message": tasks["go_on"].xcom_pull(task_ids="go_on"),
        "error": errors[0] if errors else None,
    }
    Path(result_file).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
