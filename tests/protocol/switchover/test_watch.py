from __future__ import annotations

from airflow_provider_drs.protocol.errors import DrsPermissionError, DrsUnreachableError
from airflow_provider_drs.protocol.polling import Instant, Pace
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply
from airflow_provider_drs.protocol.switchover.watch import PAUSE_AFTER_ERROR, SwitchoverWatch
from tests.constants import COMPLETE, FAILED, GET_STATUS, JOB, START


def test_each_poll_is_a_snapshot_and_none_is_the_end() -> None:
    watch = SwitchoverWatch(JOB, Pace(5.0))
    for number, status in enumerate((None, START, COMPLETE, COMPLETE, FAILED, "ODD")):
        reply = SwitchoverReply(JOB, status)
        snapshot = watch.take([reply], 100.0 + number, Instant(99.0 + number))
        assert (snapshot.reply, snapshot.error, snapshot.delay) == (reply, None, 5.0)
        assert (snapshot.asked_at, snapshot.at) == (99.0 + number, 100.0 + number)


def test_it_asks_for_the_status_of_the_job() -> None:
    assert [call.name for call in SwitchoverWatch(JOB, Pace()).query().calls()] == [GET_STATUS]


def test_an_error_is_a_snapshot_too() -> None:
    watch = SwitchoverWatch(JOB, Pace(5.0))
    passing, lasting = DrsUnreachableError("no"), DrsPermissionError("no")
    found = watch.failed(passing, 100.0)
    assert (found.error, found.reply, found.at) == (passing, None, 100.0)
    assert 5.0 <= found.delay < PAUSE_AFTER_ERROR
    assert (watch.failed(lasting, 101.0).error, watch.failed(lasting, 102.0).delay) == (lasting, PAUSE_AFTER_ERROR)


def test_it_never_gives_up() -> None:
    watch = SwitchoverWatch(JOB, Pace(5.0))
    assert all(watch.failed(DrsUnreachableError("no"), at * 3600.0).delay <= 60.0 for at in range(100))
