"""The lines through what a soak measures: a leak rises above its bound, noise does not."""

from __future__ import annotations

import pytest

from tests.soak.slopes import BOUNDS, rises, slope, too_steep


def test_the_slope_of_a_line_is_its_own() -> None:
    assert slope([(x, 3 * x + 1) for x in range(10)]) == pytest.approx(3)
    assert slope([(0, 1), (1, 5), (2, 1)]) == pytest.approx(0)


def test_one_point_is_no_line() -> None:
    with pytest.raises(ValueError, match="two points"):
        slope([(1, 1), (1, 2)])


@pytest.mark.parametrize("leaking", BOUNDS)
def test_what_leaks_is_named_and_nothing_else(leaking: str) -> None:
    noise = {name: bound / 4 for name, bound in BOUNDS.items()}
    leaks = dict.fromkeys(BOUNDS, 0.0) | {leaking: BOUNDS[leaking] / 50}
    samples = [
        {"at": at, **{name: 50 + noise[name] * (at % 2) + at * leaks[name] for name in BOUNDS}} for at in range(100)
    ]
    assert too_steep(rises(samples)) == [leaking]
