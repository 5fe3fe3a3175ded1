"""What ``airflow-drs doctor`` checks: from the connection to Airflow's settings. It changes nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import conf

from airflow_provider_drs import protocol

if TYPE_CHECKING:
    from airflow_provider_drs.hooks.drs import DrsHook

# Seconds; tokens, signatures and the freshness rule bear this much.
MAX_SKEW = 60.0


def check(hook: DrsHook, job_id: str | None = None) -> list[dict[str, Any]]:
    """Return what was found, in the order in which a fault of one explains those after it.

    :param hook: of the connection.
    :param job_id: a job to read, which shows the permission to do so.
    :return: ``{"check", "ok", "found"}`` of each check; ``ok`` is None for what cannot be told.
    """
    rows: list[dict[str, Any]] = []

    def add(name: str, ok: bool | None, found: object) -> bool:
        rows.append({"check": name, "ok": ok, "found": str(found)})
        return ok is not False

    def attempt(name: str, call: Callable[[], object]) -> bool:
        try:
            return add(name, True, call())
        except (protocol.DrsError, OSError) as error:
            return add(name, False, error)

    if attempt("connection", lambda: f"{hook.drs_conn_id} leads to {hook.settings.endpoint}"):
        parts = urlsplit(hook.settings.endpoint)
        attempt("name", lambda: _addresses(str(parts.hostname), parts.port or 443))
        # A log-in at IAM, TLS and one cheap call of DRS that needs a permission to read.
        if attempt("IAM and DRS", lambda: f"logged in; {hook.count_jobs()} synchronization jobs"):
            _add_clock(add, hook)
            if job_id:
                attempt("read a job", lambda: hook.get_switchover_status(job_id).status or "no switchover yet")
            add("switch", None, "whether this user may switch shows only when it does: DRS has no call that tells")
    _add_airflow(add)
    return rows


def _addresses(host: str, port: int) -> str:
    found = {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    return f"{host} is {', '.join(sorted(found))}"


def _add_clock(add: Callable[[str, bool | None, object], bool], hook: DrsHook) -> None:
    server = getattr(hook.get_conn(), "last_server_time", None)
    if server is None:
        add("clock", None, "DRS does not tell its time")
        return
    skew = time.time() - server
    add("clock", abs(skew) <= MAX_SKEW, f"this machine's clock is {skew:+.0f} s from DRS's")


def _add_airflow(add: Callable[[str, bool | None, object], bool]) -> None:
    deferrable = conf.getboolean("operators", "default_deferrable", fallback=False)
    add("default_deferrable", None, f"{deferrable}: waits run {'in the triggerer' if deferrable else 'on workers'}")
    clears = conf.getboolean("state_store", "clear_on_success", fallback=False)
    add(
        "clear_on_success",
        not clears,
        "records are kept" if not clears else "a cleared switchover finds no record and is unknown: set it to False",
    )
    add("triggerer", *_triggerers())


def _triggerers() -> tuple[bool | None, str]:
    try:
        # Airflow's models cost seconds, and need its database.
        from airflow_provider_drs.cutovers.database import triggerers_alive

        alive = triggerers_alive()
    except Exception as error:  # whatever a database that is not there raises
        return None, f"Airflow's database cannot be asked: {type(error).__name__}"
    return alive > 0, f"{alive} alive" if alive else "none is alive: a deferred wait does not go on"
