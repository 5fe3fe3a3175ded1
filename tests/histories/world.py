"""A world in which a switchover may go wrong in every way at once: service, strangers, boxes between, clocks, stores.

Everything is drawn beforehand, nothing here is random. Times are seconds of true time unless a clock is named. What is
put to the test is the operator itself, with the runtime that keeps its record: only clock, network and Airflow's API
server are this world's.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any, TypeVar

from airflow_provider_drs.operators.base import DrsOperator
from airflow_provider_drs.operators.drs import DrsSwitchoverOperator
from airflow_provider_drs.operators.task_state import RecordingRuntime, RecordStore
from airflow_provider_drs.protocol.errors import (
    DrsAuthenticationError,
    DrsError,
    DrsTlsError,
    DrsUnreachableError,
)
from airflow_provider_drs.protocol.http.auth_flow import GetToken, Send, exchange
from airflow_provider_drs.protocol.http.request import Call, Token
from airflow_provider_drs.protocol.http.response import HttpResponse
from airflow_provider_drs.protocol.jobs.calls import batch_progress, batch_status
from airflow_provider_drs.protocol.polling import LogLine, Patience
from airflow_provider_drs.protocol.switchover.calls import get_switchover_status, switch_vip
from airflow_provider_drs.protocol.switchover.phases import OPEN, Phase
from airflow_provider_drs.protocol.switchover.record import END_MARK
from airflow_provider_drs.protocol.switchover.witness import Look, Side
from airflow_provider_drs.task import TaskRuntime
from tests.constants import COMPLETE, FAILED, GET_STATUS, JOB, START, SWITCH

R = TypeVar("R")
T0 = 1_790_000_000.0
TIMEOUT = 600.0
DECIDE_WITHIN = 60.0
PATIENCE = 300.0
INTERVAL = 5.0
# What an attempt at Airflow's API server takes while nobody answers there.
AN_ATTEMPT = 10.0
# For how long an operator asks its witness whether traffic has arrived.
WITNESS_TIMEOUT = 10.0
# Whether a triggerer may end a task; None: it ends those that are done.
END_FROM_TRIGGER: bool | None = None
# What the two switching tasks of the run are called, and the modes they have.
TASKS = {"there": "target", "back": "source"}

# What a box between may send in the service's place, before the service sees the request or after it took it.
BOXES: dict[str, tuple[int, bytes]] = {
    "500": (500, b"{}"),
    "502 html": (502, b"<html>"),
    "403 html": (403, b"<html>"),
    "404 empty": (404, b""),
    "400 html": (400, b"<html>"),
    "405 empty": (405, b""),
    "401 gateway": (401, b'{"error_code": "APIG.0301", "error_msg": "bad token"}'),
    "401": (401, b""),
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
CUT_OFF = ("lost", "clear text")
QUERY_FAULTS = ("empty result", "nothing", "stale")

_CALLS: dict[str, Call[Any]] = {
    "batch-status": batch_status([JOB]),
    "batch-progress": batch_progress([JOB]),
    GET_STATUS: get_switchover_status(JOB),
    SWITCH: switch_vip(JOB, "target"),
}
_WELL = {
    "batch-status": (200, b'{"count": 1, "results": [{"id": "%s", "status": "INCRE_TRANSFER_STARTED"}]}'),
    "batch-progress": (202, b'{"count": 1, "results": [{"job_id": "%s", "incre_trans_delay": "0"}]}'),
}
_WELL = {name: (code, body % JOB.encode()) for name, (code, body) in _WELL.items()}
_LOG = logging.getLogger("nobody")
_LOG.disabled = True
_NO_HOOK: Any = None


@lru_cache(maxsize=64)
def _reply_to(name: str, response: tuple[int, bytes]) -> Any:
    """Return what a good response to a call is read as; the same each time."""
    flow = exchange(_CALLS[name], "https://drs", "en-us")
    step = next(flow)
    try:
        while True:
            step = flow.send(
                Token("t" * 20, "0" * 32) if isinstance(step, GetToken) else HttpResponse(response[0], {}, response[1])
            )
    except StopIteration as done:
        return done.value


@dataclass(frozen=True)
class Plan:
    """How a switchover goes at the service."""

    start_after: float = 0.0
    lasts: float = 3.0
    final: str = COMPLETE
    # Whether it moves traffic; None: as its end says.
    moves: bool | None = None


@dataclass(eq=False)
class Switchover:
    """One that the service has taken; ``task`` is "" for a stranger's."""

    task: str
    at: float
    plan: Plan

    @property
    def shows(self) -> float:
        return self.at + self.plan.start_after

    @property
    def ends(self) -> float:
        return self.shows + self.plan.lasts

    @property
    def moves(self) -> bool:
        return self.plan.final == COMPLETE if self.plan.moves is None else self.plan.moves


