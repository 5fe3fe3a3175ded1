"""When a comparison is over, and what it found: the state machine fed with pages."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_drs.protocol.compare.calls import ComparedItem, ComparePage
from airflow_provider_drs.protocol.compare.wait import Compared, CompareWait
from airflow_provider_drs.protocol.errors import DrsPermissionError, DrsServerError, DrsUnavailableError
from airflow_provider_drs.protocol.polling import GiveUp, Instant, KeepPolling, Pace, PollResult
from tests.constants import JOB, T0

DOWN = DrsServerError("DRS answered HTTP 503", http_status=503)
SAME, OTHER, BUSY = "CONSISTENT", "INCONSISTENT", "COMPARING"


def _wait(**options: Any) -> CompareWait:
    return CompareWait(JOB, "objects", "compare-1", Pace(5.0), rng=lambda: 1.0, **options)


def _page(status: str | None = "SUCCESSFUL", more: bool = False, **items: str | None) -> ComparePage:
    return ComparePage(status, tuple(ComparedItem(name, result) for name, result in items.items()), more=more)


def _play(wait: CompareWait, *events: ComparePage | DrsServerError) -> list[PollResult]:
    results: list[PollResult] = []
    for number, event in enumerate(events):
        at = T0 + 5 * number
        taken = wait.failed(event, at) if isinstance(event, DrsServerError) else wait.take([event], at, Instant(at))
        results.append(taken)
    assert all(isinstance(result, KeepPolling) for result in results[:-1])
    return results


def _found(result: PollResult) -> tuple[int, list[tuple[str, str | None]]]:
    assert isinstance(result, Compared), result
    return result.result["compared"], [(item["name"], item["result"]) for item in result.result["not_consistent"]]


@pytest.mark.parametrize(
    ("pages", "compared", "differing"),
    [
        ([_page(a=SAME, b=SAME)], 2, []),
        ([_page("RUNNING", a=BUSY), _page("RUNNING"), _page(a=SAME)], 1, []),
        ([_page(a=SAME, b=OTHER, c=None)], 3, [("b", OTHER), ("c", None)]),
        ([_page(a="CAN_NOT_COMPARE")], 1, [("a", "CAN_NOT_COMPARE")]),
        # A result is awaited, whatever the list of comparisons says.
        ([_page(a=SAME, b=BUSY), _page(a=SAME, b="WAITING_FOR_COMPARISON"), _page(a=SAME, b=SAME)], 2, []),
        # The list leaves this one out: over once all it shows has a result.
        ([_page(None, a=BUSY), _page(None, a=OTHER)], 1, [("a", OTHER)]),
        # Page by page; what was bad on one page stays bad.
        ([_page(more=True, a=OTHER), _page(more=True, a=SAME, b=SAME), _page(c=SAME)], 3, [("a", OTHER)]),
        # In trouble it reads from the first page again.
        ([_page(more=True, a=OTHER), DOWN, _page(a=SAME)], 1, []),
    ],
)
def test_what_it_found(pages: list[Any], compared: int, differing: list[tuple[str, str | None]]) -> None:
    assert _found(_play(_wait(), *pages)[-1]) == (compared, differing)


def test_the_pages_are_turned_at_once() -> None:
    wait = _wait()
    [first] = _play(wait, _page(more=True, a=SAME))
    assert isinstance(first, KeepPolling)
    assert first.delay == 0
    [call] = wait.query().calls()
    assert call.body is not None
    assert call.body["current_page"] == 2


def test_objects_that_differ_are_named_beside_their_type() -> None:
    page = ComparePage("SUCCESSFUL", (ComparedItem("VIEW", OTHER),), differing=("VIEW db.v", "VIEW db.w"))
    assert _found(_play(_wait(), page)[-1]) == (1, [("VIEW", OTHER), ("VIEW db.v", OTHER), ("VIEW db.w", OTHER)])


def test_what_differs_where_all_is_consistent_is_not_told() -> None:
    page = ComparePage("SUCCESSFUL", (ComparedItem("VIEW", SAME),), differing=("VIEW db.v",))
    assert _found(_play(_wait(), page)[-1]) == (1, [])


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (_page(), "has compared nothing"),
        (_page("FAILED", a=SAME), "ended as FAILED"),
        (_page("CANCELED"), "ended as CANCELED"),
        (_page("SOMETHING_NEW", a=SAME), "ended as SOMETHING_NEW"),
    ],
)
def test_an_end_that_says_nothing_about_the_data(page: ComparePage, says: str) -> None:
    [result] = _play(_wait(), page)
    assert isinstance(result, GiveUp)
    assert says in str(result.error)


def test_the_deadline_is_an_end_with_and_without_a_good_response() -> None:
    for last, says in ((_page("RUNNING"), "did not end within the timeout"), (DOWN, "DRS answered HTTP 503")):
        first, second = _play(_wait(deadline=T0 + 4), _page("RUNNING"), last)
        assert isinstance(first, KeepPolling)
        assert first.delay == 4, "it asks once more at the deadline"
        assert isinstance(second, GiveUp)
        assert says in str(second.error)


def test_trouble_is_waited_out_and_given_up_in_the_end() -> None:
    wait, at = _wait(transient_error_timeout=60.0), T0
    result: PollResult = wait.failed(DOWN, at)
    while isinstance(result, KeepPolling):
        assert result.delay > 0
        at += result.delay
        result = wait.failed(DOWN, at)
    assert isinstance(result, GiveUp)
    assert isinstance(result.error, DrsUnavailableError)
    assert at == T0 + 60


def test_what_repeating_cannot_mend_ends_it() -> None:
    result = _wait().failed(DrsPermissionError("no permission"), T0)
    assert isinstance(result, GiveUp)
    assert isinstance(result.error, DrsPermissionError)


def test_the_result_is_plain_json() -> None:
    [*_, result] = _play(_wait(), _page("RUNNING"), _page(a=OTHER))
    assert result.event() == {
        "outcome": "compared",
        "result": {
            "compare_id": "compare-1",
            "compared": 1,
            "not_consistent": [{"name": "a", "result": OTHER}],
            "done_at": "2026-11-23T12:00:05+00:00",
            "polls": 2,
        },
    }
