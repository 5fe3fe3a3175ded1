"""Which database serves after a switchover: DRS does not document it, so that whatever is simulated is a reading."""

from __future__ import annotations

from enum import StrEnum


class Reading(StrEnum):
    """What the ``mode`` of a completed switchover is taken to do to the traffic. None of these is documented."""

    NAMED = "named"  # the database that the mode names serves afterwards
    OTHER = "other"  # the database that the mode does not name
    TOGGLE = "toggle"  # the database that did not serve before, whatever the mode

    def serving(self, mode: str, before: str) -> str:
        """Return the database that serves after a switchover: ``source`` or ``target``.

        :param before: the database that served before
        """
        match self:
            case Reading.NAMED:
                return mode
            case Reading.OTHER:
                return _other(mode)
            case Reading.TOGGLE:
                return _other(before)


def reading_of(name: str) -> Reading:
    """Return the reading of a name; raises ValueError for any other."""
    try:
        return Reading(name)
    except ValueError:
        raise ValueError(f"no reading of mode is called {name!r}; there are {', '.join(Reading)}") from None


def _other(side: str) -> str:
    return "source" if side == "target" else "target"
