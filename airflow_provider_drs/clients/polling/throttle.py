"""The rate limit of one connection: polls are evenly spaced, and more slowly once DRS says that they are too many.

The rate that DRS allows is not documented, so it is found: each refusal halves the rate, good responses raise it again.
The times are seconds on any monotonic clock.
"""

from __future__ import annotations

MIN_PAUSE = 1.0
MAX_SPACING = 1.0
SPEED_UP = 0.995
# Timers fire up to this late; polls missed meanwhile may follow at once, so that late timers do not lower the rate.
TIMER_SLACK = 0.01
_SMOOTHING = 0.05


class Throttle:
    """Says when the next poll of a connection may be sent.

    :param per_second: maximum polls per second.
    """

    def __init__(self, per_second: float) -> None:
        self._min_spacing = 1.0 / per_second
        self._max_spacing = max(self._min_spacing, MAX_SPACING)
        self._spacing = self._min_spacing
        self._free_at = 0.0
        self._last: float | None = None
        self._average_spacing = self._min_spacing
        self.paused_until = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until a poll may be sent; 0.0: now."""
        return max(self._free_at - now, self.paused_until - now, 0.0)

    def claim(self, now: float) -> bool:
        """Take the next slot if a poll may be sent now."""
        if self._free_at > now or self.paused_until > now:
            return False
        if self._last is not None:
            spacing = min(now - self._last, self._max_spacing)
            self._average_spacing += (spacing - self._average_spacing) * _SMOOTHING
        self._last = now
        self._free_at = max(self._free_at, now - TIMER_SLACK) + self._spacing
        return True

    def record_success(self) -> None:
        """Raise the rate a little after a good response."""
        if self._spacing > self._min_spacing:
            self._spacing = max(self._spacing * SPEED_UP, self._min_spacing)

    def record_failure(self, now: float, asked_at: float, retry_after: float | None, *, rate_limited: bool) -> None:
        """Pause, and halve the rate where DRS limits it.

        :param asked_at: when the poll was sent.
        :param retry_after: seconds that DRS asks to wait; None: it does not say.
        :param rate_limited: DRS says that requests are too many; False: another failure.
        """
        if retry_after is None and not rate_limited:
            return
        # A poll that was sent before the first refusal came was sent at the old rate.
        if rate_limited and asked_at >= self.paused_until:
            self._spacing = min(2.0 * max(self._spacing, self._average_spacing), self._max_spacing)
        pause = MIN_PAUSE if retry_after is None else retry_after
        self.paused_until = max(self.paused_until, now + pause)
