"""The hook: from an Airflow connection of type ``drs`` to a client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, mask_secret
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_drs import clients, protocol
from airflow_provider_drs.get_provider_info import FORM_FIELDS, UI_FIELD_BEHAVIOUR
from airflow_provider_drs.metrics import metrics
from airflow_provider_drs.pages import see
from airflow_provider_drs.running import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection


class DrsHook(BaseHook):
    """Talks to DRS with an Airflow connection of type ``drs``; ``docs/connection.md`` describes its fields.

    :param drs_conn_id: id of the connection.
    :param project_id: project to work in, instead of the connection's.
    """

    conn_name_attr = "drs_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = "drs"
    hook_name = "DRS (Data Replication Service)"

    def __init__(self, drs_conn_id: str = default_conn_name, project_id: str | None = None) -> None:
        super().__init__()
        self.drs_conn_id = drs_conn_id
        self.project_id = project_id
        self._settings: protocol.Settings | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what may be copied to another process: the connection is read anew there, its secrets stay here."""
        return {**self.__dict__, "_settings": None}

    @property
    def settings(self) -> protocol.Settings:
        """The connection, checked and with its defaults filled in; its secrets are masked in logs from here on.

        :raises DrsConfigError: the connection does not exist, or a field is missing or malformed.
        :raises DrsArgumentError: no connection is named.
        """
        if self._settings is None:
            protocol.given("drs_conn_id", self.drs_conn_id)
            try:
                connection = self.get_connection(self.drs_conn_id)
            except AirflowNotFoundException as error:
                raise no_connection(self.drs_conn_id) from error
            self._settings = settings_of(connection, connection.extra_dejson, self.drs_conn_id, self.project_id)
        return self._settings

    def read_anew(self) -> bool:
        """Read the connection again, as when IAM has refused the log-in; tell whether it has changed."""
        before = self._settings
        self._settings = None
        try:
            return self.settings != before
        except Exception:  # whatever Airflow raises: what IAM said before is what counts
            self._settings = before
            return False

    def get_conn(self) -> clients.DrsClient:
        """Return the client of this connection: one per process, its token and its TLS connection kept.

        :raises DrsConfigError: as :attr:`settings`.
        """
        return clients.kept_client(self.settings, tokens_of(self.settings), metrics())

    def get_switchover_status(self, job_id: str) -> protocol.SwitchoverReply:
        """Ask once how the switchover of ``job_id`` stands.

        DRS API, "Querying the Switchover Result".

        :return: the reply with ``job_id``, ``status`` (None: no switchover yet), ``error_code``, ``error_msg``.
        :raises DrsError: a bad argument, a bad connection, or what DRS or IAM sent instead.
        """
        return self.get_conn().call(protocol.get_switchover_status(job_id))

    def switch_vip(self, job_id: str, mode: str) -> str | None:
        """Ask once for a switchover, without guards and without a record: ``DrsSwitchoverOperator`` has both.

        DRS API, "Switching Dual Virtual IP Addresses".

        :param mode: ``source`` or ``target``: which database's virtual IP address to switch.
        :return: the id of the job whose switchover DRS has accepted, None where the response names none.
        :raises DrsError: as :meth:`get_switchover_status`; it does not say that nothing was changed.
        """
        return self.get_conn().call(protocol.switch_vip(job_id, mode))

    def get_job_statuses(self, job_ids: Sequence[str]) -> dict[str, protocol.JobState]:
        """Ask for the status of up to 100 jobs.

        DRS API, "Querying Task Statuses".

        :return: by job id, ``job_id``, ``status``, ``error_code`` and ``error_msg`` of each job that DRS lists.
        :raises DrsError: as :meth:`get_switchover_status`.
        """
        return self.get_conn().call(protocol.batch_status(job_ids))

    def get_job_progress(self, job_ids: Sequence[str]) -> dict[str, protocol.JobProgress]:
        """Ask for progress and lag of up to 100 jobs.

        DRS API, "Querying the Task Progress".

        :return: by job id, ``lag`` in seconds (None: not known), ``transfer_status``, ``progress`` in percent, ...
        :raises DrsError: as :meth:`get_switchover_status`.
        """
        return self.get_conn().call(protocol.batch_progress(job_ids))

    def get_job_details(self, job_ids: Sequence[str]) -> dict[str, protocol.JobDetail]:
        """Ask for the databases of up to 100 jobs.

        DRS API, "Querying Task Details in Batches".

        :return: by job id, ``source`` and ``target`` (None: not told), each with ``db_type``, ``address``, ``port`` and
            ``instance``.
        :raises DrsError: as :meth:`get_switchover_status`.
        """
        return self.get_conn().call(protocol.batch_detail(job_ids))

    def start_jobs(self, job_ids: Sequence[str]) -> dict[str, protocol.JobResult]:
        """Start jobs. DRS API, "Starting Tasks in Batches".

        :return: by job id, whether DRS accepts (``ok``), else ``error_code`` and ``error_msg``.
        :raises DrsError: as :meth:`get_switchover_status`.
        """
        return self.get_conn().call(protocol.start_jobs(job_ids))

    def pause_jobs(self, job_ids: Sequence[str], mode: str = "target") -> dict[str, protocol.JobResult]:
        """Pause jobs. DRS API, "Pausing Tasks in Batches".

        :param mode: ``target``: stop writing to the target, go on reading the log; ``all``: stop both.
        :return: as :meth:`start_jobs`.
        :raises DrsError: as :meth:`get_switchover_status`.
        """
        return self.get_conn().call(protocol.pause_jobs(job_ids, mode))

    def resume_jobs(self, job_ids: Sequence[str], is_sync_re_edit: bool | None = None) -> dict[str, protocol.JobResult]:
        """Resume paused jobs, retry failed ones. DRS API, "Resuming Tasks in Batches".

        :param is_sync_re_edit: True after the objects of a synchronization were edited; None: do not send it.
        :return: as :meth:`start_jobs`.
        :raises DrsError: as :meth:`get_switchover_status`.
        """
        return self.get_conn().call(protocol.resume_jobs(job_ids, is_sync_re_edit))

    def stop_jobs(self, job_ids: Sequence[str], force: bool = False) -> dict[str, protocol.JobResult]:
        """End jobs for good; they cannot be started again. DRS API, "Stopping or Deleting Tasks in Batches".

        :param force: do not wait for the job's own end.
        :return: as :meth:`start_jobs`.
        :raises DrsError: as :meth:`get_switchover_status`.
        """
        return self.get_conn().call(protocol.stop_jobs(job_ids, force))

    def create_comparison(
        self,
        job_id: str,
        compare: str,
        conflict_policy: str = "cancel",
        tables: Mapping[str, list[str]] | None = None,
        compare_mode: str | None = None,
    ) -> str:
        """Create a comparison of source and target. DRS API, "Creating a Comparison Task".

        :param compare: ``objects``, ``lines`` or ``contents``.
        :param conflict_policy: where a comparison of the job's data is running: ``cancel`` that one, or ``keep`` it.
        :param tables: what to compare, tables by database, an empty list for all of a database: for ``lines`` and
            ``contents``.
        :param compare_mode: ``quick_comparison`` needs no ``tables``; for accounts that DRS has listed for it.
        :return: the id of the comparison.
        :raises DrsError: as :meth:`get_switchover_status`.
        """
        return self.get_conn().call(
            protocol.create_compare_task(
                job_id, compare, conflict_policy=conflict_policy, tables=tables, compare_mode=compare_mode
            )
        )

    def get_comparison(self, job_id: str, compare: str, compare_id: str, page: int = 1) -> protocol.ComparePage:
        """Ask how a comparison stands and what it found. DRS API, "Querying Comparison Results".

        :param page: which page of the results, from 1.
        :return: the page: ``status``, ``items``, ``differing``, ``more``.
        :raises DrsError: as :meth:`get_switchover_status`.
        """
        return self.get_conn().call(protocol.query_compare_result(job_id, compare, compare_id, page))

    def count_jobs(self) -> int:
        """Return how many synchronization jobs the project has: the cheapest call. DRS API, "Querying the Task List".

        :raises DrsError: as :meth:`get_switchover_status`.
        """
        return self.get_conn().call(protocol.list_one_job())

    def list_jobs(self, use: str = "sync", engine: str | None = None) -> list[protocol.JobSummary]:
        """Return all jobs of one use. DRS API, "Querying the Task List".

        :param use: ``migration``, ``sync`` or ``cloudDataGuard``.
        :param engine: such as ``mysql``; None: DRS's own default, which is ``mysql`` at Open Telekom Cloud.
        :raises DrsError: as :meth:`get_switchover_status`.
        """
        found: dict[str, protocol.JobSummary] = {}
        for page in count(1):
            jobs = self.get_conn().call(protocol.list_jobs(use, page, engine))
            new = {job.job_id: job for job in jobs if job.job_id not in found}
            found |= new
            if not new:  # the pages are over, or come again for ever
                break
        return list(found.values())

    def test_connection(self) -> tuple[bool, str]:
        """Log in and make one cheap DRS call; for the "Test" button.

        :return: whether it works, and one sentence that says what is wrong. It does not name the connection: Airflow
            tests what stands in the form under an id that is made up.
        """
        try:
            tokens_of(self.settings).check()
            jobs = self.count_jobs()
        except protocol.DrsError as error:
            return False, str(protocol.DrsError.from_dict({**error.to_dict(), "where": ""}))
        return True, f"Logged in at IAM, DRS at {self.settings.endpoint} responds: {jobs} synchronization job(s)"

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the standard fields of the connection form look (Airflow before 3.2)."""
        return {key.replace("-", "_"): value for key, value in UI_FIELD_BEHAVIOUR.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's fields of our own (Airflow before 3.2)."""
        # Only the web server of Airflow before 3.2 has them.
        from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
        from flask_babel import lazy_gettext
        from wtforms import PasswordField, StringField

        widgets = {}
        for name, spec in FORM_FIELDS.items():
            secret = spec["schema"].get("format") == "password"
            if AIRFLOW_V_3_0_PLUS:  # a page of its own draws the form
                password = BS3PasswordFieldWidget()
            else:
                password = _KeptSecret(BS3PasswordFieldWidget(hide_value=False))
            make = PasswordField if secret else StringField
            widgets[name] = make(
                lazy_gettext(spec["label"]),
                widget=password if secret else BS3TextFieldWidget(),
                description=spec["description"],
                default=spec["schema"].get("default"),
            )
        return widgets


