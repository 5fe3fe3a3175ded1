"""Watching a job's switchovers: never over, whatever comes."""

from __future__ import annotations

import pytest

from airflow_provider_drs.protocol.errors import DrsError, DrsJobNotFoundError, DrsServerError
from airflow_provider_drs.protocol.polling import Instant, Pace
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply
from airflow_provider_drs.protocol.switchover.watch import PAUSE_AFTER_ERROR, SwitchoverWatch
from tests.constants import COMPLETE, FAILED, JOB, START, T0


@pytest.mark.parametrize("status", [None, START, COMPLETE, FAILED, "SOMETHING_ELSE"])
def test_a_reply_is_a_snapshot_whatever_it_says(status: str | None) -> None:
    reply = SwitchoverReply(JOB, status)
    seen = SwitchoverWatch(JOB, Pace(7.0)).take([reply], T0 + 1, Instant(T0))
    assert (seen.reply, seen.error, seen.at, seen.asked_at, seen.delay) == (reply, None, T0 + 1, T0, 7.0)


def test_trouble_is_polled_more_slowly_and_forgotten_when_it_is_over() -> None:
    watch = SwitchoverWatch(JOB, Pace(5.0))
    error = DrsServerError("HTTP 503")
    delays = [watch.failed(error, T0 + 5 * n).delay for n in range(40)]
    assert delays[0] > 5.0
    assert max(delays) <= 60.0
    assert watch.take([SwitchoverReply(JOB, None)], T0 + 900, Instant(T0 + 899)).delay == 5.0


@pytest.mark.parametrize("error", [DrsJobNotFoundError("gone"), DrsError("wrong")])
def test_what_ends_other_waits_is_asked_again_once_a_minute(error: DrsError) -> None:
    seen = SwitchoverWatch(JOB, Pace(5.0)).failed(error, T0)
    assert (seen.reply, seen.error, seen.at, seen.delay) == (None, error, T0, PAUSE_AFTER_ERROR)


def test_it_asks_the_same_each_time_and_shares_it() -> None:
    watch = SwitchoverWatch(JOB, Pace())
    assert watch.query() is watch.query()
    assert [call.name for call in watch.query().calls()] == ["get-switch-vip-status"]