@dataclass(frozen=True)
class Fault:
    """What happens to one request: how long each way takes, and what goes wrong."""

    name: str = "none"
    when: str = "before"
    there: float = 0.0
    back: float = 0.0


@dataclass(frozen=True)
class Stranger:
    """Somebody who switches the job from elsewhere, ``after`` seconds after the beginning or after one of our POSTs."""

    after: float
    plan: Plan
    post: int | None = None


@dataclass(frozen=True)
class Try:
    """One try of a task.

    :param task: which of the two.
    :param cleared: a person has cleared the task before it; else it is a first try, or a retry of Airflow's.
    :param pause: seconds before it.
    :param faults: of requests other than the POST, by their number in this try.
    :param saves: how the writes of record and evidence go, one after the other: "ok", "not written", "refused", which
        is the same at once, or "written", which says that the response was lost.
    :param dies: after so many moments at which it may die; None: it lives.
    :param killed: with SIGKILL; else Airflow raises, as for ``execution_timeout``, and the task may write.
    :param store: "kept", "lost" with all that was in it, or one that cannot be read in this try.
    :param deferrable: it waits in the triggerer.
    :param starts: an executor has failed it before it started; Airflow counts it all the same.
    """

    task: str = "there"
    cleared: bool = False
    pause: float = 5.0
    faults: tuple[tuple[int, Fault], ...] = ()
    saves: tuple[str, ...] = ()
    dies: int | None = None
    killed: bool = True
    store: str = "kept"
    deferrable: bool = False
    starts: bool = True


@dataclass(frozen=True)
class History:
    """All that goes wrong, and when.

    :param own: how our switchovers go, one after the other; the last goes for all that follow.
    :param leftover: the status before all.
    :param no_status: how the service says that there is none: "null" or "empty".
    :param posts: what happens to our POSTs, one after the other.
    :param dates: the service's responses have a ``Date``.
    :param witness: whom the tasks ask who answers at the address: "" for nobody; one who tells the truth, one who is
        "late" by seconds, is "silent", is "mute" from the first switchover on, or is "wrong" in every third look.
    """

    own: tuple[Plan, ...] = (Plan(),)
    leftover: str | None = None
    no_status: str = "null"
    settle: float | None = None
    posts: tuple[Fault, ...] = ()
    tries: tuple[Try, ...] = (Try(),)
    strangers: tuple[Stranger, ...] = ()
    clock_steps: tuple[tuple[float, float], ...] = ()
    dates: bool = True
    witness: str = ""


class KilledError(BaseException):
    """The process is gone; nothing catches this."""


class TimedOutError(BaseException):
    """What Airflow raises in a task whose ``execution_timeout`` is over."""


class BrokenPromiseError(AssertionError):
    """The code under test has done what it must not do."""


@dataclass
class TaskState:
    """What Airflow keeps of a task."""

    task_id: str
    saved: Any = None
    xcom: dict[str, Any] = field(default_factory=dict)
    tries: int = 0
    max_tries: int = 0
    state: str | None = None
    # The numbers of its tries.
    numbers: list[int] = field(default_factory=list)
    # By the number of its record: when the intents were saved, and what it has taken.
    asked: dict[int, list[float]] = field(default_factory=dict)
    mine: dict[int, list[Switchover]] = field(default_factory=dict)
    order: int = 0
    baseline_at: float = 0.0
    spent: Any = None
    # The names of the XComs of the try before, as Airflow tells them to the one that follows.
    wiped: tuple[str, ...] = ()
    # A try has ended before it could keep the mark of an end that a triggerer had left.
    mark_lost: bool = False
    # The store was emptied after DRS had been asked; and the try before this one has left nothing in XCom.
    forgotten: bool = False
    left_nothing: bool = False


