"""How a switchover is asked for: at most once, behind guards, and only once the intent is saved.

``test_switch_properties.py`` attacks the same with random histories; here each way has its row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_drs.protocol import errors
from airflow_provider_drs.protocol.http.request import Call
from airflow_provider_drs.protocol.jobs.replies import JobProgress, JobState
from airflow_provider_drs.protocol.switchover.calls import SwitchoverReply
from airflow_provider_drs.protocol.switchover.record import Phase, Record
from airflow_provider_drs.protocol.switchover.switch import NotSwitchedError, SwitchoverRequest, switch
from tests.constants import COMPLETE, JOB, OTHER_JOB, RUNNING, START, T0
from tests.protocol.scripted import ScriptedRuntime

LOST = errors.DrsUnreachableError("DRS cut the connection")
NEVER_SENT = errors.DrsUnreachableError("DRS refused the connection", never_sent=True)
NO_CERTIFICATE = errors.DrsTlsError("the certificate does not verify", never_sent=True)


def _refused(code: str, http_status: int = 400) -> errors.DrsError:
    return errors.DrsError(f"DRS says {code}", error_code=code, http_status=http_status)


@dataclass
class Service:
    """DRS: the responses to the request, one after the other, and what the status says before and after it."""

    responses: list[str | errors.DrsError] = field(default_factory=lambda: [JOB])
    before: str | None = None
    after: str | None = None
    lag: float | None = 0.0
    posts: int = 0

    def __call__(self, call: Call[Any]) -> Any:
        if call.name == "batch-status":
            return {JOB: JobState(JOB, RUNNING)}
        if call.name == "batch-progress":
            return {JOB: JobProgress(JOB, self.lag)}
        if call.name == "get-switch-vip-status":
            return SwitchoverReply(JOB, self.after if self.posts else self.before)
        assert call.name == "switch-vip"
        self.posts += 1
        response = self.responses.pop(0)
        if isinstance(response, errors.DrsError):
            raise response
        return response


def _ask(service: Service, saved: Record | None = None, **more: Any) -> tuple[Record, errors.DrsError | None]:
    """Switch; return the record and the error of a try that does not."""
    request = SwitchoverRequest(JOB, "target", **{"max_lag": 5.0, "transient_error_timeout": 60.0, **more})
    try:
        return switch(request, saved, ScriptedRuntime(service, now=T0)), None
    except NotSwitchedError as stopped:
        return stopped.record, stopped.error


@dataclass(frozen=True)
class Case:
    """What comes, what of it: the phase, the number of requests, and the error of a try that does not switch."""

    name: str
    service: Callable[[], Service]
    phase: Phase
    posts: int = 1
    error: type[errors.DrsError] | None = None
    request: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def _says(*responses: str | errors.DrsError, **more: Any) -> Callable[[], Service]:
    return lambda: Service(list(responses), **more)


REFUSED = errors.DrsSwitchoverRefusedError
CASES = [
    Case("accepted", _says(JOB), Phase.ACCEPTED),
    Case("a guard does not hold", _says(lag=6.0), Phase.READ, 0, errors.DrsGuardError),
    Case("one is running", _says(before=START), Phase.READ, 0, errors.DrsGuardError),
    Case("one is running, to be joined", _says(before=START), Phase.ACCEPTED, 0, request={"attach": True}),
    Case("to be joined, none is running", _says(JOB), Phase.ACCEPTED, request={"attach": True}),
    Case("another task's is open", _says(), Phase.READ, 0, errors.DrsRecordError, {"open_elsewhere": "the other task"}),
    Case("a further try knows nothing", _says(), Phase.UNKNOWN, 0, request={"first_try": False}),
    Case("lost", _says(LOST), Phase.LOST),
    Case("a server that failed", _says(_refused("DRS.M00304", 500)), Phase.LOST),
    Case("a code that says nothing", _says(_refused("DRS.M00002")), Phase.LOST),
    Case("about another job", _says(OTHER_JOB), Phase.LOST),
    Case("refused", _says(_refused("DRS.M00102", 403)), Phase.REFUSED, 1, REFUSED),
    Case("refused, wrong state", _says(_refused("DRS.M00304")), Phase.REFUSED, 1, REFUSED),
    Case("refused, yet START", _says(_refused("DRS.M00304"), after=START), Phase.LOST),
    Case("refused, yet it has ended", _says(_refused("DRS.M00102"), after=COMPLETE), Phase.LOST),
    Case("too frequent, then taken", _says(_refused("DRS.M01503"), JOB), Phase.ACCEPTED, 2),
    Case("busy, yet START", _says(_refused("DRS.M01504"), after=START), Phase.LOST),
    Case("never sent, then taken", _says(NEVER_SENT, NEVER_SENT, JOB), Phase.ACCEPTED, 3),
    Case("never sent, for good", _says(NO_CERTIFICATE), Phase.READ, 1, errors.DrsTlsError),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_switch(case: Case) -> None:
    service = case.service()
    record, error = _ask(service, **case.request)
    assert (record.phase, type(error)) == (case.phase, case.error or type(None)), error
    assert service.posts == case.posts


@pytest.mark.parametrize("phase", [Phase.INTENDED, Phase.ACCEPTED, Phase.LOST, Phase.UNKNOWN])
def test_what_is_open_is_resumed_and_not_asked_again(phase: Phase) -> None:
    service = Service()
    record, error = _ask(service, Record(JOB, "target", phase=phase, posted_at=T0 - 9), first_try=False)
    assert (record.phase, error) == (Phase.ACCEPTED if phase is Phase.ACCEPTED else Phase.LOST, None)
    assert service.posts == 0


@pytest.mark.parametrize("phase", [Phase.DONE, Phase.FAILED])
def test_what_has_ended_is_told_again(phase: Phase) -> None:
    service, saved = Service(), Record(JOB, "target", phase=phase, posted_at=T0 - 9, finished_at=T0)
    assert _ask(service, saved, first_try=False) == (saved, None)
    assert service.posts == 0


@pytest.mark.parametrize("phase", [Phase.BEGUN, Phase.READ, Phase.REFUSED])
def test_what_changed_nothing_is_begun_anew(phase: Phase) -> None:
    service = Service()
    record, _ = _ask(service, Record(JOB, "target", phase=phase), first_try=False)
    assert (record.phase, service.posts) == (Phase.ACCEPTED, 1)


@pytest.mark.parametrize(("phase", "posts"), [(Phase.FAILED, 1), (Phase.DONE, 0), (Phase.LOST, 0)])
def test_a_person_who_clears_the_task_asks_for_what_failed_only(phase: Phase, posts: int) -> None:
    service, saved = Service(), Record(JOB, "target", phase=phase, posted_at=T0 - 9, finished_at=T0)
    record, _ = _ask(service, saved, first_try=False, max_tries=1)
    assert service.posts == posts
    assert [each["outcome"] for each in record.earlier] == (["failed"] if posts else [])


@pytest.mark.parametrize(
    "saved", [Record(OTHER_JOB, "target", phase=Phase.LOST), Record(JOB, "source", phase=Phase.LOST)]
)
def test_what_was_saved_of_another_switchover_is_not_taken_for_this_one(saved: Record) -> None:
    service = Service()
    _, error = _ask(service, saved, first_try=False)
    assert isinstance(error, errors.DrsRecordError)
    assert service.posts == 0


def test_what_another_task_has_switched_since_is_not_told_as_done() -> None:
    saved = Record(JOB, "target", phase=Phase.DONE, posted_at=T0 - 9, finished_at=T0)
    _, error = _ask(Service(), saved, first_try=False, superseded_by="rollback")
    assert isinstance(error, errors.DrsRecordError)
    assert "'rollback' of this run has switched the job since" in str(error)


class _Store(ScriptedRuntime):
    """A runtime that keeps each phase it is to save, and cannot save one of them, or takes long over it."""

    def __init__(self, service: Callable[[Call[Any]], Any], fails: Phase | None = None, slow: float = 0.0) -> None:
        super().__init__(service)
        self.fails, self.slow = fails, slow
        self.phases: list[Phase] = []

    def save(self, record: Record) -> None:
        super().save(record)
        self.phases.append(record.phase)
        if record.phase is self.fails:
            raise errors.DrsUnavailableError("the store is away")
        if record.phase is Phase.INTENDED:
            self.sleep(self.slow)
            self.slow = 0.0


def test_the_intent_is_saved_before_drs_is_asked() -> None:
    service = Service()
    seen: list[list[Phase]] = []

    def asked(call: Call[Any]) -> Any:
        if call.name == "switch-vip":
            seen.append(list(store.phases))
        return service(call)

    store = _Store(asked)
    switch(SwitchoverRequest(JOB, "target"), None, store)
    assert seen == [[Phase.BEGUN, Phase.INTENDED]]
    assert store.phases == [Phase.BEGUN, Phase.INTENDED, Phase.ACCEPTED]


@pytest.mark.parametrize("phase", [Phase.BEGUN, Phase.INTENDED])
def test_what_cannot_be_saved_is_not_asked(phase: Phase) -> None:
    service = Service()
    with pytest.raises(errors.DrsUnavailableError):
        switch(SwitchoverRequest(JOB, "target"), None, _Store(service, fails=phase))
    assert service.posts == 0


def test_after_a_save_that_took_long_all_is_read_again() -> None:
    service = Service()
    store = _Store(service, slow=6.0)
    record = switch(SwitchoverRequest(JOB, "target"), None, store)
    assert (record.phase, service.posts) == (Phase.ACCEPTED, 1)
    assert store.phases.count(Phase.INTENDED) == 2, "once in vain"
