"""Where a virtual IP address leads over time. No sockets; the time is handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from airflow_provider_drs.simulator.statuses import SwitchoverStatus
from airflow_provider_drs.simulator.vips import Vip

#: Seconds for which an address that flaps stays at one side.
FLAP_SECONDS: Final = 0.5


class Address:
    """The side to which ``vip`` leads: the source at first.

    :param serving: by the mode of a switchover and the side before it, the side that is to serve after it
    """

    def __init__(self, vip: Vip, serving: Callable[[str, str], str]) -> None:
        self._vip = vip
        self._serving = serving
        self._known = 0  # switchovers that were looked at
        self._before = self._now = "source"
        self._ended_at: float | None = None  # of the last one

    def side(self, modes: Sequence[str], status: str | None, now: float) -> str | None:
        """Where it leads now: ``source``, ``target``, or None where nobody answers.

        :param modes: of the switchovers that were accepted, in order
        :param status: of the last of them, None before it has begun
        """
        if len(modes) != self._known:
            self._known, self._before, self._ended_at = len(modes), self._now, None
        begun = bool(modes) and status is not None
        if begun and status != SwitchoverStatus.START and self._ended_at is None:
            self._ended_at = now
        if modes:
            self._now = self._serving(modes[-1], self._before) if self._moves(status) else self._before
        if self._vip.down or (begun and self._ended_at is None and self._vip.moves != "at_once"):
            return None
        return self._now if self._ended_at is None else self._after_the_end(now - self._ended_at)

    def _moves(self, status: str | None) -> bool:
        match self._vip.moves:
            case "at_once":
                return True
            case "always":
                return status not in (None, SwitchoverStatus.START)
            case "complete":
                return status == SwitchoverStatus.COMPLETE
        return False

    def _after_the_end(self, elapsed: float) -> str | None:
        flapping = elapsed - self._vip.silent
        if flapping < 0:
            return None
        if flapping < self._vip.flaps and int(flapping / FLAP_SECONDS) % 2 == 0:
            return "source" if self._now == "target" else "target"
        return self._now