class World:
    """Service, clocks and Airflow of one history."""

    def __init__(self, history: History) -> None:
        self.history = history
        random.seed(T0)  # what the jitter is made from
        self.time = T0
        self.taken: list[Switchover] = []
        self.strangers = sorted(((T0 + s.after, s.plan) for s in history.strangers if s.post is None), key=_first)
        self.posts = 0
        self.tasks = {name: TaskState(name) for name in TASKS}
        self.dead = False
        self.until_death: int | None = None
        self.killed = True
        self.faults: dict[int, Fault] = {}
        self.requests = 0
        self.saves: list[str] = []
        self.store = "kept"
        # When the status was read, which switchover it showed, by the number of the try.
        self.reads: list[tuple[float, Switchover | None, int]] = []
        self.stale: list[float] = []
        self.gateway_repeats = False
        self.number = 0
        self.died: set[int] = set()
        self.looks = 0
        self.asked_again = False

    def live(self) -> None:
        """Die here, if this is the moment drawn."""
        if self.dead:
            raise KilledError
        if self.until_death is not None:
            self.until_death -= 1
            if self.until_death < 0:
                self.until_death = None
                self.died.add(self.number)
                if not self.killed:
                    raise TimedOutError
                self.dead = True
                raise KilledError

    def now(self) -> float:
        steps = self.history.clock_steps
        return self.time + sum(delta for at, delta in steps if T0 + at <= self.time) if steps else self.time

    def pass_(self, seconds: float) -> None:
        until = self.time + seconds
        while self.strangers and self.strangers[0][0] <= until:
            at, plan = self.strangers.pop(0)
            self.time = max(self.time, at)
            self._take("", plan)
        self.time = until

    # The service

    def _take(self, task: str, plan: Plan) -> Switchover | None:
        if self.taken and self.time < self.taken[-1].ends:
            return None
        self.taken.append(Switchover(task, self.time, plan))
        return self.taken[-1]

    def phases(self) -> list[tuple[str | None, Switchover | None]]:
        """Return all statuses there have been, up to now."""
        found: list[tuple[str | None, Switchover | None]] = [(self.history.leftover, None)]
        for one in self.taken:
            if self.time >= one.shows:
                found.append((START, one))
            if self.time >= one.ends:
                found.append((one.plan.final, one))
        return found

    def side(self, task: str) -> Side:
        """Return who serves, in the words of a task's witness; traffic goes to where the mode of a task says.

        A stranger switches to the mode that traffic is not at.
        """
        self.looks += 1
        late = 3.0 if self.history.witness == "late" else 0.0
        at = TASKS["back"]
        for one in self.taken:
            if one.shows <= self.time - late < one.ends:
                return Side.NOBODY
            if one.ends <= self.time - late and one.moves:
                other = next(mode for mode in TASKS.values() if mode != at)
                at = TASKS[one.task] if one.task else other
        if self.history.witness == "silent" or (self.history.witness == "mute" and self.taken):
            return Side.NOBODY
        wrong = self.history.witness == "wrong" and self.looks % 3 == 0
        return Side.AFTER if (at == TASKS[task]) is not wrong else Side.BEFORE

    def serve_post(self, task: str) -> tuple[int, bytes]:
        plans = self.history.own
        plan = plans[min(self.posts - 1, len(plans) - 1)]
        taken = self._take(task, plan)
        if taken is None:
            return 202, b'{"id": "%s", "status": "failed", "error_code": "DRS.M01504"}' % JOB.encode()
        state = self.tasks[task]
        state.mine.setdefault(state.order, []).append(taken)
        return 202, b'{"id": "%s", "status": "success"}' % JOB.encode()

    def serve_status(self, fault: Fault) -> tuple[int, bytes]:
        if fault.name == "empty result":
            return 422, b'{"error_code": "DRS.M00002"}'
        if fault.name == "nothing":
            return 200, b"{}"
        phases = self.phases()
        if fault.name == "stale" and len(phases) > 1:
            self.stale.append(self.time)
            status, _ = phases[-2]
        else:
            status, one = phases[-1]
            self.reads.append((self.time, one, self.number))
        if status is None and self.history.no_status == "empty":
            return 200, b"{}"
        code = b', "error_code": "DRS.M9"' if status == FAILED else b""
        said = b"null" if status is None else b'"%s"' % status.encode()
        return 200, b'{"id": "%s", "status": %s%s}' % (JOB.encode(), said, code)

    # Airflow's API server

    def write(self, what: str, value: Any, make: Any) -> None:
        """Make a write of a value, as far as it goes well."""
        self.live()
        how = self.saves.pop(0) if self.saves else "ok"
        if how in ("ok", "written"):
            make()
        self.live()
        if how != "ok":
            self.pass_(0.0 if how == "refused" else AN_ATTEMPT)
            raise RuntimeError("nobody answers")


