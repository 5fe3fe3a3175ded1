"""What a value that a user hands to the simulator may be, and how an error message says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from typing import Final


@dataclass(frozen=True)
class Kind:
    """A kind of value: the test for it, and its name in an error message."""

    accepts: Callable[[object], bool]
    description: str

    def check(self, name: str, value: object) -> None:
        """Raise ValueError, naming the field, for a value of another kind."""
        if not self.accepts(value):
            raise ValueError(f"{name} is {self.description}, not {value!r}")


def only_known(what: str, keys: Iterable[str], known: Sequence[str]) -> None:
    """Raise ValueError for keys that ``what`` does not have; it names them, what may be meant, and all there are."""
    unknown = sorted(set(keys) - set(known))
    if unknown:
        meant = [close for key in unknown for close in get_close_matches(key, known, 1)]
        hint = f" ({' and '.join(meant)} may be meant)" if meant else ""
        raise ValueError(f"{what} has no {', '.join(unknown)}{hint}; it has {', '.join(known)}")


def one_of(*values: str) -> Kind:
    """One of these strings."""
    return Kind(lambda value: value in values, f"one of {', '.join(values)}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_lag(value: object) -> bool:
    return _is_text_or_none(value) or _is_number(value)


def _is_list(value: object, is_item: Callable[[object], bool]) -> bool:
    return value is None or (isinstance(value, list) and len(value) > 0 and all(map(is_item, value)))


def _is_series(value: object, is_item: Callable[[object], bool]) -> bool:
    def is_pair(pair: object) -> bool:
        return isinstance(pair, (list, tuple)) and len(pair) == 2 and _is_number(pair[0]) and is_item(pair[1])

    if not isinstance(value, list) or not _is_list(value, is_pair):
        return value is None
    return value[0][0] >= 0 and all(first[0] < second[0] for first, second in pairwise(value))


_SERIES: Final = "a list of pairs of seconds, rising from 0 on, and"

TEXT: Final = Kind(_is_text, "a string")
NONEMPTY_TEXT: Final = Kind(lambda value: _is_text(value) and value != "", "a string that is not empty")
# Any other text is a status that the documentation does not name.
SWITCHOVER_STATUS: Final = Kind(
    lambda value: isinstance(value, str) and value not in ("", "START", "COMPLETE", "FAILED"),
    "a status as DRS writes it, such as SWITCH_VIP_COMPLETE or SWITCH_VIP_FAILED",
)
OPTIONAL_TEXT: Final = Kind(_is_text_or_none, "a string or None")
FLAG: Final = Kind(lambda value: isinstance(value, bool), "true or false")
SECONDS: Final = Kind(lambda value: isinstance(value, (int, float)) and _is_number(value) and value >= 0,
                      "seconds from 0 on")  # fmt: skip
TEXTS: Final = Kind(lambda value: _is_list(value, _is_text), "a list of one or more strings")
STATUS_SCRIPT: Final = Kind(lambda value: _is_list(value, _is_text_or_none), "a list of one or more strings and nulls")
STATUS_SERIES: Final = Kind(lambda value: _is_series(value, _is_text_or_none), f"{_SERIES} strings")
LAG_SCRIPT: Final = Kind(lambda value: _is_list(value, _is_lag), "a list of one or more numbers, strings and nulls")
LAG_SERIES: Final = Kind(lambda value: _is_series(value, _is_lag), f"{_SERIES} numbers or strings")
TEXT_TO_TEXT: Final = Kind(
    lambda value: isinstance(value, dict) and all(map(_is_text, [*value, *value.values()])), "an object of strings"
)
