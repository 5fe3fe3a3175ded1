"""How fast one connection may poll: evenly spaced, and more slowly once DRS says that it is asked too often.

How often DRS may be asked is not documented, so that the pace is found: halved by each refusal, raised again by good
answers. The times are seconds on any clock that only goes forward.
"""

from __future__ import annotations

MIN_PAUSE = 1.0
SLOWEST = 1.0
FASTER = 0.995
# Timers fire up to this late; what was missed meanwhile may follow at once, so that they do not lower the pace.
TIMER_SLACK = 0.01
_SMOOTHING = 0.05


class Throttle:
    """Says when the next poll of a connection may go out.

    :param per_second: polls a second at the most.
    """

    def __init__(self, per_second: float) -> None:
        self._least = 1.0 / per_second
        self._most = max(self._least, SLOWEST)
        self._spacing = self._least
        self._free_at = 0.0
        self._last: float | None = None
        self._usual = self._least
        self.paused_until = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until a poll may go out; 0.0: now."""
        return max(self._free_at - now, self.paused_until - now, 0.0)

    def claim(self, now: float) -> bool:
        """Take the next place in the row, if a poll may go out now."""
        if self._free_at > now or self.paused_until > now:
            return False
        if self._last is not None:
            self._usual += (min(now - self._last, self._most) - self._usual) * _SMOOTHING
        self._last = now
        self._free_at = max(self._free_at, now - TIMER_SLACK) + self._spacing
        return True

    def answered(self) -> None:
        """Take note of an answer that is no complaint."""
        if self._spacing > self._least:
            self._spacing = max(self._spacing * FASTER, self._least)

    def complained(self, now: float, asked_at: float, retry_after: float | None, *, too_often: bool) -> None:
        """Take note that DRS wants to be left alone.

        :param asked_at: when the poll went out.
        :param retry_after: seconds it asks for; None: it does not say.
        :param too_often: it says that it is asked too often; False: it is in trouble of another kind.
        """
        if retry_after is None and not too_often:
            return
        # What had gone out already when the first complaint came is of the old pace.
        if too_often and asked_at >= self.paused_until:
            self._spacing = min(2.0 * max(self._spacing, self._usual), self._most)
        pause = MIN_PAUSE if retry_after is None else retry_after
        self.paused_until = max(self.paused_until, now + pause)