def _first(pair: tuple[float, Plan]) -> float:
    return pair[0]


class _Worlds(TaskRuntime):
    """Sends, waits and reads the clock in the world."""

    def enter(self, world: World, task: str) -> None:
        self.world = world
        self.task = task
        self.process_began = world.time
        self.last_date: float | None = None

    def now(self) -> float:
        return self.world.now()

    def monotonic(self) -> float:
        return self.world.time - self.process_began + 7.0

    def server_time(self) -> float | None:
        return self.last_date

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.world.pass_(seconds)

    def log(self, line: LogLine) -> None:
        pass

    def asks_to_switch(self) -> None:
        raise BrokenPromiseError("a triggerer has asked DRS to switch")

    def send(self, call: Call[R]) -> R:
        world = self.world
        world.live()
        if call.name == SWITCH:
            self.asks_to_switch()
            posts = world.history.posts
            fault = posts[world.posts - 1] if world.posts <= len(posts) else Fault()
        else:
            world.requests += 1
            fault = world.faults.get(world.requests, Fault())
        if fault.name == "none" and call.name != SWITCH:
            response = self._served(call, fault)
            world.pass_(fault.back)
            reply: R = _reply_to(call.name, response)
            return reply
        return self._exchange(call, fault)

    def _exchange(self, call: Call[R], fault: Fault) -> R:
        flow = exchange(call, "https://drs", "en-us")
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
                    step = flow.send(self._respond(call, fault))
                    # A second request of one exchange is a second POST of one intent.
                    fault = Fault("second") if call.name == SWITCH else Fault()
        except StopIteration as done:
            reply: R = done.value
            return reply

    def _respond(self, call: Call[Any], fault: Fault) -> HttpResponse:
        world = self.world
        if fault.name == "second":
            raise BrokenPromiseError("two POSTs for one intent")
        if fault.name in ("no connection", "no certificate"):
            kind = DrsUnreachableError if fault.name == "no connection" else DrsTlsError
            raise kind("DRS cannot be reached", never_sent=True)
        world.pass_(fault.there)
        if fault.when == "before" and fault.name in CUT_OFF:
            raise DrsUnreachableError("DRS cut the connection")
        if fault.when == "before" and fault.name in BOXES:
            return self._sent(BOXES[fault.name], fault, dated=False)
        repeated = call.name == SWITCH and fault.when == "after" and fault.name in LIKE_A_REPEAT
        if fault.name in REFUSALS and not repeated:
            return self._sent(REFUSALS[fault.name], fault)
        reads = len(world.reads)
        good = self._served(call, fault)
        if fault.name in CUT_OFF or fault.name in BOXES:
            del world.reads[reads:]  # nobody gets to see it
        world.live()
        if fault.name == "lost":
            raise DrsUnreachableError("DRS cut the connection")
        if fault.name == "clear text":
            raise DrsTlsError("DRS does not speak TLS")
        if fault.name in BOXES:
            return self._sent(BOXES[fault.name], fault, dated=False)
        if repeated:  # a gateway has repeated the request: DRS refuses the second
            world.gateway_repeats = True
            return self._sent(REFUSALS[fault.name], fault)
        return self._sent(good, fault)

    def _sent(self, response: tuple[int, bytes], fault: Fault, dated: bool = True) -> HttpResponse:
        if dated:
            self._date()
        self.world.pass_(fault.back)
        return HttpResponse(response[0], {}, response[1])

    def _served(self, call: Call[Any], fault: Fault) -> tuple[int, bytes]:
        self._date()
        if call.name == SWITCH:
            return self.world.serve_post(self.task)
        return self.world.serve_status(fault) if call.name == GET_STATUS else _WELL[call.name]

    def _date(self) -> None:
        if self.world.history.dates:
            self.last_date = float(int(self.world.time))


