"""The button that leads from a task to its job in the DRS console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey


class DrsConsoleLink(BaseOperatorLink):
    """Leads to the job's page in the DRS console, as soon as the task runs and while it is deferred.

    The task writes the address down when it starts (XCom ``drs_console_link``), because the web server can read neither
    the connection nor a rendered job id. Without an address for the connection there is no button.
    """

    name = "DRS console"
    key = "drs_console_link"

    @property
    def xcom_key(self) -> str:
        """XCom that holds the address."""
        return self.key

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address, an empty string where there is none."""
        known: str | None = getattr(operator, "console_link", None)  # the running task knows it by itself
        if known is not None:
            return known
        return XCom.get_value(key=self.xcom_key, ti_key=ti_key) or ""
