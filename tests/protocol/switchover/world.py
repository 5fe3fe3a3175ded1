"""A world in which a switchover may go wrong in every way at once: service, strangers, boxes between, clocks, stores.

Everything is drawn beforehand, nothing here is random. Times are seconds of true time unless a clock is named.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TypeVar

from airflow_provider_drs.protocol.errors import (
    DrsAuthenticationError,
    DrsError,
    DrsTlsError,
    DrsUnavailableError,
    DrsUnreachableError,
)
from airflow_provider_drs.protocol.http.auth_flow import GetToken, Send, exchange
from airflow_provider_drs.protocol.http.request import Call, Token
from airflow_provider_drs.protocol.http.response import HttpResponse
from airflow_provider_drs.protocol.polling import LogLine, Pace
from airflow_provider_drs.protocol.switchover.record import UNCHANGED, Phase, Record
from airflow_provider_drs.protocol.switchover.switch import NotSwitchedError, SwitchoverRequest, switch, wait_for_end
from airflow_provider_drs.protocol.switchover.wait import SwitchoverWait
from tests.constants import COMPLETE, FAILED, JOB, START, T0

R = TypeVar("R")
TIMEOUT = 600.0
DECIDE_WITHIN = 120.0
PATIENCE = 300.0
INTERVAL = 5.0

# What a box between may send in the service's place, before the service sees the request or after it took it.
BOXES: dict[str, tuple[int, bytes]] = {
    "500": (500, b"{}"),
    "502 html": (502, b"<html>"),
    "403 html": (403, b"<html>"),
    "404 empty": (404, b""),
    "400 html": (400, b"<html>"),
    "405 empty": (405, b""),
    "401 gateway": (401, b'{"error_code": "APIG.0301", "error_msg": "bad token"}'),
    "429": (429, b""),
    "200 html": (200, b"<html>"),
    "200 code 0": (200, b'{"code": "0", "message": "ok"}'),
    "half": (202, b'{"id": '),
    "redirect": (302, b""),
}
# What DRS itself says without having taken the request.
REFUSALS: dict[str, tuple[int, bytes]] = {
    "too frequent": (400, b'{"error_code": "DRS.M01503"}'),
    "busy": (202, b'{"status": "failed", "error_code": "DRS.M01504"}'),
    "wrong state": (400, b'{"error_code": "DRS.M00304"}'),
    "forbidden": (403, b'{"error_code": "DRS.M00102"}'),
    "token": (403, b'{"error_code": "DRS.M00100"}'),
}
# What a repeat of our own request would get.
LIKE_A_REPEAT = ("too frequent", "busy", "wrong state")
NEVER_SENT = ("no connection", "no certificate", "no token")
QUERY_FAULTS = ("empty result", "nothing", "stale", "stale")


@dataclass(frozen=True)
class Plan:
    """How a switchover goes at the service."""

    start_after: float = 0.0
    lasts: float = 3.0
    final: str = COMPLETE


@dataclass
class Switchover:
    """One that the service has taken."""

    ours: bool
    at: float
    plan: Plan

    @property
    def ends(self) -> float:
        return self.at + self.plan.start_after + self.plan.lasts


@dataclass(frozen=True)
class Fault:
    """What happens to one request: how long each way takes, and what goes wrong."""

    name: str = "none"
    when: str = "before"
    there: float = 0.0
    back: float = 0.0


@dataclass
class Try:
    """One try of the task.

    :param dies: after so many moments at which a worker may die; None: it lives.
    :param pause: seconds before the next.
    :param cleared: a person clears the task before the next.
    :param store: what has become of the store before the next: "kept", or "lost" with all that was in it.
    :param deferred: waits in another process, which saves nothing.
    """

    dies: int | None = None
    pause: float = 5.0
    cleared: bool = False
    store: str = "kept"
    deferred: bool = False


@dataclass
class History:
    own: Plan
    leftover: str | None
    no_status: str
    settle: float | None
    faults: list[Fault]
    tries: list[Try]
    strangers: list[tuple[float, Plan]] = field(default_factory=list)
    clock_steps: list[tuple[float, float]] = field(default_factory=list)
    failing_saves: list[str] = field(default_factory=list)
    dates: bool = True


class KilledError(BaseException):
    """The worker is gone; nothing catches this."""


class World:
    """The service as the world has it, and the runtime that it lends to the code under test."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.time = T0
        self.process_began = T0
        self.taken: list[Switchover] = []
        self.strangers = sorted(((T0 + at, plan) for at, plan in history.strangers), key=lambda x: x[0])
        self.faults = list(history.faults)
        self.failing_saves = list(history.failing_saves)
        self.saved: dict[str, Any] | None = None
        self.until_death: int | None = None
        self.last_status: list[tuple[float, bytes]] = []
        self.last_date: float | None = None
        self.posts_of_intent = 0
        self.intents: list[float] = []
        self.stale_reads = 0
        self.repeated_by_a_gateway = False
        self.good_reads: list[float] = []

    # The runtime

    def send(self, call: Call[R]) -> R:
        self.live()
        flow = exchange(call, "https://drs", "en-us")
        fault = self.faults.pop(0) if self.faults else Fault()
        step: Any = next(flow)
        try:
            while True:
                if isinstance(step, GetToken):
                    if fault.name == "no token":
                        step = flow.throw(DrsAuthenticationError("IAM refuses the log-in"))
                    else:
                        step = flow.send(Token("a-token-that-is-in-no-response", "0" * 32))
                else:
                    assert isinstance(step, Send)
                    step = flow.send(self._respond(call, step, fault))
                    fault = Fault()
        except StopIteration as done:
            reply: R = done.value
            return reply

    def now(self) -> float:
        return self.time + sum(delta for at, delta in self.history.clock_steps if T0 + at <= self.time)

    def monotonic(self) -> float:
        return self.time - self.process_began + 7.0

    def server_time(self) -> float | None:
        return self.last_date

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self._pass(seconds)

    def log(self, line: LogLine) -> None:
        pass

    def save(self, record: Record) -> None:
        """Repeat until it is certain, as a task does; each failure may or may not have written it."""
        for _ in range(4):
            self.live()
            how = self.failing_saves.pop(0) if self.failing_saves else "ok"
            if how != "not written":
                self._write(record)
            self.live()
            if how == "ok":
                return
            self._pass(PATIENCE / 3)
        raise DrsUnavailableError("the record cannot be saved")

    def try_save(self, record: Record) -> None:
        self.live()
        how = self.failing_saves.pop(0) if self.failing_saves else "ok"
        if how != "not written":
            self._write(record)
        self.live()

    # The world

    def live(self) -> None:
        """Die here, if this is the moment drawn."""
        if self.until_death is not None:
            self.until_death -= 1
            if self.until_death < 0:
                raise KilledError

    def ours(self) -> list[Switchover]:
        return [one for one in self.taken if one.ours]

    def _pass(self, seconds: float) -> None:
        until = self.time + seconds
        while self.strangers and self.strangers[0][0] <= until:
            at, plan = self.strangers.pop(0)
            self.time = max(self.time, at)
            self._post(False, plan)
        self.time = until

    def _post(self, ours: bool, plan: Plan) -> bool:
        if self.taken and self.time < self.taken[-1].ends:
            return False
        self.taken.append(Switchover(ours, self.time, plan))
        return True

    def status(self) -> str | None:
        status = self.history.leftover
        for one in self.taken:
            if self.time >= one.at + one.plan.start_after:
                status = START if self.time < one.ends else one.plan.final
        return status

    def _write(self, record: Record) -> None:
        if record.phase is Phase.INTENDED and (self.saved or {}).get("posted_at") != record.posted_at:
            self.posts_of_intent = 0
            self.intents.append(self.time)
        self.saved = json.loads(json.dumps(record.to_dict()))

    def _respond(self, call: Call[Any], step: Send, fault: Fault) -> HttpResponse:
        if fault.name in ("no connection", "no certificate"):
            kind = DrsUnreachableError if fault.name == "no connection" else DrsTlsError
            raise kind("DRS cannot be reached", never_sent=True)
        self._pass(fault.there)
        post = call.name == "switch-vip"
        if fault.when == "before" and fault.name == "lost":
            raise DrsUnreachableError("DRS cut the connection")
        if fault.when == "before" and fault.name in BOXES:
            return self._sent(BOXES[fault.name], fault, dated=False)
        repeated = post and fault.when == "after" and fault.name in LIKE_A_REPEAT
        if fault.name in REFUSALS and not repeated:
            return self._sent(REFUSALS[fault.name], fault)
        good = self._serve_post() if post else self._serve_query(call, fault)
        self.live()
        if fault.name == "lost":
            raise DrsUnreachableError("DRS cut the connection")
        if fault.name == "clear text":
            raise DrsTlsError("DRS does not speak TLS")
        if fault.name in BOXES:
            return self._sent(BOXES[fault.name], fault, dated=False)
        if repeated:  # a gateway has repeated the request: DRS refuses the second
            self.repeated_by_a_gateway = True
            return self._sent(REFUSALS[fault.name], fault)
        return self._sent(good, fault)

    def _sent(self, response: tuple[int, bytes], fault: Fault, dated: bool = True) -> HttpResponse:
        if dated and self.history.dates:
            self.last_date = float(int(self.time))
        self._pass(fault.back)
        return HttpResponse(response[0], {}, response[1])

    def _serve_post(self) -> tuple[int, bytes]:
        self.posts_of_intent += 1
        if self._post(True, self.history.own):
            return 202, json.dumps({"id": JOB, "status": "success"}).encode()
        return 202, json.dumps({"id": JOB, "status": "failed", "error_code": "DRS.M01504"}).encode()

    def _serve_query(self, call: Call[Any], fault: Fault) -> tuple[int, bytes]:
        if call.name == "batch-status":
            return 200, json.dumps({"count": 1, "results": [{"id": JOB, "status": "INCRE_TRANSFER_STARTED"}]}).encode()
        if call.name == "batch-progress":
            return 202, json.dumps({"count": 1, "results": [{"job_id": JOB, "incre_trans_delay": "0"}]}).encode()
        if fault.name == "empty result":
            return 422, b'{"error_code": "DRS.M00002"}'
        if fault.name == "nothing":
            return 200, b"{}"
        if fault.name == "stale" and self.last_status:
            self.stale_reads += 1
            return 200, self.last_status[0][1]
        return 200, self._status_body()

    def _status_body(self) -> bytes:
        status = self.status()
        if status is None and self.history.no_status == "empty":
            return b"{}"
        body: dict[str, Any] = {"id": JOB, "status": status}
        if status == FAILED:
            body["error_code"] = "DRS.M9"
        said = json.dumps(body).encode()
        self.last_status = [*self.last_status[-1:], (self.time, said)]
        self.good_reads.append(self.time)
        return said