class Worker(RecordingRuntime, _Worlds):
    """The runtime of a task on a worker: the real one, in the world."""

    def __init__(self, world: World, context: Any, began_before: bool) -> None:
        self.enter(world, context["ti"].task_id)
        super().__init__(_NO_HOOK, _LOG, RecordStore(context, began_before), lambda: Patience("Job", PATIENCE))

    def look(self) -> Look:
        """Return who answers at the address of the world."""
        self.world.live()
        return Look(self.world.side(self.task), None, self.world.now())

    def asks_to_switch(self) -> None:
        """Look at what must be true whenever DRS is about to be asked."""
        world, record = self.world, self.record
        task = world.tasks[self.task]
        if record is None or record.phase is not Phase.INTENDED:
            raise BrokenPromiseError("DRS is asked without an intent")
        if (task.saved or {}).get("posted_at") != record.posted_at or task.saved["phase"] != Phase.INTENDED:
            raise BrokenPromiseError("DRS is asked before the intent is saved")
        if task.xcom.get("switchover", {}).get("outcome") != Phase.INTENDED:
            raise BrokenPromiseError("DRS is asked before the evidence says so")
        if task.spent is task.saved:
            raise BrokenPromiseError("two POSTs for one intent")
        if task.forgotten and not task.left_nothing:
            raise BrokenPromiseError("DRS is asked again by a try that cannot know what the one before it did")
        self.world.asked_again = task.forgotten
        for other in world.tasks.values():
            shown = other.xcom.get("switchover", {})
            if other is not task and shown.get("outcome") in OPEN:
                raise BrokenPromiseError(f"DRS is asked while the switchover of {other.task_id!r} is open")
        task.spent = task.saved
        world.posts += 1
        task.order = record.order
        for stranger in world.history.strangers:
            if stranger.post == world.posts:
                world.strangers.append((world.time + stranger.after, stranger.plan))
        world.strangers.sort(key=_first)


class _Ti:
    """What the operator asks of a task instance."""

    dag_id, run_id, map_index, task = "dag", "run", -1, SimpleNamespace(retries=0)

    def __init__(self, world: World, state: TaskState, wiped: Iterable[str] = ()) -> None:
        self.task_id = state.task_id
        self.try_number = state.tries
        self.max_tries = state.max_tries
        self._world, self._state = world, state
        self._ti_context_from_server = SimpleNamespace(xcom_keys_to_clear=list(wiped))

    def xcom_push(self, key: str, value: Any) -> None:
        def make() -> None:
            self._state.xcom[key] = json.loads(json.dumps(value))

        self._world.write(key, value, make)

    def xcom_pull(self, task_ids: str, key: str, map_indexes: int | None = None) -> Any:
        if self._world.store == "no XCom":
            raise RuntimeError("nobody answers")
        return self._world.tasks[task_ids].xcom.get(key)

    def get_task_states(self, **_: Any) -> dict[str, dict[str, str | None]]:
        return {"run": {name: task.state for name, task in self._world.tasks.items()}}


class _Store:
    """Airflow's state store of one task."""

    def __init__(self, world: World, state: TaskState) -> None:
        self._world, self._state = world, state

    def get(self, key: str) -> Any:
        self._world.live()
        if self._world.store == "unreadable":
            raise RuntimeError("nobody answers")
        return json.loads(json.dumps(self._state.saved))

    def set(self, key: str, value: Any, retention: Any = None) -> None:
        def make() -> None:
            state, world = self._state, self._world
            if value["phase"] == Phase.INTENDED and (state.saved or {}).get("posted_at") != value["posted_at"]:
                state.asked.setdefault(value["order"], []).append(world.time)
                state.baseline_at = world.reads[-1][0] if world.reads else T0
            state.saved = json.loads(json.dumps(value))

        self._world.write("saved", value, make)


class _Dag:
    task_dict: dict[str, Any]


class Operator(DrsSwitchoverOperator):
    """The real one, whose runtime is in the world."""

    def _log_failure(self, *_: Any) -> None:
        """Write nothing: nobody reads the logs of thousands of worlds."""

    def _recording(self, context: Any) -> RecordingRuntime:
        return Worker(context["world"], context, self._woken is not None)

    @property
    def _leave_after(self) -> float | None:
        # With the first response that fails: what a history has of trouble seldom lasts as long as is usual.
        return None if super()._leave_after is None else 0.5

    def _connect(self, context: Any, runtime: Any) -> None:
        pass


_execute = DrsOperator.__dict__["execute"]
_execute = getattr(_execute, "__wrapped__", _execute)


@lru_cache(maxsize=32)
def _operator(task: str, settle: float | None, deferrable: bool, witness: bool = False) -> Operator:
    return Operator(
        task_id=task,
        job_id=JOB,
        mode=TASKS[task],
        settle=settle,
        decide_within=DECIDE_WITHIN,
        timeout=TIMEOUT,
        transient_error_timeout=PATIENCE,
        poll_interval=INTERVAL,
        deferrable=deferrable,
        end_from_trigger=END_FROM_TRIGGER,
        # Who is asked is the runtime, which is in the world.
        witness=_nobody if witness else None,
        witness_timeout=WITNESS_TIMEOUT,
    )