class _KeptSecret:
    """Shows Airflow 2's own placeholder where a secret is stored, for which Airflow puts the secret back.

    A password field that is shown empty comes back empty with the form, and Airflow 2 deletes what it stood for.

    :param widget: which draws the field.
    """

    PLACEHOLDER = "RATHER_LONG_SENSITIVE_FIELD_PLACEHOLDER"

    def __init__(self, widget: Any) -> None:
        self._widget = widget

    def __call__(self, field: Any, **kwargs: Any) -> Any:
        return self._widget(field, **{**kwargs, "value": self.PLACEHOLDER if field.data else ""})


_IN_THE_FORM = f"extra__{DrsHook.conn_type}__"


def _stands_twice(key: object, extra: Mapping[str, object]) -> bool:
    """Tell whether it is a name in the form; alone it is no field, and the user is to be told of it."""
    name = str(key)
    return name.startswith(_IN_THE_FORM) and name.removeprefix(_IN_THE_FORM) in extra


def settings_of(connection: Connection, extra: object, conn_id: str, project_id: str | None) -> protocol.Settings:
    """Return the checked settings of a connection; its secrets are masked in logs from here on."""
    if connection.password:
        _mask(connection.password)
    from_cloud = None
    if extra == {} and (connection.extra or "").strip() not in ("", "{}"):
        extra = [connection.extra]  # Airflow reads what is no JSON as {}; the user is to know why nothing is set
    if isinstance(extra, Mapping):
        # The Test button of Airflow 2 sends each field twice: by its name, and by that which it has in the form.
        extra = {key: value for key, value in extra.items() if not _stands_twice(key, extra)}
        hidden = [str(key) for key, value in extra.items() if value == _KeptSecret.PLACEHOLDER]
        if hidden:
            text = f"Airflow 2 tests what is typed into the form, not what is stored: type {', '.join(hidden)} again"
            raise protocol.DrsConfigError(text, error_context=protocol.error_context(conn_id))
    try:
        if isinstance(extra, Mapping) and extra.get("cloud"):
            from_cloud = clients.read_cloud(str(extra["cloud"]))
    except protocol.DrsConfigError as error:
        raise error.with_context(protocol.error_context(conn_id)) from None
    settings = protocol.read_settings(
        conn_id,
        host=connection.host,
        port=connection.port,
        login=connection.login,
        password=connection.password,
        extra=extra,
        from_cloud=from_cloud,
    ).for_project(project_id)
    for secret in clients.secrets_of(settings):
        _mask_token(secret)
    return settings


