"""What the clients report to an observer, such as Airflow's metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_drs.protocol.errors import DrsError


class Observer:
    """Base of observers; this one ignores everything."""

    def called(self, name: str, seconds: float, error: DrsError | None, conn_id: str) -> None:
        """Report a call of DRS.

        :param name: the call, such as ``get-switch-vip-status``.
        :param seconds: how long it took, including a new token where one was needed.
        :param error: the error it ended with; None: it succeeded.
        :param conn_id: of the connection.
        """

    def waiting(self, more: int) -> None:
        """Report that ``more`` waits have begun; ended, where it is negative."""

    def worst_off(self, seconds: float, conn_id: str) -> None:
        """Report for how long the wait that is worst off has been without a good response; 0 where nobody waits."""


UNOBSERVED = Observer()
