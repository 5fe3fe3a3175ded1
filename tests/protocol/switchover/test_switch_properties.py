"""Over any history of answers, faults, crashes and retries: one switchover per intent, and no false end.

The service is the simulator's, without its sockets; the clock and the faults are drawn. What a worker that dies leaves
behind is exactly what it wrote down.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from airflow_provider_drs.protocol.errors import (
    DrsError,
    DrsGuardError,
    DrsSwitchoverRefusedError,
    DrsUnreachableError,
)
from airflow_provider_drs.protocol.http import response as answers
from airflow_provider_drs.protocol.http.auth_flow import Send, exchange
from airflow_provider_drs.protocol.http.request import Call, Token
from airflow_provider_drs.protocol.polling import LogLine, Pace
from airflow_provider_drs.protocol.switchover.record import Phase, Record
from airflow_provider_drs.protocol.switchover.switch import NotSwitchedError, SwitchoverRequest, switch, wait_for_end
from airflow_provider_drs.protocol.switchover.wait import SwitchoverWait
from airflow_provider_drs.simulator.drs.routes import route
from airflow_provider_drs.simulator.drs.service import Drs, Request
from airflow_provider_drs.simulator.drs.state import JobStore
from airflow_provider_drs.simulator.jobs import Job

JOB = "260e27fd-4976-44dc-9948-e1265e4jb201"
PROJECT = "0" * 32
TOKEN = "a-token-that-is-in-no-answer"
COMPLETE, FAILED = "SWITCH_VIP_COMPLETE", "SWITCH_VIP_FAILED"

FAULTS = (
    "none", "lost before", "lost after", "500 before", "500 after", "html after", "429",
    "too frequent", "busy", "half after",
    "empty result",
    "nothing",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """What happens to one request: how long it takes to arrive and to be answered, and what goes wrong."""

    fault: str = "none"
    there: float = 0.0
    back: float = 0.0


@dataclass
class History:
    job: Job
    settle: float | None
    steps: list[Step]
    crashes: list[int]
    pauses: list[float]


class KilledError(BaseException):
    """The worker is gone; nothing catches this."""


class Tokens:
    async def project_of(self, token: str) -> str | None:
        return PROJECT


@dataclass
class World:
    """The service, the clock, the faults to come, and what a worker wrote down."""

    history: History
    time: float = 1_790_000_000.0
    saved: dict[str, Any] | None = None
    taken_at: float | None = None
    until_killed: int | None = None
    crashes: list[int] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.book = JobStore(lambda: self.time)
        self.book.add(self.history.job)
        self.drs = Drs(self.book, Tokens())
        self.steps = list(self.history.steps)
        self.crashes = list(self.history.crashes)

    def begin_try(self) -> None:
        self.until_killed = self.crashes.pop(0) if self.crashes else None

    def live(self) -> None:
        """Die here, if this is the moment drawn."""
        if self.until_killed is not None:
            self.until_killed -= 1
            if self.until_killed < 0:
                raise KilledError

    def send(self, call: Call[Any]) -> Any:
        self.live()
        step = self.steps.pop(0) if self.steps else Step()
        generator = exchange(call, "https://drs", "en-us")
        next(generator)
        wanted = generator.send(Token(TOKEN, PROJECT))
        assert isinstance(wanted, Send)
        self.time += step.there
        answer = self._answer(wanted, step)
        self.live()
        self.time += step.back
        if answer is None:
            raise DrsUnreachableError("DRS cut the connection")
        try:
            generator.send(answer)
        except StopIteration as reply:
            return reply.value
        raise AssertionError("one request makes one reply")

    def _answer(self, wanted: Send, step: Step) -> answers.HttpResponse | None:
        refusals = {
            "500 before": (500, b"{}"),
            "429": (429, b""),
            "too frequent": (400, b'{"error_code": "DRS.M01503"}'),
            "empty result": (422, b'{"error_code": "DRS.M00002"}'),
            "nothing": (200, b"{}"),
            "busy": (202, b'{"status": "failed", "error_code": "DRS.M01504"}'),
        }
        if step.fault == "lost before":
            return None
        if step.fault in refusals:
            return answers.HttpResponse(refusals[step.fault][0], {}, refusals[step.fault][1])
        request = wanted.request
        asked = Request(
            route(request.method, request.url.removeprefix("https://drs")), {"x-auth-token": TOKEN}, request.body or b""
        )
        before = len(self.book.switched(JOB))
        said = _now(self.drs.respond(asked))
        if len(self.book.switched(JOB)) > before:
            self.taken_at = self.time
        if step.fault == "lost after":
            return None
        spoiled = {"500 after": (500, b""), "html after": (200, b"<html>"), "half after": (200, said.body[:7])}
        status, body = spoiled.get(step.fault, (said.status, said.body))
        return answers.HttpResponse(status, {}, body)

    def now(self) -> float:
        return self.time

    monotonic = now

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def log(self, line: LogLine) -> None:
        pass

    def save(self, record: Record) -> None:
        self.live()
        self.saved = record.to_dict()
        self.live()

    def truth(self) -> str | None:
        """Return how the switchover has ended by now; None while it has not, and where none was taken."""
        job = self.history.job
        if self.taken_at is None or self.time < self.taken_at + job.start_after + job.start_lasts:
            return None
        return job.final


def _now(coroutine: Any) -> Any:
    """Return what a coroutine returns that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the simulated service waits for nothing")


