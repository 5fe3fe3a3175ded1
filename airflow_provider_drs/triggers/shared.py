"""What all triggers of an event loop share for one connection and project: the client, the polls, their limits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from asgiref.sync import sync_to_async

from airflow_provider_drs import clients, protocol
from airflow_provider_drs.hooks.drs import no_connection, settings_of, tokens_of
from airflow_provider_drs.metrics import metrics


@asynccontextmanager
async def shared_polls(drs_conn_id: str, project_id: str | None = None) -> AsyncIterator[clients.PollStreams]:
    """Lend what all triggers of this event loop share for one connection and project: client, polls, limits.

    :raises DrsConfigError: as :attr:`DrsHook.settings`.
    :raises DrsUnreachableError: Airflow does not tell the connection now.
    """

    async def make() -> clients.PollStreams:
        protocol.given("drs_conn_id", drs_conn_id)
        try:
            connection = await get_async_connection(drs_conn_id)
            extra = await get_async_extra_dejson(connection)
        except AirflowNotFoundException as error:
            raise no_connection(drs_conn_id) from error
        except Exception as error:  # whatever Airflow raises while its API server or its secrets backend is away
            raise protocol.DrsUnreachableError(
                f"Airflow does not tell what this connection holds: {type(error).__name__}",
                error_context=protocol.error_context(drs_conn_id),
            ) from error

        def prepare() -> tuple[protocol.Settings, clients.TokenSource]:
            settings = settings_of(connection, extra, drs_conn_id, project_id)
            return settings, tokens_of(settings)

        # Masking tells Airflow's supervisor, which from this loop would block it.
        settings, tokens = await sync_to_async(prepare)()
        client = clients.AsyncDrsClient(
            settings, tokens, lambda get: sync_to_async(get, thread_sensitive=False)(), metrics()
        )
        return clients.PollStreams(client, metrics())

    async with clients.shared((drs_conn_id, project_id), make) as polls:
        yield polls