def tokens_of(settings: protocol.Settings) -> clients.TokenSource:
    """Return this process's tokens for ``settings``."""
    try:
        return clients.token_source(settings, _new_token)
    except protocol.DrsConfigError as error:
        raise error.with_context(protocol.error_context(settings.conn_id)) from None


def no_connection(conn_id: str) -> Exception:
    """Return the error for a connection that is not defined."""
    return protocol.DrsConfigError(
        f"The connection is not defined. Create it (type DRS) or set AIRFLOW_CONN_...; its fields: {see('connection')}",
        error_context=protocol.error_context(conn_id),
    )


# Airflow's mask cannot forget: it makes one regular expression of all secrets that it ever heard of, anew for each
# further one, and searches each line of a log for it.
MAX_MASKED_TOKENS = 100
MAX_MASKED = 256  # characters; of a longer token, its end is masked, without which it is of no use
MASKED_PART = 64
_masked_tokens = 0


def _new_token(token: str) -> None:
    global _masked_tokens
    if _masked_tokens < MAX_MASKED_TOKENS:
        _masked_tokens += 1
        _mask_token(token)
    metrics().renewed()


def _mask_token(token: str) -> None:
    _mask(token if len(token) <= MAX_MASKED else token[-MASKED_PART:])


def _mask(secret: str) -> None:
    mask_secret(secret)
