"""The dry run of a switchover: what would be done, without doing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_drs.operators.driving import drive

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_drs.hooks.drs import DrsHook
    from airflow_provider_drs.protocol.polling import LogLine
    from airflow_provider_drs.protocol.switchover.switch import Order


def plan(order: Order, hook: DrsHook, log: Callable[[LogLine], None]) -> dict[str, Any]:
    """Read and judge as a switchover would, and change nothing.

    :param log: takes each line for the task's log.
    :return: ``{dry_run, job_id, mode, ready, guards, baseline, call: {method, url, body}}``; no call where a running
        switchover would be joined.
    :raises DrsError: DRS or IAM cannot be asked.
    """
    from airflow_provider_drs.protocol.http.request import Token
    from airflow_provider_drs.protocol.switchover.calls import switch_vip
    from airflow_provider_drs.protocol.switchover.switch import read

    client = hook.get_conn()
    record, joins = drive(read(order), client, log)
    call = switch_vip(order.job_id, order.mode)
    request = call.request(hook.settings.endpoint, Token("", client.project_id), hook.settings.language)
    return {
        "dry_run": True,
        "job_id": order.job_id,
        "mode": order.mode,
        "ready": all(guard["ok"] for guard in record.guards),
        "guards": record.guards,
        "baseline": record.baseline,
        "call": None if joins else {"method": request.method, "url": request.url, "body": dict(call.body or {})},
    }
