"""Airflow's plugin: the page "DRS cutovers" under Browse (Airflow 3.1 and later), and the command ``airflow drs``.

Every process that loads plugins imports this module: what the page needs is loaded when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

PREFIX = "/drs"


class LazyApp:
    """An ASGI application that loads the page's own when the first request comes."""

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Hand the request on."""
        from airflow_provider_drs.cutovers.web import app  # 2 seconds, which a scheduler or a worker need not spend

        await app(scope, receive, send)


class DrsCutoversPlugin(AirflowPlugin):
    """The page and the data behind it; both only read."""

    name = "drs_cutovers"
    fastapi_apps = [{"app": LazyApp(), "url_prefix": PREFIX, "name": "DRS cutovers"}]  # noqa: RUF012 (as Airflow has it)
    react_apps = [  # noqa: RUF012
        {
            "name": "DRS cutovers",
            "bundle_url": "drs/app.js",  # relative, so that it is found below a base_url with a path
            "icon": "drs/icon.svg",
            "destination": "nav",
            "category": "browse",
            "url_route": "drs-cutovers",
        }
    ]