@dataclass
class End:
    """How a try ended, and the record it left."""

    outcome: str
    record: Record | None


def run_try(world: World, this: Try, number: int, clears: int) -> End:
    """Run one try of the task as the operator does."""
    history = world.history
    world.process_began, world.until_death = world.time, this.dies
    saved = Record.from_dict(world.saved) if world.saved else None
    request = SwitchoverRequest(
        JOB,
        "target",
        settle=history.settle,
        decide_within=DECIDE_WITHIN,
        timeout=TIMEOUT,
        transient_error_timeout=PATIENCE,
        max_tries=clears,
        first_try=number == 1,
    )
    try:
        record = switch(request, saved, world)
        if record.phase in (Phase.DONE, Phase.FAILED, Phase.UNKNOWN):
            return End(str(record.phase), record)
        result = wait_for_end(_wait(world, record), record, world, max_polls=1 if this.deferred else 500)
        if result is None:
            world.process_began = world.time
            record = Record.from_dict(json.loads(json.dumps(record.to_dict())))
            result = wait_for_end(_wait(world, record), record, _Elsewhere(world), max_polls=500)
        assert result is not None, "the wait never ends"
        ended = result.event()
        record.end(ended)
        world.try_save(record)
        return End({"error": "unavailable"}.get(ended["outcome"], str(record.phase)), record)
    except NotSwitchedError as stopped:
        return End("not switched", stopped.record)
    except DrsError:
        return End("unavailable", None)
    except KilledError:
        return End("killed", None)


def _wait(world: World, record: Record) -> SwitchoverWait:
    return SwitchoverWait(
        JOB,
        Pace(INTERVAL),
        transient_error_timeout=PATIENCE,
        freshness=record.freshness(),
        deadline=world.now() + TIMEOUT,
        rng=lambda: 1.0,
    )


class _Elsewhere:
    """The triggerer's runtime: the same world, but nothing can be saved."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    def save(self, record: Record) -> None:
        raise AssertionError("a triggerer saves nothing")

    def try_save(self, record: Record) -> None:
        return None


def says_nothing_was_changed(end: End) -> bool:
    return end.record is not None and end.record.phase in UNCHANGED
