"""The clients: tokens from keystoneauth1, calls over requests or aiohttp. Private to this package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_drs.lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_drs.clients.async_client import *
    from airflow_provider_drs.clients.cloud import *
    from airflow_provider_drs.clients.credentials import *
    from airflow_provider_drs.clients.polling.streams import *
    from airflow_provider_drs.clients.sharing import *
    from airflow_provider_drs.clients.sync_client import *
    from airflow_provider_drs.clients.tokens import *

# The names by the module that has them.
__getattr__ = lazy_names(
    __name__,
    {
        "async_client": "AsyncDrsClient",
        "cloud": "read_cloud",
        "credentials": "secrets_of",
        "polling.streams": "PollStreams",
        "sharing": "shared",
        "sync_client": "DrsClient kept_client",
        "tokens": "token_source TokenSource",
    },
)
