"""Params for the trigger forms of DAGs that switch: what can be typed in, in DRS's words."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import Param

EXAMPLE_JOB = "260e27fd-4976-44dc-9948-e1265e4jb201"
# What can be an id at all; one of a job that does not exist is told by DRS.
_JOB_ID = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9_-]+$"}
# DRS documents whose address is switched. It does not document which database serves afterwards.
_MODES = {
    "source": "source: the virtual IP address of the source database",
    "target": "target: the virtual IP address of the destination database",
}


def job_id_param(**more: Any) -> Param:
    """Return the Param of a job id. It has no default, and nothing blank can be typed in.

    :param more: other or further keywords of ``Param``.
    """
    return Param(**_filled("DRS job", _JOB_WHERE, {**_JOB_ID, "examples": [EXAMPLE_JOB]}, more))


def job_ids_param(**more: Any) -> Param:
    """Return the Param of several job ids, one a line; as :func:`job_id_param`."""
    schema = {"type": "array", "items": _JOB_ID, "minItems": 1, "uniqueItems": True}
    return Param(**_filled("DRS jobs, one id a line", _JOB_WHERE, schema, more))


def mode_param(default: str | None = None, **more: Any) -> Param:
    """Return the Param of a mode: which database's virtual IP address to switch.

    :param default: ``source`` or ``target``; None: whoever triggers the run has to choose.
    :param more: other or further keywords of ``Param``.
    """
    schema: dict[str, Any] = {"type": "string", "enum": list(_MODES), "values_display": _MODES}
    if default is not None:
        schema["default"] = default
    title = "Database whose virtual IP address to switch"
    return Param(**_filled(title, "DRS does not document which database serves afterwards.", schema, more))


def max_lag_param(default: float = 0, **more: Any) -> Param:
    """Return the Param of a limit of the lag.

    :param default: seconds.
    :param more: other or further keywords of ``Param``.
    """
    text = "The switchover is not asked for while the destination database is further behind. 0: not at all."
    schema = {"default": default, "type": "number", "minimum": 0}
    return Param(**_filled("Seconds the job may lag behind", text, schema, more))


def dry_run_param(**more: Any) -> Param:
    """Return the Param of a dry run, which is off unless it is chosen.

    :param more: other or further keywords of ``Param``.
    """
    text = "Reads the guards, shows the call that would be made, and switches nothing."
    return Param(**_filled("Dry run", text, {"default": False, "type": "boolean"}, more))


def mode_in_words(mode: str) -> str:
    """Return a mode in DRS's words; a mode that is none as it is."""
    return _MODES.get(mode, mode)


_JOB_WHERE = f"As the DRS console shows it, such as {EXAMPLE_JOB}. Of a cross-AZ job, the parent's id."


def _filled(title: str, description: str, schema: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "description": description, **schema, **more}
