"""What is asked in which order before and after the one request that must not go out twice.

How it all ends is in ``tests/histories``, which puts whole tasks to the test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_drs.protocol import errors
from airflow_provider_drs.protocol.http.request import Call
from airflow_provider_drs.protocol.jobs.replies import JobProgress, JobState
from airflow_provider_drs.protocol.runtime import TroubleLasts
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply
from airflow_provider_drs.protocol.switchover.phases import UNCHANGED, Phase
from airflow_provider_drs.protocol.switchover.record import Record
from airflow_provider_drs.protocol.switchover.request import SwitchoverRequest
from airflow_provider_drs.protocol.switchover.switch import (
    MAX_READ_ATTEMPTS,
    NotSwitchedError,
    read_and_guard,
    switch,
)
from tests.constants import (
    BATCH_PROGRESS,
    BATCH_STATUS,
    COMPLETE,
    FAILED,
    GET_STATUS,
    JOB,
    OTHER_JOB,
    RUNNING,
    START,
    SWITCH,
)
from tests.protocol.scripted import ScriptedRuntime

BEFORE = [GET_STATUS, BATCH_STATUS, BATCH_PROGRESS, GET_STATUS]
Item = Any


class Drs:
    """DRS as values: each status or POST takes the next item of its script; the last one stays."""

    def __init__(self, statuses: list[Item], posts: list[Item] | None = None) -> None:
        self.statuses, self.posts = list(statuses), list(posts or [JOB])
        self.calls: list[str] = []
        self.on_call: Callable[[str], None] = lambda name: None

    def __call__(self, call: Call[Any]) -> Any:
        self.calls.append(call.name)
        self.on_call(call.name)
        if call.name == BATCH_STATUS:
            return {JOB: JobState(JOB, RUNNING)}
        if call.name == BATCH_PROGRESS:
            return {JOB: JobProgress(JOB, 0.0, "0")}
        script = self.posts if call.name == SWITCH else self.statuses
        item = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(item, errors.DrsError):
            raise item
        return item if call.name == SWITCH or isinstance(item, SwitchoverReply) else SwitchoverReply(JOB, item)


class Runtime(ScriptedRuntime):
    """Keeps every record that is saved."""

    def __init__(self, drs: Drs) -> None:
        super().__init__(drs)
        self.phases: list[str] = []
        self.fails_at: tuple[str, BaseException] | None = None
        self.takes = 0.0

    def save(self, record: Record) -> None:
        self.phases.append(f"{record.phase}!")
        self.last = record
        if self.fails_at and self.fails_at[0] == record.phase:
            raise self.fails_at[1]
        if record.phase is Phase.INTENDED:
            self.sleep(self.takes)
            self.takes = 0.0

    def try_save(self, record: Record) -> None:
        self.phases.append(str(record.phase))


def _request(**more: Any) -> SwitchoverRequest:
    return SwitchoverRequest(JOB, "target", **{"transient_error_timeout": 60.0, **more})


def _refusal(code: str, **more: Any) -> errors.DrsError:
    kind = errors.DrsBusyError if code == "DRS.M01504" else errors.DrsRequestError
    return kind("no", error_code=code, http_status=400, **more)


def _lost() -> errors.DrsError:
    return errors.DrsUnreachableError("the connection broke off")


def _never_sent() -> errors.DrsError:
    return errors.DrsUnreachableError("no connection", never_sent=True)


def _switch(drs: Drs, saved: Record | None = None, **more: Any) -> tuple[Record, Runtime, errors.DrsError | None]:
    runtime = Runtime(drs)
    try:
        return switch(_request(**more), saved, runtime), runtime, None
    except NotSwitchedError as stopped:
        return stopped.record, runtime, stopped.error


def test_the_order_of_all() -> None:
    drs = Drs([COMPLETE])
    record, runtime, _ = _switch(drs)
    assert record.phase is Phase.ACCEPTED
    assert drs.calls == [*BEFORE, SWITCH]
    assert runtime.phases == ["begun!", "intended!", "accepted"]
    assert (record.baseline, record.baseline_known) == (COMPLETE, True)


@pytest.mark.parametrize(
    ("statuses", "baseline", "reads"),
    [
        ([COMPLETE], COMPLETE, 2),
        ([None], None, 2),
        ([FAILED, COMPLETE], COMPLETE, 4),
        ([FAILED, COMPLETE, FAILED, COMPLETE, COMPLETE], COMPLETE, 6),
        ([SwitchoverReply(None, None), None], None, 4),
    ],
)
def test_the_baseline_is_what_two_reads_say(statuses: list[Item], baseline: str | None, reads: int) -> None:
    drs = Drs(statuses)
    record, runtime, _ = _switch(drs)
    assert (record.phase, record.baseline) == (Phase.ACCEPTED, baseline)
    assert drs.calls.count(GET_STATUS) == reads
    assert runtime.clock.slept == [1.0] * (reads // 2)


def test_trouble_that_lasts_is_left_to_somebody_else_before_an_intent_is_saved_and_not_after() -> None:
    down = errors.DrsServerError("DRS answered HTTP 503", http_status=503)
    runtime = Runtime(Drs([down]))
    with pytest.raises(TroubleLasts):
        switch(_request(leave_after=15.0), None, runtime)
    assert runtime.phases == ["begun!"]
    drs = Drs([None, None, *[down] * 5, None], [_never_sent(), JOB])
    record, runtime, _ = _switch(drs, leave_after=15.0)
    assert (record.phase, drs.calls.count(SWITCH)) == (Phase.ACCEPTED, 2)
    assert sum(runtime.clock.slept) > 15.0


def test_a_status_that_is_never_twice_alike_stops_it() -> None:
    drs = Drs([FAILED, COMPLETE] * 9)
    with pytest.raises(errors.DrsUnavailableError, match="twice alike"):
        _switch(drs)
    assert drs.calls.count(GET_STATUS) == 2 * MAX_READ_ATTEMPTS
    assert SWITCH not in drs.calls


def test_what_is_older_than_a_minute_is_read_again() -> None:
    drs = Drs([COMPLETE])
    runtime = Runtime(drs)
    drs.on_call = lambda name: runtime.sleep(61.0 if name == BATCH_PROGRESS and drs.calls.count(name) < 3 else 0.0)
    assert switch(_request(), None, runtime).phase is Phase.ACCEPTED
    assert drs.calls.count(BATCH_STATUS) == 3


@pytest.mark.parametrize("first", [[START], [COMPLETE, START]])
@pytest.mark.parametrize("attach", [True, False])
def test_one_read_that_shows_start_is_enough_not_to_switch(first: list[Item], attach: bool) -> None:
    drs = Drs([*first, COMPLETE])
    record, _, error = _switch(drs, attach=attach)
    assert SWITCH not in drs.calls
    assert (record.attached, type(error)) == (attach, type(None) if attach else errors.DrsGuardError)


@pytest.mark.parametrize("attach", [True, False])
@pytest.mark.parametrize("status", [None, START, COMPLETE])
def test_a_further_try_that_finds_nothing_never_switches(attach: bool, status: str | None) -> None:
    drs = Drs([status])
    record, runtime, _ = _switch(drs, attach=attach, first_try=False)
    assert SWITCH not in drs.calls
    joined = attach and status == START
    assert record.phase is (Phase.ACCEPTED if joined else Phase.UNKNOWN)
    assert runtime.phases == (["accepted!"] if joined else []), "a doubt is not saved"
    assert attach or not drs.calls, "nothing is read that nothing follows from"


@pytest.mark.parametrize("record_phase", [Phase.INTENDED, Phase.ACCEPTED, Phase.LOST, Phase.UNKNOWN])
@pytest.mark.parametrize("cleared", [True, False])
def test_what_is_open_is_resumed(record_phase: Phase, cleared: bool) -> None:
    drs = Drs([COMPLETE])
    saved = Record(JOB, "target", record_phase, posted_at=1.0)
    record, _, _ = _switch(drs, saved, first_try=False, max_tries=int(cleared))
    assert record.phase is (Phase.ACCEPTED if record_phase is Phase.ACCEPTED else Phase.LOST)
    assert drs.calls == []
    assert record.unsure is (record_phase is Phase.INTENDED)


@pytest.mark.parametrize(
    ("phase", "cleared", "superseded", "asks"),
    [
        *((Phase.BEGUN, cleared, "", True) for cleared in (True, False)),
        *((Phase.READ, cleared, "", True) for cleared in (True, False)),
        *((Phase.REFUSED, cleared, "", True) for cleared in (True, False)),
        (Phase.FAILED, True, "", True),
        (Phase.FAILED, False, "", False),
        (Phase.DONE, True, "", False),
        (Phase.DONE, False, "", False),
        (Phase.DONE, True, "back", True),
        (Phase.DONE, False, "back", False),
        *((phase, True, "back", False) for phase in (Phase.INTENDED, Phase.ACCEPTED, Phase.LOST, Phase.UNKNOWN)),
    ],
)
def test_which_record_lets_a_further_try_ask_again(phase: Phase, cleared: bool, superseded: str, asks: bool) -> None:
    drs = Drs([COMPLETE])
    saved = Record(JOB, "target", phase, posted_at=1.0, finished_at=2.0)
    record, _, error = _switch(drs, saved, first_try=False, max_tries=int(cleared), superseded_by=superseded)
    assert (SWITCH in drs.calls) is asks
    closed = asks and phase in (Phase.FAILED, Phase.DONE, Phase.REFUSED)
    assert [earlier["outcome"] for earlier in record.earlier] == ([str(phase)] if closed else [])
    stands_against = phase is Phase.DONE and bool(superseded) and not cleared
    assert type(error) is (errors.DrsRecordError if stands_against else type(None))


@pytest.mark.parametrize("changed", [{"job_id": OTHER_JOB}, {"mode": "source"}])
@pytest.mark.parametrize("phase", sorted(set(Phase) - UNCHANGED))
def test_the_record_of_another_switchover_stands_against_it(changed: dict[str, str], phase: Phase) -> None:
    drs = Drs([COMPLETE])
    saved = Record(**{"job_id": JOB, "mode": "target", "phase": phase, "posted_at": 1.0, **changed})  # type: ignore[arg-type]
    record, _, error = _switch(drs, saved, first_try=False)
    assert type(error) is errors.DrsRecordError
    assert str(phase) in str(error)
    assert (record.phase, drs.calls) == (phase, [])


def test_nobody_switches_while_another_task_has_an_open_one() -> None:
    drs = Drs([COMPLETE])
    record, _, error = _switch(drs, open_elsewhere="there")
    assert type(error) is errors.DrsRecordError
    assert "'there' of this run is open" in str(error)
    assert (record.phase, SWITCH in drs.calls) == (Phase.READ, False)


@pytest.mark.parametrize(
    ("post", "statuses", "phase", "posts"),
    [
        (_lost, [COMPLETE], Phase.LOST, 1),
        (lambda: errors.DrsInvalidResponseError("html"), [COMPLETE], Phase.LOST, 1),
        (lambda: _refusal("DRS.M00002"), [COMPLETE], Phase.LOST, 1),
        (lambda: _refusal("DRS.M99999"), [COMPLETE], Phase.LOST, 1),
        (lambda: errors.DrsTokenRefusedError("401", http_status=401), [COMPLETE], Phase.LOST, 1),
        (lambda: _refusal("DRS.M00102"), [COMPLETE], Phase.REFUSED, 1),
        (lambda: _refusal("DRS.M00102"), [COMPLETE, COMPLETE, START], Phase.LOST, 1),
        (lambda: _refusal("DRS.M00102"), [COMPLETE, COMPLETE, FAILED], Phase.LOST, 1),
        (lambda: _refusal("DRS.M00102"), [COMPLETE, COMPLETE, _refusal("DRS.M00102")], Phase.LOST, 1),
        (lambda: _refusal("DRS.M00102"), [COMPLETE, COMPLETE, SwitchoverReply(OTHER_JOB, COMPLETE)], Phase.LOST, 1),
        (lambda: _refusal("DRS.M00304"), [COMPLETE], Phase.REFUSED, 1),
        (lambda: _refusal("DRS.M00304"), [COMPLETE] * 11 + [START], Phase.LOST, 1),
        (lambda: _refusal("DRS.M00304"), [COMPLETE] * 14 + [START], Phase.REFUSED, 1),
        (lambda: _refusal("DRS.M01504"), [COMPLETE], Phase.ACCEPTED, 2),
        (lambda: _refusal("DRS.M01504"), [COMPLETE] * 11 + [START], Phase.LOST, 1),
        (lambda: _refusal("DRS.M01504", retry_after=90.0), [COMPLETE], Phase.REFUSED, 1),
        (_never_sent, [COMPLETE], Phase.ACCEPTED, 2),
        (lambda: errors.DrsTlsError("no", never_sent=True), [COMPLETE], Phase.READ, 1),
    ],
)
def test_what_becomes_of_the_request(
    post: Callable[[], errors.DrsError], statuses: list[Item], phase: Phase, posts: int
) -> None:
    drs = Drs(statuses, [post(), JOB])
    record, runtime, error = _switch(drs)
    assert (record.phase, drs.calls.count(SWITCH)) == (phase, posts)
    assert runtime.phases.count("intended!") == posts, "each is an intent of its own"
    assert (error is None) == (phase in (Phase.ACCEPTED, Phase.LOST))
    if posts == 2:
        between = drs.calls[drs.calls.index(SWITCH) + 1 : -1]
        assert between[-4:] == BEFORE, "the guards are read anew"
    assert not record.started, "one read is no START"


def test_what_was_accepted_of_another_job_is_lost() -> None:
    record, _, _ = _switch(Drs([COMPLETE], [OTHER_JOB]))
    assert record.phase is Phase.LOST
    record, _, _ = _switch(Drs([COMPLETE], [OTHER_JOB]), verify_job_id=False)
    assert record.phase is Phase.ACCEPTED


@pytest.mark.parametrize("error", [errors.DrsUnavailableError("away"), KeyboardInterrupt()])
def test_without_a_confirmed_write_drs_is_not_asked(error: BaseException) -> None:
    drs = Drs([COMPLETE])
    for phase in ("begun", "intended"):
        runtime = Runtime(drs)
        runtime.fails_at = phase, error
        with pytest.raises(type(error)):
            switch(_request(), None, runtime)
        assert SWITCH not in drs.calls
        assert (runtime.last.phase, runtime.last.posted_at) == (
            Phase.READ if phase == "intended" else Phase.BEGUN,
            None,
        )


def test_after_a_write_that_took_long_all_is_read_again() -> None:
    drs = Drs([COMPLETE])
    runtime = Runtime(drs)
    runtime.takes = 6.0
    assert switch(_request(), None, runtime).phase is Phase.ACCEPTED
    assert drs.calls == [*BEFORE, *BEFORE, SWITCH]
    assert runtime.phases == ["begun!", "intended!", "read", "intended!", "accepted"]


def test_an_answer_about_another_job_stops_it() -> None:
    drs = Drs([SwitchoverReply(OTHER_JOB, COMPLETE)])
    runtime = Runtime(drs)
    with pytest.raises(errors.DrsJobMismatchError):
        switch(_request(), None, runtime)
    assert SWITCH not in drs.calls
    assert not read_and_guard(_request(verify_job_id=False), Record(JOB, "target"), runtime)
