"""What the clients tell of their work to whoever keeps count, such as Airflow's metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_drs.protocol.errors import DrsError


class Observer:
    """Told of every call; this one lets it pass."""

    def called(self, name: str, seconds: float, error: DrsError | None) -> None:
        """Take note of a call of DRS.

        :param name: the call, such as ``get-switch-vip-status``.
        :param seconds: how long it took, with a new token where one was needed.
        :param error: what came instead of an answer.
        """

    def waiting(self, more: int) -> None:
        """Take note of so many more waits in progress, or fewer."""


UNOBSERVED = Observer()
