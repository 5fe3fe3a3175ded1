"""The hook: from an Airflow connection of type ``drs`` to a client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_drs.clients.polling.streams import PollStreams
    from airflow_provider_drs.clients.sync_client import DrsClient
    from airflow_provider_drs.clients.tokens import TokenSource
    from airflow_provider_drs.protocol.settings import Settings
    from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply

# What needs the network is imported where it is used: a DAG file that names the sensor must load in no time.


class DrsHook(BaseHook):
    """Talks to DRS with an Airflow connection of type ``drs``; ``docs/connection.md`` describes its fields.

    :param drs_conn_id: id of the connection.
    :param project_id: project to work in, instead of the connection's.
    """

    conn_name_attr = "drs_conn_id"
    default_conn_name = "drs_default"
    conn_type = "drs"
    hook_name = "DRS (Data Replication Service)"

    def __init__(self, drs_conn_id: str = default_conn_name, project_id: str | None = None) -> None:
        super().__init__()
        self.drs_conn_id = drs_conn_id
        self.project_id = project_id
        self._settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        """The connection, checked and with its defaults filled in; its secrets are masked in logs from here on.

        :raises DrsConfigError: the connection does not exist, or a field is missing or malformed.
        """
        if self._settings is None:
            from airflow.providers.common.compat.sdk import AirflowNotFoundException

            try:
                connection = self.get_connection(self.drs_conn_id)
            except AirflowNotFoundException as error:
                raise _no_connection(self.drs_conn_id) from error
            self._settings = _settings(connection, connection.extra_dejson, self.drs_conn_id, self.project_id)
        return self._settings

    def get_conn(self) -> DrsClient:
        """Return the client of this connection: one per process, its token and its TLS connection kept.

        :raises DrsConfigError: as :attr:`settings`.
        """
        from airflow_provider_drs.clients.sync_client import kept_client
        from airflow_provider_drs.metrics import metrics

        return kept_client(self.settings, _tokens(self.settings), metrics())

    def get_switchover_status(self, job_id: str) -> SwitchoverReply:
        """Ask once how the switchover of ``job_id`` stands.

        DRS API, "Querying the Switchover Result".

        :return: the reply with ``job_id``, ``status`` (None: no switchover yet), ``error_code``, ``error_msg``.
        :raises DrsError: a bad argument, a bad connection, or whatever DRS or IAM answered instead.
        """
        from airflow_provider_drs.protocol.switchover.calls import get_switchover_status

        return self.get_conn().call(get_switchover_status(job_id))

    def test_connection(self) -> tuple[bool, str]:
        """Get a token and make one cheap DRS call that needs it; for the "Test" button.

        :return: whether it works, and one sentence that says what is wrong.
        """
        from airflow_provider_drs.protocol.errors import DrsError
        from airflow_provider_drs.protocol.jobs.calls import list_one_job

        try:
            jobs = self.get_conn().call(list_one_job())
        except DrsError as error:
            return False, str(error)
        return True, f"Logged in at IAM, DRS at {self.settings.endpoint} answers: {jobs} synchronization task(s)"

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the standard fields of the connection form look (Airflow before 3.2)."""
        from airflow_provider_drs.get_provider_info import UI_FIELD_BEHAVIOUR

        return {key.replace("-", "_"): value for key, value in UI_FIELD_BEHAVIOUR.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's fields of our own (Airflow before 3.2)."""
        from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
        from flask_babel import lazy_gettext
        from wtforms import PasswordField, StringField

        from airflow_provider_drs.get_provider_info import CONNECTION_FIELDS

        widgets = {}
        for name, spec in CONNECTION_FIELDS.items():
            secret = spec["schema"].get("format") == "password"
            make, widget = (PasswordField, BS3PasswordFieldWidget) if secret else (StringField, BS3TextFieldWidget)
            widgets[name] = make(lazy_gettext(spec["label"]), widget=widget(), description=spec["description"])
        return widgets


@asynccontextmanager
async def shared_polls(drs_conn_id: str, project_id: str | None = None) -> AsyncIterator[PollStreams]:
    """Lend what all triggers of this event loop share for one connection and project: client, polls, limits.

    :raises DrsConfigError: as :attr:`DrsHook.settings`.
    """
    from asgiref.sync import sync_to_async

    from airflow_provider_drs.clients.async_client import AsyncDrsClient
    from airflow_provider_drs.clients.polling.streams import PollStreams
    from airflow_provider_drs.clients.sharing import shared
    from airflow_provider_drs.metrics import metrics

    async def make() -> PollStreams:
        from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
        from airflow.providers.common.compat.sdk import AirflowNotFoundException

        try:
            connection = await get_async_connection(drs_conn_id)
        except AirflowNotFoundException as error:
            raise _no_connection(drs_conn_id) from error
        extra = await get_async_extra_dejson(connection)

        def prepare() -> tuple[Settings, TokenSource]:
            settings = _settings(connection, extra, drs_conn_id, project_id)
            return settings, _tokens(settings)

        # Masking tells Airflow's supervisor, which from this loop would block it.
        settings, tokens = await sync_to_async(prepare)()
        client = AsyncDrsClient(settings, tokens, lambda get: sync_to_async(get, thread_sensitive=False)(), metrics())
        return PollStreams(client, metrics())

    async with shared((drs_conn_id, project_id), make) as polls:
        yield polls


def _settings(connection: Connection, extra: object, conn_id: str, project_id: str | None) -> Settings:
    from airflow_provider_drs.protocol.settings import read_settings

    if connection.password:
        _mask(connection.password)
    if extra == {} and (connection.extra or "").strip() not in ("", "{}"):
        extra = [connection.extra]  # Airflow reads what is no JSON as {}; the user is to know why nothing is set
    settings = read_settings(
        conn_id,
        host=connection.host,
        port=connection.port,
        login=connection.login,
        password=connection.password,
        extra=extra,
    ).for_project(project_id)
    if settings.token:
        _mask(settings.token)
    return settings


def _tokens(settings: Settings) -> TokenSource:
    from airflow_provider_drs.clients.tokens import token_source
    from airflow_provider_drs.protocol.errors import DrsConfigError
    from airflow_provider_drs.protocol.settings import error_context

    try:
        return token_source(settings, _new_token)
    except DrsConfigError as error:
        raise error.with_context(error_context(settings.conn_id)) from None


def _no_connection(conn_id: str) -> Exception:
    from airflow_provider_drs.protocol.errors import DrsConfigError
    from airflow_provider_drs.protocol.settings import error_context

    return DrsConfigError(
        "it is not defined. Create it (type DRS) or set AIRFLOW_CONN_...; docs/connection.md has its fields",
        error_context=error_context(conn_id),
    )


def _new_token(token: str) -> None:
    from airflow_provider_drs.metrics import metrics

    _mask(token)
    metrics().renewed()


def _mask(secret: str) -> None:
    from airflow.providers.common.compat.sdk import mask_secret

    mask_secret(secret)
