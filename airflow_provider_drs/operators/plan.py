"""What a switchover would do: ``dry_run`` of the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_drs import protocol

if TYPE_CHECKING:
    from airflow_provider_drs.operators.task_state import RecordingRuntime


def plan(request: protocol.SwitchoverRequest, runtime: RecordingRuntime) -> dict[str, Any]:
    """Read and judge as a switchover would, and change nothing.

    :return: ``{dry_run, job_id, mode, ready, guards, baseline, call: {method, url, body}}``; no call where a running
        switchover would be joined.
    :raises DrsError: DRS or IAM cannot be asked.
    """
    record = request.new_record(runtime.now(), [])
    joins = protocol.read_and_guard(request, record, runtime)
    call = protocol.switch_vip(request.job_id, request.mode)
    hook = runtime.hook
    http = call.request(hook.settings.endpoint, protocol.Token("", hook.get_conn().project_id), hook.settings.language)
    return {
        "dry_run": True,
        "job_id": request.job_id,
        "mode": request.mode,
        "ready": all(guard["ok"] for guard in record.guards),
        "guards": record.guards,
        "baseline": record.baseline,
        "call": None if joins else {"method": http.method, "url": http.url, "body": dict(call.body or {})},
    }
