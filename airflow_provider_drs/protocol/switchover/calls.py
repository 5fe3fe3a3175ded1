"""The two calls about a switchover: ask for its result, and ask for one."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from airflow_provider_drs.protocol.errors import DrsArgumentError, DrsInvalidResponseError, DrsRequestError, one_line
from airflow_provider_drs.protocol.http.request import Call, checked_job_id, describe_job
from airflow_provider_drs.protocol.http.response import JsonObject, compare_text, display_text
from airflow_provider_drs.protocol.switchover.status import unambiguous_status

MODES = ("source", "target")


@dataclass(frozen=True)
class SwitchoverReply:
    """The reply to ``get-switch-vip-status``.

    :param job_id: the job the response is about, None where it does not say.
    :param status: the status as sent, None where there is none (no switchover yet); see ``unambiguous_status``.
    :param error_code: why a switchover failed.
    :param error_msg: the same in words.
    """

    job_id: str | None
    status: str | None
    error_code: str | None = None
    error_msg: str | None = None


def get_switchover_status(job_id: str) -> Call[SwitchoverReply]:
    """Ask for the result of a switchover of virtual IP addresses.

    DRS API, "Querying the Switchover Result": ``GET /v3/{project_id}/jobs/{job_id}/get-switch-vip-status``.

    :raises DrsArgumentError: ``job_id`` cannot be one.
    """
    path = f"/{quote(checked_job_id(job_id), safe='')}/get-switch-vip-status"
    nothing_yet = SwitchoverReply(job_id=None, status=None)
    return Call("get-switch-vip-status", describe_job(job_id), "GET", path, switchover_reply, when_empty=nothing_yet)


def switch_vip(job_id: str, mode: str) -> Call[str | None]:
    """Switch the virtual IP address of the source or the destination database. The one call that must not go out twice.

    DRS API, "Switching Dual Virtual IP Addresses": ``POST /v3/{project_id}/jobs/{job_id}/switch-vip``. The reply is the
    id of the job.

    :raises DrsArgumentError: ``job_id`` or ``mode`` cannot be one.
    """
    if mode not in MODES:
        raise DrsArgumentError(f"mode must be 'source' or 'target', not {one_line(repr(mode), 80)}")
    path = f"/{quote(checked_job_id(job_id), safe='')}/switch-vip"
    return Call("switch-vip", describe_job(job_id), "POST", path, switch_reply, {"mode": mode}, at_most_once=True)


def switchover_reply(body: JsonObject) -> SwitchoverReply:
    """Read the response to ``get-switch-vip-status``; see "Querying the Switchover Result", table 3."""
    code = display_text(body.get("error_code"))
    return SwitchoverReply(
        job_id=compare_text(body.get("id")),
        status=unambiguous_status(compare_text(body.get("status")), code),
        error_code=code,
        error_msg=display_text(body.get("error_msg")) or display_text(body.get("error_message")),
    )


def switch_reply(body: JsonObject) -> str | None:
    """Read the response to ``switch-vip``: the id of the job it is about, once DRS says that it accepts.

    :raises DrsRequestError: DRS refuses without a code; a refusal with a code is raised before this is called.
    :raises DrsInvalidResponseError: it says neither, so that what it did is not known.
    """
    status = body.get("status")
    if status == "success":
        return compare_text(body.get("id"))
    if status == "failed":
        raise DrsRequestError("DRS refuses the switchover without a reason")
    raise DrsInvalidResponseError(f"DRS responded to the switchover with the status {display_text(status)!r}")
