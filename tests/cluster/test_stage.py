"""How the cluster's runs start, without a cluster."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import requests

from tests.cluster.stage import start_run


class Responses:
    """Responds with one status after the other, and counts."""

    def __init__(self, statuses: Sequence[int]) -> None:
        self.statuses, self.asked = statuses, 0

    def __call__(self) -> None:
        response = requests.Response()
        response.status_code = self.statuses[self.asked]
        self.asked += 1
        response.raise_for_status()


@pytest.mark.parametrize("statuses", [[200], [500, 200], [502, 409]])
def test_a_run_is_asked_for_until_it_has_started(statuses: list[int]) -> None:
    ask = Responses(statuses)
    start_run(ask, "one")
    assert ask.asked == len(statuses)


@pytest.mark.parametrize("statuses", [[409], [404], [500, 404]])
def test_a_run_that_cannot_start_is_an_error(statuses: list[int]) -> None:
    with pytest.raises(requests.HTTPError, match=str(statuses[-1])):
        start_run(Responses(statuses), "one")