def one_try(world: World, history: History, clears: int = 0) -> str:
    """Run the operator's steps once, as a worker would; return how the task ended."""
    saved = Record.from_dict(world.saved) if world.saved else None
    request = SwitchoverRequest(
        JOB, "target", settle=history.settle, decide_within=120.0, transient_error_timeout=300.0, max_tries=clears
    )
    try:
        record = switch(request, saved, world)
    except NotSwitchedError as stopped:
        return {DrsGuardError: "guard", DrsSwitchoverRefusedError: "refused"}[type(stopped.error)]
    except DrsError:  # it cannot be asked; nothing was
        return "unavailable"
    if record.phase in (Phase.DONE, Phase.FAILED):
        return str(record.phase)
    wait = SwitchoverWait(
        JOB,
        Pace(5.0),
        transient_error_timeout=300.0,
        freshness=record.freshness(),
        deadline=world.time + 600,
        rng=lambda: 1.0,
    )
    verdict = wait_for_end(wait, record, world, max_polls=2000)
    assert verdict is not None, "the wait never ends"
    ended = verdict.event()
    record.end(ended)
    world.live()
    world.saved = record.to_dict()
    world.live()
    return {"error": "unavailable"}.get(ended["outcome"], str(record.phase))


seconds = st.sampled_from([0.0, 0.3, 1.0, 2.0, 4.0, 9.0, 20.0, 31.0, 70.0])
jobs = st.builds(
    Job,
    st.just(JOB),
    leftover=st.sampled_from([None, COMPLETE, FAILED]),
    no_switchover=st.sampled_from(["empty", "null", "absent"]),
    start_after=seconds,
    start_lasts=seconds,
    final=st.sampled_from([COMPLETE, FAILED]),
    on_switch=st.sampled_from(["success"] * 9 + ["refused"]),
)
requests = st.builds(
    Step, st.sampled_from(("none",) * 12 + FAULTS), st.sampled_from([0.0, 0.1, 3.0]), st.sampled_from([0.0, 0.1, 3.0])
)
histories = st.builds(
    History,
    job=jobs,
    settle=st.sampled_from([None, 30.0, 5.0]),
    steps=st.lists(requests, max_size=30),
    crashes=st.lists(st.integers(0, 24), max_size=3),
    pauses=st.lists(st.sampled_from([0.0, 5.0, 60.0, 4000.0]), min_size=4, max_size=4),
)


@settings(max_examples=2500, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(histories)
def test_exactly_once_and_never_a_false_end(history: History) -> None:
    world = World(history)
    shows_start = history.settle is None or history.job.start_after <= history.settle
    outcome = "killed"
    for pause in history.pauses:
        world.begin_try()
        try:
            outcome = one_try(world, history)
        except KilledError:
            outcome = "killed"
        assert len(world.book.switched(JOB)) <= 1, "at most one switchover per intent, over all tries"
        if shows_start:
            if outcome == "done":
                assert world.truth() == COMPLETE, "never success for one that did not complete"
            if outcome == "failed":
                assert world.truth() == FAILED, "never failure for one that did not fail"
        assert outcome in ("done", "failed", "unknown", "refused", "guard", "unavailable", "killed")
        if outcome in ("done", "failed", "unknown"):
            break
        world.time += pause
    event(outcome)
    if not world.book.switched(JOB):
        assert outcome not in ("done", "failed") or not shows_start


@settings(max_examples=300, deadline=None)
@given(histories.filter(lambda h: h.job.on_switch == "success"), st.integers(1, 3))
def test_clearing_a_task_never_switches_what_is_done_or_unknown(history: History, clears: int) -> None:
    world = World(history)
    world.crashes = []
    outcome = one_try(world, history)
    before = len(world.book.switched(JOB))
    for cleared in range(clears):
        again = one_try(world, history, cleared + 1)
        if outcome in ("done", "unknown"):
            assert len(world.book.switched(JOB)) == before
            assert outcome != "done" or again == "done"
        outcome, before = again, len(world.book.switched(JOB))