def _nobody() -> None:
    raise AssertionError("the runtime is asked instead")


@dataclass
class End:
    """How a try ended.

    :param outcome: of the evidence that the task has published; "" for none.
    :param error: what the task ended with, None for a success.
    :param evidence: what it has published, empty for nothing.
    """

    outcome: str
    error: BaseException | None
    evidence: dict[str, Any]


def run_try(world: World, this: Try) -> End:
    """Run one try of a task as Airflow does."""
    from airflow.providers.common.compat.sdk import TaskDeferred

    task = world.tasks[this.task]
    world.number += 1
    task.numbers.append(world.number)
    world.dead, world.until_death, world.killed = False, this.dies, this.killed
    world.faults, world.requests, world.saves = dict(this.faults), 0, list(this.saves)
    world.store = this.store
    if this.store == "lost":
        task.saved, task.forgotten = None, bool(task.asked)
    if this.cleared:
        task.max_tries += 1
    task.tries += 1
    if not this.starts:
        task.state = "failed"
        return End("", None, {})
    task.left_nothing = task.tries > 1 and not task.xcom
    task.xcom, task.state, task.wiped = {}, "running", tuple(task.xcom)
    operator = _operator(this.task, world.history.settle, this.deferrable, bool(world.history.witness))
    dag = _Dag()
    dag.task_dict = {name: _operator(name, world.history.settle, False) for name in TASKS}
    context: Any = {
        "ti": _Ti(world, task, task.wiped),
        "task_state_store": _Store(world, task),
        "world": world,
        "dag": dag,
    }
    error: BaseException | None = None
    result: dict[str, Any] | None = None
    try:
        begin: Callable[[Any], Any] = partial(_execute, operator)
        while result is None:
            try:
                result = begin(context)
            except TaskDeferred as deferred:
                if world.history.witness:
                    raise BrokenPromiseError("a triggerer cannot ask the witness") from None
                event, left_behind = _in_the_triggerer(world, this.task, deferred.trigger)
                if _is_ended_there(world, task, left_behind):
                    result = task.xcom["return_value"]
                begin = partial(getattr(operator, deferred.method_name), event=event)
                context["ti"] = _Ti(world, task)  # Airflow wipes nothing as it resumes
    except (KilledError, TimedOutError) as death:
        error = death
    except Exception as ended:
        if not isinstance(ended, DrsError) and not hasattr(ended, "job_id"):
            raise
        error = ended
    if result is not None:
        task.xcom["return_value"] = json.loads(json.dumps(result))
    task.state = "success" if error is None else "failed"
    if _has_mark(task.wiped) and not _has_mark(task.xcom) and (task.saved or {}).get("phase") != Phase.DONE:
        task.mark_lost = True
    shown = result or task.xcom.get("switchover") or {}
    return End(shown.get("outcome", ""), error, shown)


def _has_mark(names: Iterable[str]) -> bool:
    return any(name.startswith(END_MARK) for name in names)


def _is_ended_there(world: World, task: TaskState, left_behind: dict[str, Any]) -> bool:
    """Tell whether a triggerer could push all XComs of an end, so that no worker follows."""
    if not left_behind:
        return False
    for key, value in left_behind.items():
        how = world.saves.pop(0) if world.saves else "ok"
        if how in ("ok", "written"):
            task.xcom[key] = json.loads(json.dumps(value))
        if how != "ok":
            return False
    return True


def _in_the_triggerer(world: World, task: str, trigger: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Wait as a triggerer does; one that dies is followed by another, which knows only what is stored.

    :return: the event, and the XComs of a task that may end there.
    """
    from airflow_provider_drs import protocol

    kwargs = json.loads(json.dumps(trigger.serialize()[1]))
    while True:
        trigger = type(trigger)(**kwargs)
        try:
            runtime = _Worlds(_NO_HOOK, _LOG)
            runtime.enter(world, task)
            result = protocol.wait_until_over(trigger.new_wait(), runtime)
        except KilledError:
            world.dead, world.until_death = False, None
            world.pass_(30.0)
            continue
        assert result is not None
        event: dict[str, Any] = json.loads(json.dumps(trigger.event_of(result)))
        ends = trigger.handover.get("ends_task") and event["outcome"] == "done"
        return event, trigger.left_behind(event) if ends else {}
