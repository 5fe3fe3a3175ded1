from __future__ import annotations

import logging

import pytest

from airflow_provider_drs.protocol import errors
from airflow_provider_drs.protocol.polling import GiveUp, KeepPolling
from airflow_provider_drs.protocol.switchover.wait import Done
from tests.protocol.switchover.test_wait import COMPLETE, DOWN, JOB, START, lines, play, waiting


def test_trouble_is_said_when_it_begins_and_when_it_is_over() -> None:
    reset = errors.DrsUnreachableError("reset")
    verdicts = play(waiting(), (0, START), (5, DOWN), (15, DOWN), (35, reset), (65, START))
    assert [len(v.lines) for v in verdicts] == [1, 1, 0, 0, 1]
    _, (level, text), (over, said) = lines(verdicts)
    assert level == logging.WARNING
    assert "HTTP 503" in text
    assert JOB in text
    assert "giving up after 15 minutes" in text
    assert over == logging.INFO
    assert said == f"DRS responds again about job {JOB}, after 1 minute and 3 failed poll(s)"


def test_trouble_can_be_over_and_the_status_new_in_one_poll() -> None:
    verdicts = play(waiting(), (0, START), (5, DOWN), (15, COMPLETE))
    assert isinstance(verdicts[-1], Done)
    assert [text.split()[0] for _, text in lines([verdicts[-1]])] == ["DRS", "Job"]


def test_trouble_that_comes_back_is_said_again_and_timed_anew() -> None:
    wait = waiting(transient_error_timeout=100)
    verdicts = play(wait, (0, DOWN), (90, START), (100, DOWN), (195, DOWN), (200, DOWN))
    assert [type(v) for v in verdicts] == [KeepPolling, KeepPolling, KeepPolling, KeepPolling, GiveUp]
    assert [level for level, _ in lines(verdicts)].count(logging.WARNING) == 2


def test_trouble_that_lasts_no_time_is_told_in_seconds() -> None:
    verdicts = play(waiting(), (0, DOWN), (0.2, START))
    assert "after 0 seconds and 1 failed" in verdicts[-1].lines[0].text


DOUBLING = [(5, [10, 20, 40, 60, 60]), (0.1, [2, 4, 8, 16, 32]), (40, [60, 60, 60])]


@pytest.mark.parametrize(("interval", "full"), DOUBLING)
@pytest.mark.parametrize("rng", [0.0, 0.5, 1.0])
def test_in_trouble_it_doubles_to_a_minute_with_jitter(interval: float, full: list[float], rng: float) -> None:
    wait = waiting(interval, rng)
    verdicts = play(wait, *[(at, DOWN) for at in range(len(full))])
    expected = [max(seconds * (0.75 + 0.25 * rng), interval) for seconds in full]
    assert [v.delay for v in verdicts if isinstance(v, KeepPolling)] == pytest.approx(expected)


def test_in_trouble_it_never_polls_faster_than_without() -> None:
    verdicts = play(waiting(120, rng=0), (0, START), (120, DOWN), (240, DOWN))
    assert [v.delay for v in verdicts if isinstance(v, KeepPolling)] == [120, 120, 120]


def test_the_doubling_begins_anew_after_a_good_answer() -> None:
    verdicts = play(waiting(), (0, DOWN), (10, DOWN), (30, START), (35, DOWN))
    assert [v.delay for v in verdicts if isinstance(v, KeepPolling)] == [10, 20, 5, 10]


def throttled(seconds: float) -> errors.DrsThrottledError:
    return errors.DrsThrottledError("DRS responded with HTTP 429", http_status=429, retry_after=seconds)


def test_a_longer_retry_after_is_honoured_and_a_shorter_one_is_not() -> None:
    verdicts = play(waiting(), (0, throttled(90)), (90, throttled(3)), (110, throttled(0)), (150, throttled(3600)))
    assert [v.delay for v in verdicts if isinstance(v, KeepPolling)] == [90, 20, 40, 3600]


def test_it_gives_up_after_the_limit_counted_from_the_first_failed_poll() -> None:
    wait = waiting(transient_error_timeout=100)
    verdicts = play(wait, (0, START), (50, DOWN), (100, DOWN), (149.9, errors.DrsUnreachableError("a")), (150, DOWN))
    assert [type(v) for v in verdicts] == [KeepPolling, KeepPolling, KeepPolling, KeepPolling, GiveUp]
    end = verdicts[-1]
    assert isinstance(end, GiveUp)
    assert type(end.error) is errors.DrsUnavailableError
    assert "for 1 minute 40 seconds (4 polls), at last: DRS responded with HTTP 503" in end.error.message
    assert "transient_error_timeout" in str(end.error)
    assert (end.error.error_code, end.error.error_msg, end.error.http_status) == ("X.1", "later", 503)


def test_the_last_poll_in_trouble_is_not_put_off_beyond_the_limit() -> None:
    *_, verdict = play(waiting(transient_error_timeout=100), (0, DOWN), (10, DOWN), (30, DOWN), (70, DOWN))
    assert isinstance(verdict, KeepPolling)
    assert verdict.delay == pytest.approx(30)


def test_without_patience_the_first_failed_poll_ends_the_wait_and_says_why() -> None:
    (verdict,) = play(waiting(transient_error_timeout=0), (0, DOWN))
    assert isinstance(verdict, GiveUp)
    assert len(verdict.lines) == 1


def test_without_a_limit_it_never_gives_up() -> None:
    wait = waiting(transient_error_timeout=None)
    verdicts = play(wait, *[(day * 86400.0, DOWN) for day in range(100)])
    assert {type(v) for v in verdicts} == {KeepPolling}
    assert "giving up" not in lines(verdicts)[0][1]


def test_the_job_is_not_named_twice_in_the_warning() -> None:
    (verdict,) = play(waiting(), (0, DOWN.with_context(f"Connection 'drs', job {JOB!r}")))
    assert verdict.lines[0].text.count(JOB) == 1
