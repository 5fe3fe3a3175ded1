"""Instruments that count, in the process that is measured: they change nothing but what is written down."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import MutableMapping
from typing import Any, NoReturn


def count_lookups() -> list[str]:
    """Return a list that grows with the id of each connection that is looked up."""
    from airflow.providers.common.compat import connection

    from airflow_provider_drs.triggers import shared

    asked: list[str] = []
    look_up = connection.get_async_connection

    async def counted(conn_id: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(conn_id)
        return await look_up(conn_id, *args, **kwargs)

    connection.get_async_connection = shared.get_async_connection = counted
    return asked


def capture_log_lines() -> list[tuple[float, str]]:
    """Return a list that grows with each log line from level INFO on, by structlog or by logging, and its time."""
    import airflow.triggers.base  # noqa: F401 - sets up logging, and would replace what is set up before
    import structlog

    lines: list[tuple[float, str]] = []

    def note(logger: Any, level: str, event: MutableMapping[str, Any]) -> NoReturn:
        lines.append((time.time(), f"{level.upper()} {logger.name}: {event.get('event')}"))
        raise structlog.DropEvent

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append((time.time(), f"{record.levelname} {record.name}: {record.getMessage()}"))

    structlog.configure(
        processors=[structlog.stdlib.PositionalArgumentsFormatter(), note],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.stdlib.LoggerFactory(),  # its loggers have names
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.INFO, handlers=[Handler()], force=True)
    return lines


def count_connects(port: int) -> list[float]:
    """Return a list that grows with the time of each attempt to connect to ``port``.

    A port that refuses sees nothing of the attempts, so that they are counted where they begin.
    """
    attempts: list[float] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            address = arguments[1]
            if isinstance(address, tuple) and address[1] == port:
                attempts.append(time.time())

    sys.addaudithook(hook)
    return attempts
